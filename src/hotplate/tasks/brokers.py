"""Which broker carries the tasks, and where their results are kept: decided from the environment, without I/O.

The order is what Celery's and the hosting platforms' users know: CELERY_BROKER_URL names a broker, REDIS_URL is a Redis
that is there anyway, and where neither is set the embedded broker needs nothing installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from hotplate.errors import ExitCode, HotplateError
from hotplate.settings.kinds import OFF_WORDS
from hotplate.settings.refused import RefusedError
from hotplate.settings.secret import RedisUrl, hidden
from hotplate.tasks import place
from hotplate.tasks.embedded import url as file_url
from hotplate.tasks.installed import installed

Kind = Literal["embedded", "redis", "amqp", "other"]
REDIS_SOCKET = "hotplate-redis"  # our transport's name within a URL that leads to a Unix socket

_KINDS: Mapping[str, Kind] = {
    "hotplate": "embedded",
    "redis": "redis", "rediss": "redis", "valkey": "redis", "valkeys": "redis", "unix": "redis",
    "redis+socket": "redis", "valkey+socket": "redis", f"{REDIS_SOCKET}+socket": "redis",
    "sentinel": "redis", "amqp": "amqp", "amqps": "amqp", "pyamqp": "amqp",
}  # fmt: skip
_NEEDS: Mapping[Kind, tuple[str, str]] = {"redis": ("redis", "hotplate[redis]"), "amqp": ("amqp", "hotplate[tasks]")}


class Broker(NamedTuple):
    """Who carries the tasks.

    Args:
        url: as Celery takes it; it may hold a password.
        kind: what it is.
        origin: what named it, such as "REDIS_URL".
        shown: the URL without secrets, for messages.
        advice: what the user should know about the choice, a sentence; "" for nothing.
    """

    url: str
    kind: Kind
    origin: str
    shown: str
    advice: str = ""


class Results(NamedTuple):
    """Where results are kept.

    Args:
        url: as Celery takes it; it may hold a password.
        origin: what named it.
        shown: the URL without secrets.
        shared: whether other machines see the same results.
    """

    url: str
    origin: str
    shown: str
    shared: bool


def choose(environ: Mapping[str, str], main: str) -> Broker:
    """Return the broker that the environment names, or the embedded one.

    Args:
        environ: the variables.
        main: name of the Celery app, for the file of the embedded broker.

    Raises:
        HotplateError: USAGE; a URL cannot be used. MISSING_EXTRA; the package that speaks to it is missing.

    Example:
        >>> choose({"REDIS_URL": "redis://:hunter2@cache"}, "shop").shown
        'redis://:...@cache'
    """
    url = environ.get("CELERY_BROKER_URL", "").strip()
    if url:
        broker = described(url, "CELERY_BROKER_URL")
        _refuse_missing(broker)
        return broker
    url = environ.get("REDIS_URL", "").strip()
    if url and url.lower() not in OFF_WORDS:
        broker = described(_redis(url, "REDIS_URL"), "REDIS_URL")
        if installed("redis"):
            return broker
        # Platforms set REDIS_URL whether an app wants it or not, so that alone is no reason not to start.
        advice = "REDIS_URL is set, but redis-py is not installed: pip install 'hotplate[redis]' to share tasks there."
        return embedded(environ, main)._replace(advice=advice)
    return embedded(environ, main)


def embedded(environ: Mapping[str, str], main: str) -> Broker:
    """Return the broker that needs nothing installed: a file of this machine.

    Raises:
        HotplateError: no folder for it can be told.
    """
    return described(file_url(place.file(environ, main)), "embedded")


def results(environ: Mapping[str, str], broker: Broker, main: str) -> Results:
    """Return where results are kept when the app does not say.

    Beside the tasks, where that is a place to keep something in: RabbitMQ hands on messages and keeps none for whoever
    asks twice, so a Redis that is there is taken, or else a file of this machine.

    Args:
        environ: the variables.
        broker: that carries the tasks.
        main: name of the Celery app.

    Raises:
        HotplateError: REDIS_URL cannot be used.

    Example:
        >>> results({}, described("redis://cache", "REDIS_URL"), "shop").url
        'redis://cache'
    """
    url = environ.get("CELERY_RESULT_BACKEND", "").strip()
    if url:
        kept = described(url, "CELERY_RESULT_BACKEND")
        return Results(url, kept.origin, kept.shown, kept.kind != "embedded")
    if broker.kind in {"embedded", "redis"}:
        return Results(_for_results(broker), broker.origin, broker.shown, broker.kind == "redis")
    kept = choose({name: value for name, value in environ.items() if name != "CELERY_BROKER_URL"}, main)
    return Results(_for_results(kept), kept.origin, kept.shown, kept.kind == "redis")


def described(url: str, origin: str) -> Broker:
    """Return what a broker's URL says of it.

    Args:
        url: of the broker.
        origin: what named it.

    Example:
        >>> described("amqp://guest:guest@rabbit//", "CELERY_BROKER_URL").kind
        'amqp'
    """
    scheme = url.partition("://")[0].lower()
    kind = _KINDS.get(scheme, "other")
    if kind == "redis" and scheme in {"valkey", "valkeys", "unix", "redis+socket", "valkey+socket"}:
        url = _redis(url.replace("+socket", "", 1) if "+socket" in scheme else url, origin)
    return Broker(url, kind, origin, hidden(url.split(";", 1)[0]) + (" and others" if ";" in url else ""))


def _redis(url: str, origin: str) -> str:
    """Return the URL of a Redis as Kombu takes it: with a scheme of their own for Unix sockets."""
    scheme, _, rest = url.partition("://")
    if scheme.endswith("socket"):
        scheme = "unix"
    try:
        url = RedisUrl().parse(f"unix://{rest}" if scheme in {"redis", "valkey"} and rest.startswith("/") else url)
    except RefusedError as problem:
        raise HotplateError(
            f"use {origin} as the broker of tasks", problem.cause, f"Give {problem.right}.", code=ExitCode.USAGE
        ) from None
    if url.startswith("unix://"):
        return f"{REDIS_SOCKET}+socket://{url.removeprefix('unix://').replace('?db=', '?virtual_host=')}"
    return url


def _for_results(broker: Broker) -> str:
    """Return the URL of a Redis as Celery takes it for results: it asks for words about certificates."""
    url = broker.url.removeprefix(f"{REDIS_SOCKET}+").replace("socket://", "redis+socket://", 1)
    if url.lower().startswith("rediss://") and "ssl_cert_reqs" not in url:
        url += ("&" if "?" in url else "?") + "ssl_cert_reqs=required"
    return url


def _refuse_missing(broker: Broker) -> None:
    package, extra = _NEEDS.get(broker.kind, ("", ""))
    if package and not installed(package):
        raise HotplateError(
            f"send tasks by {broker.shown} ({broker.origin})",
            f"the package {package} is not installed",
            f"Type: pip install '{extra}'",
            code=ExitCode.MISSING_EXTRA,
        )
