"""Settings of tasks: brokers are URLs whose passwords stay hidden, and a machine for tasks has something to do."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from hotplate.errors import ExitCode, HotplateError
from hotplate.settings import Settings, resolve
from hotplate.settings.secret import BrokerUrl

NOWHERE = Path("/nonexistent")


@pytest.mark.parametrize(
    "url",
    [
        "redis://cache:6379/0",
        "rediss://:pw@cache/1?ssl_cert_reqs=required",
        "redis+socket:///run/redis.sock",
        "amqp://user:pw@queue:5672/vhost",
        "pyamqp://",
        "amqp://user:pw@one//;amqp://user:pw@two//",
        "sqs://",
        "hotplate:////var/lib/tasks.sqlite?durable=yes",
    ],
)
def test_a_broker_is_whatever_celery_takes(url: str) -> None:
    """The text is handed on as it is, and none of its passwords is shown."""
    assert BrokerUrl().parse(f" {url} ") == url
    assert "pw" not in BrokerUrl().show(url)


@pytest.mark.parametrize(
    "raw", ["", "cache:6379", "redis", "amqp://a b", "redis://x\ny", 5, "hunter2", "amqp://a;", "://"]
)
def test_what_is_no_broker_is_refused_without_its_password(raw: object) -> None:
    """A slip of the pen is told before anything is started, and not printed."""
    with pytest.raises(HotplateError) as caught:
        resolve({"broker_url": raw}, {}, NOWHERE)
    assert caught.value.code == ExitCode.USAGE
    assert "broker_url" in str(caught.value)


def test_a_mistyped_broker_does_not_show_its_password() -> None:
    """The line says which setting it was and hides what could be a secret."""
    with pytest.raises(HotplateError) as caught:
        resolve({}, {"CELERY_BROKER_URL": "amqp//user:hunter2@queue"}, NOWHERE)
    assert "hunter2" not in str(caught.value)
    assert "CELERY_BROKER_URL" in str(caught.value)


def test_none_is_a_broker_too() -> None:
    """`off` in a settings file takes back what the environment of a platform says."""
    assert resolve({"broker_url": "off"}, {"CELERY_BROKER_URL": "amqp://x"}, NOWHERE).settings.broker_url == ""


def test_settings_travel_with_the_password() -> None:
    """What is hidden from people still reaches the processes, and no representation has it."""
    settings = Settings(broker_url="amqp://user:hunter2@queue")
    assert msgspec.json.decode(msgspec.json.encode(settings), type=Settings).broker_url == settings.broker_url
    assert "hunter2" not in repr(settings)


def test_a_machine_for_tasks_has_something_to_do() -> None:
    """Neither web workers nor tasks nor a beat would be an instance of nothing."""
    with pytest.raises(HotplateError, match="task_workers is 0") as caught:
        resolve({"only": "tasks", "task_workers": "0"}, {}, NOWHERE)
    assert caught.value.code == ExitCode.USAGE
    assert resolve({"only": "tasks", "task_workers": "0", "beat": "on"}, {}, NOWHERE).settings.beat == "on"


def test_what_to_run_can_be_told_by_a_variable() -> None:
    """One image serves as web machine and as machine for tasks."""
    assert resolve({}, {"HOTPLATE_ONLY": "tasks"}, NOWHERE).settings.only == "tasks"


@pytest.mark.parametrize(
    ("raw", "queues"),
    [
        (("celery,mail", "slow"), ("celery", "mail", "slow")),
        (["big queue"], ("big queue",)),
        ("auto", ()),
        (("auto",), ()),
        ("off", ()),
    ],
)
def test_queues_are_named(raw: object, queues: tuple[str, ...]) -> None:
    """By a flag as often as wanted, with commas, or as a list in a file; auto is what the app names."""
    assert resolve({"task_queues": raw}, {}, NOWHERE).settings.task_queues == queues
    assert resolve({}, {"HOTPLATE_TASK_QUEUES": "a,b"}, NOWHERE).settings.task_queues == ("a", "b")


@pytest.mark.parametrize("raw", ["", "celery,,mail", "ma\nil", "x" * 256, 7.5])
def test_what_is_no_queue_is_refused(raw: object) -> None:
    """Before anything is started."""
    with pytest.raises(HotplateError, match="task_queues") as caught:
        resolve({"task_queues": raw}, {}, NOWHERE)
    assert caught.value.code == ExitCode.USAGE
