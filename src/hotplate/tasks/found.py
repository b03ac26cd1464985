"""The Celery app behind a web app, whoever made it; nothing is imported of an app that has none."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import NamedTuple

from hotplate.errors import ExitCode, HotplateError
from hotplate.tasks import brokers, redis
from hotplate.tasks.untyped import App

_NAMES = ("celery", "celery_app", "app")  # what `celery -A` looks for, and what its documentation writes
_SCHEDULER = (
    "celery.beat:PersistentScheduler"  # Celery's own; another one has its schedule elsewhere (django-celery-beat)
)


class Other(NamedTuple):
    """A Celery app that is not served.

    Args:
        name: of it.
        target: by which `hotplate tasks run` would serve it, such as `shop.mail:celery`; "" if no module has it.
    """

    name: str
    target: str


class Found(NamedTuple):
    """A Celery app.

    Args:
        app: the `celery.Celery`.
        name: of it.
        ours: whether `hotplate.tasks.celery` made it.
        tasks: names of what it can run, without Celery's own.
        schedule: whether something is to be sent at times.
        broker: who carries its tasks.
        queues: that its workers take from.
        routers: functions that may send into others; they cannot be asked.
        others: further Celery apps, which are not served.
    """

    app: App
    name: str
    ours: bool
    tasks: tuple[str, ...]
    schedule: bool
    broker: brokers.Broker
    queues: tuple[str, ...]
    routers: tuple[str, ...] = ()
    others: tuple[Other, ...] = ()


def find(app: object, modules: Iterable[ModuleType] = ()) -> Found | None:
    """Return the Celery app that belongs to a web app, its tasks imported; None if there is none.

    Looked for where Flask's documentation keeps it (`app.extensions["celery"]`), in what frameworks offer for keeping
    things (`app.state.celery`), in the modules, and among all that exist: a factory may have made it.

    Args:
        app: the web app, or the Celery app itself where that was named.
        modules: that were imported to get it, nearest first.

    Raises:
        HotplateError: APP_IMPORT_FAILED; a module of tasks failed while it was imported.

    Example:
        >>> find(object()) is None or "celery" in sys.modules
        True
    """
    if "celery" not in sys.modules:
        return None
    candidates = _unique(_candidates(app, modules))
    if not candidates:
        return None
    found = _described(candidates[0])
    others = (each for each in candidates[1:] if not _is_fallback(each) and _has_more(each, found))
    return found._replace(others=tuple(Other(_name(each), _target(each)) for each in others))


def complete(found: Found, environ: Mapping[str, str]) -> Found:
    """Fill in a broker where its user gave none, and with it a place for results; all else stays as it is.

    Args:
        found: what was found.
        environ: the variables.

    Raises:
        HotplateError: the broker in the environment cannot be used.
    """
    from hotplate.tasks.configured import names_broker

    conf = found.app.conf
    if found.ours or names_broker(conf) or conf.get("broker_host"):
        return found
    broker = brokers.choose(environ, found.name)
    conf["broker_url"] = broker.url
    if broker.kind == "redis":
        conf["broker_transport"] = redis.transport_name(broker.url)
    if not conf.result_backend:
        conf["result_backend"] = brokers.results(environ, broker, found.name).url
    return found._replace(broker=broker)


def _candidates(app: object, modules: Iterable[ModuleType]) -> Iterator[App]:
    from celery import _state

    yield app
    extensions = getattr(app, "extensions", None)
    if isinstance(extensions, Mapping):
        yield extensions.get("celery")
    yield getattr(getattr(app, "state", None), "celery", None)
    for module in modules:
        held = vars(module)
        yield from (held.get(name) for name in _NAMES)
        yield from list(held.values())
    # The one that `shared_task` means is the app that was made last on purpose, or the only one there is.
    yield _state.default_app
    yield from sorted(_state._get_active_apps(), key=_name)  # noqa: SLF001  # Celery keeps no other list of its apps


def _unique(candidates: Iterable[App]) -> list[App]:
    from celery import Celery

    seen: dict[int, App] = {}
    for each in candidates:
        # By type(): isinstance() asks a lazy proxy such as `celery.current_app` for its class, which makes an app.
        if (
            issubclass(type(each), Celery)
            and id(each) not in seen
            and not (_is_fallback(each) and not _own_tasks(each))
        ):
            seen[id(each)] = each
    return list(seen.values())


def _is_fallback(app: App) -> bool:
    """Whether it is the app that Celery makes when somebody asks for one and there is none."""
    return app.main == "default" and not app.set_as_current


def _has_more(app: App, found: Found) -> bool:
    """Whether a Celery app has tasks that nobody would run who serves another one.

    A factory makes the same app many times, and Celery gives a task to all apps unless told otherwise.
    """
    from hotplate.tasks.app import describe

    try:
        tasks = _own_tasks(app)
        return bool(tasks) and (bool(set(tasks) - set(found.tasks)) or describe(app).url != describe(found.app).url)
    except Exception:  # noqa: BLE001  it is somebody's, and may fail in any way where it is looked at
        return True


def _target(app: App) -> str:
    """Return by which name a module has an app; "" if none has."""
    for module, each in list(sys.modules.items()):
        held = list(getattr(each, "__dict__", {}).items())  # whatever somebody has put there
        name = next((name for name, value in held if value is app), "")
        if name and not module.startswith(("celery", "hotplate.")):
            return f"{module}:{name}"
    return ""


def _described(app: App) -> Found:
    from hotplate.tasks import queues
    from hotplate.tasks.app import Application, describe

    try:
        app.loader.import_default_modules()
        app.finalize(auto=True)
        conf = app.conf
        schedule = bool(conf.beat_schedule) or conf.beat_scheduler != _SCHEDULER
        taken = queues.taken(app)
    except HotplateError:
        raise
    except Exception as problem:
        raise HotplateError(
            f"import the tasks of {_name(app)}",
            f"{type(problem).__name__}: {problem}",
            "Its traceback is below.",
            code=ExitCode.APP_IMPORT_FAILED,
            detail="".join(traceback.format_exception(problem)),
        ) from problem
    ours = isinstance(app, Application)
    return Found(app, _name(app), ours, _own_tasks(app), schedule, describe(app), *taken)


def _own_tasks(app: App) -> tuple[str, ...]:
    return tuple(sorted(name for name in app.tasks if not name.startswith("celery.")))


def _name(app: App) -> str:
    return app.main or os.path.basename(os.getcwd()) or "app"  # noqa: PTH119, PTH109  # a name, not a path
