"""What is true where the app's user says nothing: worked out when Celery reads its configuration, and laid below it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches

from celery.app.defaults import SETTING_KEYS

from hotplate.errors import ExitCode, HotplateError
from hotplate.tasks import brokers, defaults, redis
from hotplate.tasks.untyped import Conf, Value


def lowest(conf: Conf, fallback: brokers.Broker, main: str) -> dict[str, Value]:
    """Return what is true where a configuration says nothing.

    Args:
        conf: of a Celery app.
        fallback: the broker where it names none.
        main: name of the app.
    """
    named = names_broker(conf)
    broker = brokers.described(text(conf.broker_url), "the app") if named and conf.broker_url else fallback
    layer = dict(defaults.settings(broker.kind))
    layer["task_soft_time_limit"], layer["task_time_limit"] = defaults.limits(
        (conf.get("task_soft_time_limit"), layer["task_soft_time_limit"]),
        (conf.get("task_time_limit"), layer["task_time_limit"]),
    )
    if not named:
        layer["broker_url"] = fallback.url
    if broker.kind == "embedded":
        layer["broker_transport_options"] = {"application": main}  # the file is refused to another one
    if broker.kind == "redis" and not conf.get("broker_transport"):
        layer["broker_transport"] = redis.transport_name(broker.url)
    if not conf.result_backend:
        layer["result_backend"] = brokers.results(os.environ, broker, main).url
    return layer


def names_broker(conf: Conf) -> bool:
    """Whether a configuration, or the environment for it, says which broker to use."""
    return any(conf.get(name) for name in ("broker_transport", "broker_read_url", "broker_write_url")) or bool(
        conf.broker_url
    )


def refuse_unknown(conf: Mapping[str, Value]) -> None:
    """Refuse settings that neither Celery nor Hotplate knows.

    Args:
        conf: settings by name.

    Raises:
        HotplateError: USAGE; with the name that was meant.
    """
    known = [*SETTING_KEYS, *defaults.OURS]
    for name in sorted(set(conf) - set(known)):
        close = get_close_matches(name.lower(), known, n=1)
        raise HotplateError(
            f"make a Celery app with {name}={conf[name]!r}",
            "Celery has no such setting",
            f"Did you mean {close[0]}?" if close else "Its settings are in lower case, such as task_time_limit.",
            code=ExitCode.USAGE,
        )


def text(url: Value) -> str:
    """Return a URL, or several that stand in for each other, as one text."""
    return ";".join(url) if isinstance(url, list | tuple) else str(url or "")


class FromWeb(Mapping[str, Value]):
    """Celery's settings within a web app's configuration, as they are at the moment."""

    def __init__(self, config: Callable[[], Mapping[str, Value]]) -> None:
        self._config = config

    def _now(self) -> dict[str, Value]:
        config = self._config()
        single = {name[7:].lower(): value for name, value in config.items() if name.startswith("CELERY_")}
        given = config.get("CELERY")
        return {name: value for name, value in single.items() if name in SETTING_KEYS} | dict(given or {})

    def __getitem__(self, name: str) -> Value:
        return self._now()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())
