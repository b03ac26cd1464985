"""While the broker is away, who sends a task is told soon and clearly, or has it run at once if that was asked for."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import chord, group
from kombu.exceptions import OperationalError

from hotplate.errors import HotplateError
from hotplate.tasks import BrokerUnreachable, sending
from tests.support.services import free_port
from tests.tasks.app.conftest import Make, Run

PATIENCE = 20.0  # seconds on a busy machine; Celery's defaults take longer


@pytest.fixture(params=["redis://:hunter2@127.0.0.1:{}/0", "amqp://app:hunter2@127.0.0.1:{}//"])
def nobody(request: pytest.FixtureRequest) -> str:
    """A URL where nobody listens."""
    return str(request.param).format(free_port())


@pytest.fixture(params=["redis://:hunter2@127.0.0.1:{}/0", "amqp://app:hunter2@127.0.0.1:{}//"])
def mute(request: pytest.FixtureRequest) -> Iterator[str]:
    """A URL where somebody listens and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield str(request.param).format(server.getsockname()[1])


def _calls(app: Any) -> list[Any]:
    @app.task
    def add(x: int, y: int) -> int:
        return x + y

    return [
        lambda: add.delay(1, 2),
        lambda: add.apply_async((1, 2), countdown=5),
        lambda: app.send_task("elsewhere", (1,)),
        (add.s(1, 2) | add.s(3)).apply_async,
        lambda: group([add.s(1, 2), add.s(3, 4)]).apply_async(),
        lambda: chord([add.s(1, 2)], add.s(3)).apply_async(),
    ]


def test_nobody_listens(make: Make, nobody: str) -> None:
    """Every way to send ends in an error that says what is wrong, what to type, and no password."""
    for call in _calls(
        make(broker_url=nobody, result_backend=nobody if nobody.startswith("redis") else "cache+memory://")
    ):
        begun = time.monotonic()
        with pytest.raises(BrokerUnreachable) as failed:
            call()
        assert time.monotonic() - begun < PATIENCE
        assert "refused" in str(failed.value)
        assert nobody.replace("hunter2", "...") in str(failed.value)
        assert "hunter2" not in str(failed.value)


def test_somebody_listens_and_says_nothing(make: Make, mute: str) -> None:
    """A broker that hangs does not make the web hang."""
    calls = _calls(make(broker_url=mute))
    begun = time.monotonic()
    with pytest.raises(BrokerUnreachable):
        calls[0]()
    assert time.monotonic() - begun < PATIENCE


def test_both_kinds_of_handler_catch_it(make: Make, nobody: str) -> None:
    """It is an error of Hotplate's, and the one that Celery's documentation names."""
    call = _calls(make(broker_url=nobody))[0]
    for kind in (HotplateError, OperationalError):
        with pytest.raises(kind):
            call()


def test_a_folder_that_cannot_be_written_to(make: Make, tmp_path: Path) -> None:
    """The embedded broker's own words, in the same error as a server's; or the task runs at once, if that was asked."""
    (tmp_path / "file").write_text("")
    url = f"hotplate:///{tmp_path / 'file' / 'tasks.sqlite'}"
    with pytest.raises(BrokerUnreachable, match=r"tasks\.sqlite") as failed:
        _calls(make(broker_url=url))[0]()
    assert "send tests.tasks.app" in str(failed.value)
    assert _calls(make(broker_url=url, without_broker="run"))[0]().get() == 3


@pytest.mark.redis
def test_a_web_worker_subscribes_to_nothing_it_does_not_wait_for(make: Make, redis_url: str) -> None:
    """Celery would subscribe to the result of every task that is sent, and stay subscribed."""
    app = make(result_backend=redis_url)
    result = _calls(app)[0]()
    assert not app.backend.result_consumer.subscribed_to
    app.backend.store_result(result.id, 3, "SUCCESS")
    assert result.get(timeout=60) == 3


def test_a_password_in_the_drivers_words_is_hidden(make: Make) -> None:
    """However it got there, quoted or not."""
    app = make(broker_url="amqp://app:hunter%402@queue//")
    failure = sending.unreachable(app, "shop.add", OperationalError("no access for app:hunter@2 (hunter%402)"))
    assert "hunter" not in str(failure)


