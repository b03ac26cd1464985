"""To a broker without the app: Celery with nothing but an address, and connections that give up soon."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from hotplate.errors import ExitCode, HotplateError
from hotplate.settings.secret import hidden
from hotplate.tasks.brokers import Broker, described
from hotplate.tasks.untyped import Value

_PATIENCE = 2.0  # seconds to reach a broker: who types a command wants to know, not to wait
# Redis: a server that is frozen, or drops packets, is not waited for; RabbitMQ: what is published has arrived.
_OPTIONS: Mapping[str, Mapping[str, object]] = {
    "redis": {"socket_connect_timeout": _PATIENCE, "socket_timeout": 2 * _PATIENCE},
    "amqp": {"confirm_publish": True},
}


def application(broker: Broker, main: str) -> Value:
    """Return a Celery app that knows the broker, and no task: enough to look, to give back and to throw away.

    Args:
        broker: with its password.
        main: name of the app; "" where it does not matter.
    """
    from celery import Celery

    app = Celery(main or "hotplate", set_as_current=False, fixups=[])
    # Not `broker_url`: the environment's CELERY_BROKER_URL, which may be another one, would win over it.
    app.conf.update(broker_read_url=broker.url, broker_write_url=broker.url)
    if broker.kind == "redis":
        from hotplate.tasks import redis

        redis.configure(app.conf)  # Kombu's own transport would not wake our workers
    return impatient(app)


def impatient(app: Value) -> Value:
    """Have a Celery app give up soon where its broker does not answer; return it."""
    kind = of(app).kind
    app.conf.update(
        broker_connection_timeout=_PATIENCE,
        broker_connection_retry=False,
        broker_transport_options={**(app.conf.broker_transport_options or {}), **_OPTIONS.get(kind, {})},
    )
    return app


def of(app: Value, origin: str = "the app") -> Broker:
    """Return the broker of a Celery app.

    Args:
        app: Celery's.
        origin: what named the broker.
    """
    urls = app.conf.broker_read_url or app.conf.broker_url
    url = ";".join(map(str, urls)) if isinstance(urls, list | tuple) else str(urls or "amqp://")
    return described(url, origin)


@contextmanager
def connected(app: Value, attempted: str) -> Iterator[Value]:
    """Have a connection to the broker of an app.

    Args:
        app: Celery's; see `impatient`.
        attempted: what for, as it reads after "Cannot".

    Raises:
        HotplateError: FAILED, it does not answer; MISSING_EXTRA, the package that speaks to it is not installed.
    """
    broker = of(app)
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=_PATIENCE)
            # A connection to Redis is made, and its password asked for, with the first channel.
            connection.default_channel  # noqa: B018  reading it is what makes it
            yield connection
    except ImportError as problem:
        raise HotplateError(
            f"{attempted} at {broker.shown}",
            f"a package is not installed ({problem})",
            f"Type: pip install 'hotplate[{'redis' if broker.kind == 'redis' else 'tasks'}]'",
            code=ExitCode.MISSING_EXTRA,
        ) from None
    except HotplateError:
        raise
    except _problems(app) as problem:
        remedy = f"Start it, or correct {'--broker-url' if broker.kind != 'embedded' else 'HOTPLATE_TASKS_DIR'}."
        raise HotplateError(
            f"{attempted} at {broker.shown}", reason(problem), remedy, code=ExitCode.FAILED
        ) from problem


def reason(problem: BaseException) -> str:
    """Return why a broker does not answer, without what may be secret in it."""
    text = str(problem) or type(problem).__name__
    while problem.__cause__ is not None and not text:
        problem = problem.__cause__
        text = str(problem)
    return hidden(" ".join(text.split())).rstrip(".") if "://" in text else " ".join(text.split()).rstrip(".")


def _problems(app: Value) -> tuple[type[BaseException], ...]:
    from kombu.exceptions import KombuError, OperationalError

    connection = app.connection_for_write()
    return (*connection.connection_errors, *connection.channel_errors, OperationalError, KombuError, OSError)
