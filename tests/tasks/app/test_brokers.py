"""Which broker it is, from the environment alone."""

from __future__ import annotations

from typing import Any

import pytest
from kombu.connection import Connection

from hotplate.errors import ExitCode, HotplateError
from hotplate.tasks import brokers

_connection: Any = Connection  # without types
STATE = {"HOTPLATE_TASKS_DIR": "/state"}


@pytest.mark.parametrize(
    ("environ", "kind", "origin"),
    [
        ({}, "embedded", "embedded"),
        ({"REDIS_URL": "redis://cache"}, "redis", "REDIS_URL"),
        ({"REDIS_URL": "off"}, "embedded", "embedded"),
        ({"REDIS_URL": "redis://cache", "CELERY_BROKER_URL": "amqp://queue//"}, "amqp", "CELERY_BROKER_URL"),
        ({"CELERY_BROKER_URL": "hotplate:////srv/t.sqlite"}, "embedded", "CELERY_BROKER_URL"),
        ({"CELERY_BROKER_URL": "sqs://"}, "other", "CELERY_BROKER_URL"),
        ({"CELERY_BROKER_URL": "sentinel://a:1;sentinel://b:2"}, "redis", "CELERY_BROKER_URL"),
    ],
)
def test_the_order(environ: dict[str, str], kind: str, origin: str) -> None:
    """A broker that is named, a Redis that is there, a file."""
    broker = brokers.choose({**STATE, **environ}, "shop")
    assert (broker.kind, broker.origin) == (kind, origin)


def test_the_embedded_one_is_a_file_of_the_app() -> None:
    """Kombu reads its path from the URL as it is, spaces and all."""
    broker = brokers.choose({"HOTPLATE_TASKS_DIR": "/my state"}, "shop")
    assert broker.url == "hotplate:////my%20state/shop.sqlite"
    assert _connection(broker.url, transport="memory").virtual_host == "/my state/shop.sqlite"


@pytest.mark.parametrize(
    "url",
    ["redis://app:hunter2@cache/0", "amqp://app:hunter2@queue//", "rediss://:hunter2@c", "redis://c?password=hunter2"],
)
def test_no_password_is_shown(url: str) -> None:
    """What messages show has dots in its place."""
    broker = brokers.choose({"CELERY_BROKER_URL": url}, "shop")
    assert "hunter2" in broker.url
    assert "hunter2" not in broker.shown
    assert "hunter2" not in brokers.results({}, broker, "shop").shown or broker.kind == "amqp"


def test_results_lie_beside_the_tasks() -> None:
    """In the same file, in the same Redis."""
    for environ in ({}, {"REDIS_URL": "redis://cache/3"}):
        broker = brokers.choose({**STATE, **environ}, "shop")
        kept = brokers.results({**STATE, **environ}, broker, "shop")
        assert kept.url == broker.url
        assert kept.shared is (broker.kind == "redis")


def test_results_of_rabbitmq_lie_where_something_can_be_kept() -> None:
    """In a Redis if there is one; else in a file, which other machines do not see."""
    broker = brokers.described("amqp://queue//", "CELERY_BROKER_URL")
    environ = {**STATE, "CELERY_BROKER_URL": broker.url}
    kept = brokers.results(environ, broker, "shop")
    assert (kept.url, kept.shared) == ("hotplate:////state/shop.sqlite", False)
    kept = brokers.results({**environ, "REDIS_URL": "redis://cache"}, broker, "shop")
    assert (kept.url, kept.shared) == ("redis://cache", True)
    kept = brokers.results({**environ, "CELERY_RESULT_BACKEND": "db+sqlite:///x"}, broker, "shop")
    assert kept.url == "db+sqlite:///x"


def test_a_redis_by_its_socket() -> None:
    """Kombu and Celery write it differently; both get theirs."""
    broker = brokers.choose({"REDIS_URL": "unix:///run/redis.sock?db=2"}, "shop")
    assert broker.kind == "redis"
    assert _connection(broker.url).hostname == "socket:///run/redis.sock?virtual_host=2"
    assert brokers.results({}, broker, "shop").url == "redis+socket:///run/redis.sock?virtual_host=2"


def test_certificates_of_results_are_checked() -> None:
    """Celery's results refuse to start without a word on certificates; the transport of tasks knows by itself."""
    for name in ("REDIS_URL", "CELERY_BROKER_URL"):
        broker = brokers.choose({name: "rediss://cache"}, "shop")
        assert broker.url == "rediss://cache"
        assert brokers.results({}, broker, "shop").url == "rediss://cache?ssl_cert_reqs=required"
        broker = brokers.choose({name: "rediss://cache?ssl_cert_reqs=none"}, "shop")
        assert brokers.results({}, broker, "shop").url == broker.url == "rediss://cache?ssl_cert_reqs=none"
        assert brokers.choose({name: "valkeys://cache"}, "shop").url == "rediss://cache"


@pytest.mark.parametrize("url", ["cache:6379", "http://cache", "redis://"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    """Named with the variable that holds it."""
    with pytest.raises(HotplateError, match="REDIS_URL") as refused:
        brokers.choose({"REDIS_URL": url}, "shop")
    assert refused.value.code is ExitCode.USAGE


def test_a_redis_that_cannot_be_spoken_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for by name it is an error with the command to type; merely there, it is passed over and said."""
    monkeypatch.setattr(brokers, "installed", lambda _: False)
    chosen = brokers.choose({**STATE, "REDIS_URL": "redis://cache"}, "shop")
    assert chosen.kind == "embedded"
    assert "pip install 'hotplate[redis]'" in chosen.advice
    with pytest.raises(HotplateError, match=r"pip install 'hotplate\[redis\]'") as refused:
        brokers.choose({"CELERY_BROKER_URL": "redis://:hunter2@cache"}, "shop")
    assert refused.value.code is ExitCode.MISSING_EXTRA
    assert "hunter2" not in str(refused.value)