def test_it_comes_back_from_results_as_it_was() -> None:
    """A task that failed with it has it as its result; Celery makes it anew from its arguments."""
    failure = BrokerUnreachable("send x", "it is away", "Start it.")
    assert str(BrokerUnreachable(*failure.args)) == str(failure)


def test_it_runs_at_once_where_that_was_asked_for(make: Make, nobody: str) -> None:
    """The caller gets its result, and links are followed."""
    app = make(broker_url=nobody, without_broker="run")
    seen: list[int] = []

    @app.task
    def add(x: int, y: int) -> int:
        return x + y

    @app.task
    def note(value: int) -> None:
        seen.append(value)

    result = add.apply_async((1, 2), link=note.s(), task_id="9e6a2a7e-14d9-4c4c-8f0c-5e7d8b0f3c11")
    assert (result.get(), result.id, seen) == (3, "9e6a2a7e-14d9-4c4c-8f0c-5e7d8b0f3c11", [3])
    assert add.delay(3, 4).state == "SUCCESS"


def test_a_task_that_fails_at_once_fails_as_in_a_worker(make: Make, nobody: str) -> None:
    """The request goes on; the result knows."""
    app = make(broker_url=nobody, without_broker="run")

    @app.task
    def bad() -> None:
        raise ValueError("no")

    assert bad.delay().state == "FAILURE"


@pytest.mark.parametrize(
    ("number", "why"), [(1, "run later"), (2, "not known"), (3, "chain"), (4, "group"), (5, "chord")]
)
def test_what_cannot_run_at_once_is_not_run(make: Make, nobody: str, number: int, why: str) -> None:
    """A reminder for tomorrow is not sent today; half a chain is worse than none."""
    calls = _calls(make(broker_url=nobody, without_broker="run"))
    with pytest.raises(BrokerUnreachable, match=why):
        calls[number]()


def test_a_running_task_waits_for_the_broker(make: Make, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it sends is part of work that has been accepted, so it is tried again while the broker restarts."""
    app = make()
    slept: list[float] = []
    clock = [0.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr(sending, "time", type("Clock", (), {"monotonic": lambda: clock[0], "sleep": sleep}))

    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(app.amqp, "send_task_message", away)

    @app.task
    def more() -> None: ...

    @app.task
    def begin() -> None:
        more.delay()

    app.use_fast_trace_task = True
    _, state, result = run(begin)
    assert state == "FAILURE"
    assert isinstance(result, BrokerUnreachable)
    assert sending.IN_TASKS <= sum(slept) < sending.IN_TASKS + 2


def test_a_broker_that_comes_back_is_used(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure is nothing that is remembered."""
    app = make()

    @app.task
    def add(x: int, y: int) -> int:
        return x + y

    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(app.amqp, "send_task_message", away)
        with pytest.raises(BrokerUnreachable, match="gone"):
            add.delay(1, 2)
    assert add.delay(1, 2).id


def test_another_applications_file(make: Make, tmp_path: Path) -> None:
    """Two applications on one embedded broker would take each other's tasks: the second is told, and what to type."""
    url = f"hotplate:///{tmp_path}/both.sqlite"
    make(broker_url=url, result_backend=None).send_task("work")
    other = make("admin", broker_url=url, result_backend=None)
    with pytest.raises(HotplateError, match=r"shop.*admin.*shared=yes"):
        other.send_task("work")
    make("admin", broker_url=f"{url}?shared=yes", result_backend=None).send_task("work")


@pytest.mark.redis
def test_a_redis_is_told_when(make: Make, redis_url: str) -> None:
    """It keeps no time of its own, and an operator asks how long the oldest task has waited."""
    app = make(broker_url=redis_url, result_backend=redis_url)
    begun = time.time()
    app.send_task("work", headers={"trace": "7"})
    with app.connection_for_read() as connection:
        message = connection.default_channel.basic_get("celery")
    assert message.headers["trace"] == "7"
    assert begun <= message.headers[sending.SENT] <= time.time()
