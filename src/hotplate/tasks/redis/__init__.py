"""Tasks of many machines in one Redis (6.2 or newer) or Valkey: nothing taken is lost, however its taker ends.

Kombu's own transport takes a message from Redis in one command and writes down that it did in another: a worker killed
in between has lost it. What is written down belongs to nobody, so a message comes back only after a fixed time (an hour
by default), and a task that runs longer than that runs twice. Here a message is taken and written down in one step,
under the name of the process that took it (`scripts`), and comes back when that process is gone (`owners`).
"""

from __future__ import annotations

from importlib import import_module

from hotplate.tasks.untyped import Conf, Value

TRANSPORT = "hotplate.tasks.redis:Transport"
SECURE = "hotplate.tasks.redis:SecureTransport"
SENTINEL = "hotplate.tasks.redis:SentinelTransport"
# By TLS. Kombu drops a URL's scheme where it is told which transport to use, so the transport has to know.
_SECURE = frozenset({"rediss", "valkeys"})


def transport_name(url: str) -> str:
    """Return the name of what takes messages from the Redis of a URL without losing any, as Kombu imports it.

    Example:
        >>> transport_name("rediss://cache")
        'hotplate.tasks.redis:SecureTransport'
    """
    scheme = url.strip().partition(":")[0].lower()
    return SENTINEL if scheme == "sentinel" else SECURE if scheme in _SECURE else TRANSPORT


def is_ours(transport: Value) -> bool:
    """Whether an app's `broker_transport` is one of these."""
    return transport in {TRANSPORT, SECURE, SENTINEL}


def configure(conf: Conf, owner: str = "") -> None:
    """Make a Celery app whose broker is a Redis use this transport.

    Args:
        conf: of the app; what it says already stays.
        owner: name of the place that this process has in an instance, such as "shop-0@host". A process that takes the
            place of one that is gone gets back at once what that one had taken, even if it was on another machine;
            two that run at the same time must not have the same name. Empty: others notice within 15 seconds.

    Example:
        configure(app.conf, owner="shop-0@web1")
    """
    if not conf.get("broker_transport"):
        url = conf.broker_read_url or ""
        conf["broker_transport"] = transport_name(url if isinstance(url, str) else url[0])
    if owner:
        conf["broker_transport_options"] = {**(conf.get("broker_transport_options") or {}), "hotplate_owner": owner}


def __getattr__(name: str) -> Value:
    """Import redis-py only where there is a Redis."""
    if name in {"Channel", "SecureTransport", "SentinelTransport", "Transport"}:
        return getattr(import_module("hotplate.tasks.redis.transport"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
