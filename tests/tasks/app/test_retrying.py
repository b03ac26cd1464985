"""What becomes of a task that asks to be tried again, while its next try is on its way."""

from __future__ import annotations

from typing import Any

import pytest
from celery.exceptions import Reject
from kombu.exceptions import OperationalError

from hotplate.tasks.app import Application
from tests.tasks.app.conftest import Make, Run


@pytest.fixture
def app(make: Make, monkeypatch: pytest.MonkeyPatch) -> Application:
    """An app whose brokers hand out a task at once, and whose other workers run it to its end before anything else."""
    app = make()

    def send(*_: object, task_id: str, retries: int, **__: object) -> None:
        told.append((app.AsyncResult(task_id).state, retries))
        app.backend.store_result(task_id, ValueError("failed by another"), "FAILURE")

    told: list[tuple[str, int]] = []
    monkeypatch.setattr(app, "send_task", send)
    monkeypatch.setattr(app, "told", told, raising=False)
    return app


def test_its_next_try_has_the_last_word(app: Any, run: Run) -> None:
    """That it is tried again is stored before its next try is sent, and not after that has ended."""

    @app.task(bind=True)
    def work(self: Any) -> None:
        raise self.retry(exc=ValueError("not yet"), countdown=0)

    assert run(work)[1] == "FAILURE"
    assert app.told == [("RETRY", 1)]


def test_so_it_has_where_retries_are_automatic(app: Any, run: Run) -> None:
    """`autoretry_for` is the same."""

    @app.task(autoretry_for=(ZeroDivisionError,), retry_backoff=False, default_retry_delay=0)
    def work() -> float:
        return 1 / 0

    assert run(work)[1] == "FAILURE"
    assert app.told == [("RETRY", 1)]


def test_another_task_is_none_of_it(app: Any, run: Run) -> None:
    """A task that sends others, and asks to be tried again after that, is said to be so once it does."""

    @app.task
    def other() -> None: ...

    @app.task(bind=True)
    def work(self: Any) -> None:
        other.apply_async(task_id="other", retries=0)
        raise self.retry(countdown=0)

    run(work)
    assert app.told == [("PENDING", 0), ("RETRY", 1)]


def test_a_try_that_cannot_be_sent_is_kept(make: Make, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task whose next try cannot be sent goes back to its queue; Celery would throw it away."""
    app = make()
    given_back = []

    def send(*_: object, **__: object) -> None:
        message = "no room"
        raise OperationalError(message)

    @app.task(bind=True)
    def work(self: Any) -> None:
        with pytest.raises(Reject) as rejected:
            self.retry(countdown=0)
        given_back.append((rejected.value.requeue, rejected.value.reason))
        raise rejected.value

    monkeypatch.setattr(app, "send_task", send)
    assert run(work)[1] == "RETRY"
    assert given_back == [(True, "no room")]


def test_a_try_that_cannot_be_sent_fails_where_nothing_is_kept(
    make: Make, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that is acknowledged before it runs has no message to go back: that its next try is lost, is said."""
    app = make()

    def send(*_: object, **__: object) -> None:
        message = "no room"
        raise OperationalError(message)

    @app.task(bind=True, acks_late=False)
    def work(self: Any) -> None:
        raise self.retry(countdown=0)

    monkeypatch.setattr(app, "send_task", send)
    _, state, result = run(work)
    assert (state, str(result)) == ("FAILURE", "no room")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"args": (object(),)}, "object"),
        ({"kwargs": {"unknown": 1}}, "unexpected keyword argument 'unknown'"),
        ({"expires": "soon"}, "soon"),
    ],
)
def test_a_try_that_can_never_be_sent_fails(make: Make, run: Run, asked: dict[str, Any], words: str) -> None:
    """A task that asks for what no broker takes fails at once, with the words that `delay` would have had."""

    @make().task(bind=True)
    def work(self: Any, number: int = 1) -> int:
        self.retry(countdown=0, exc=ValueError("not yet"), **asked)
        return number

    _, state, result = run(work)
    assert state == "FAILURE"
    assert not isinstance(result, Reject)
    assert words in str(result)


def test_so_it_has_where_retries_are_automatic_and_wrong(make: Make, run: Run) -> None:
    """`autoretry_for` is the same: what it cannot ask for is no reason to ask again."""

    @make().task(autoretry_for=(Exception,), retry_kwargs={"expires": "soon"}, default_retry_delay=0)
    def work() -> float:
        return 1 / 0

    _, state, result = run(work)
    assert state == "FAILURE"
    assert "soon" in str(result)


def test_a_store_that_is_away_does_not_keep_it(app: Any, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """That it is tried again cannot be stored: it is tried again all the same, once."""
    store = app.backend.store_result

    def failing(task_id: str, result: object, state: str, **more: object) -> None:
        if state == "RETRY":
            message = "away"
            raise OSError(message)
        store(task_id, result, state, **more)

    @app.task(bind=True)
    def work(self: Any) -> None:
        raise self.retry(countdown=0)

    monkeypatch.setattr(app.backend, "store_result", failing)
    assert run(work)[1] == "FAILURE"
    assert app.told == [("STARTED", 1)]
