"""Long work beside the requests: Celery with the app's context, sane defaults, and a broker of its own.

Importing this package imports neither Celery nor a framework: public names are looked up when first used (PEP 562).

Example:
    celery = hotplate.tasks.celery(app)  # a celery.Celery

    @celery.task
    def send_newsletter(newsletter_id): ...

    @app.post("/newsletters/<int:newsletter_id>/send")
    def send(newsletter_id):
        return hotplate.tasks.accepted(send_newsletter.delay(newsletter_id))
"""

from hotplate.tasks.installed import installed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotplate.frameworks.tasks import accepted, celery, routes
    from hotplate.tasks.advance import progress
    from hotplate.tasks.sending import BrokerUnreachable

__all__ = ["BrokerUnreachable", "accepted", "celery", "progress", "routes"]

# `celery` and `accepted` know the web app's framework, so they live in the room above; here is only where they are.
_HOMES = {
    "BrokerUnreachable": "hotplate.tasks.sending",
    "accepted": "hotplate.frameworks.tasks",
    "celery": "hotplate.frameworks.tasks",
    "progress": "hotplate.tasks.advance",
    "routes": "hotplate.frameworks.tasks",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if not installed("celery"):
        from hotplate.errors import ExitCode, HotplateError

        raise HotplateError(
            f"use hotplate.tasks.{name}",
            "the package celery is not installed",
            "Type: pip install 'hotplate[tasks]'",
            code=ExitCode.MISSING_EXTRA,
        )
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


def _register() -> None:
    """Make Kombu know our schemes wherever this package is imported, so that a URL is all that an app has to name."""
    if not installed("kombu"):
        return
    from kombu.transport import TRANSPORT_ALIASES

    TRANSPORT_ALIASES.setdefault("hotplate", "hotplate.tasks.embedded.transport:Transport")
    TRANSPORT_ALIASES.setdefault("hotplate-redis", "hotplate.tasks.redis:Transport")


_register()
