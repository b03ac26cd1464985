"""Outside it may be known how far a task is, and nothing else of it."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from celery import group

from hotplate.errors import ExitCode, HotplateError
from hotplate.tasks import status
from tests.tasks.app.conftest import Make, Run

ID = "d9428888-122b-41e1-b85c-61cd3cbb3210"


@pytest.mark.parametrize(
    ("kept", "result", "state", "final"),
    [
        ("PENDING", None, "waiting", False),
        ("RECEIVED", None, "waiting", False),
        ("STARTED", {"pid": 7, "hostname": "secret"}, "running", False),
        ("PROGRESS", {"done": 1, "total": 4, "message": "first"}, "running", False),
        ("SENDING", {"to": "secret"}, "running", False),
        ("RETRY", ValueError("secret"), "retrying", False),
        ("SUCCESS", "secret", "done", True),
        ("FAILURE", ValueError("secret"), "failed", True),
        ("REVOKED", ValueError("secret"), "cancelled", True),
    ],
)
def test_every_state_has_a_name(make: Make, kept: str, result: Any, state: str, final: bool) -> None:
    """And no result, exception, traceback, argument or host is in its JSON."""
    app, identity = make(), str(uuid4())
    if kept != "PENDING":
        app.backend.store_result(identity, result, kept, traceback="File secret")
    told = json.loads(status.encode(status.read(app, identity)))
    assert (told["id"], told["state"], told["final"]) == (identity, state, final)
    assert "secret" not in json.dumps(told)
    assert set(told) == {"id", "state", "final", "progress"}


def test_progress_is_told(make: Make) -> None:
    """In the task's unit and as a percentage."""
    app, identity = make(), str(uuid4())
    app.backend.store_result(identity, {"done": 1, "total": 4, "message": "first"}, "PROGRESS")
    told = json.loads(status.encode(status.read(app, identity)))
    assert told["progress"] == {"done": 1, "total": 4, "message": "first", "percent": 25.0}


def test_what_a_task_returns_is_shown_only_if_that_was_said(make: Make, run: Run) -> None:
    """For this task, and not for another one."""
    app = make()

    @app.task
    def work() -> dict[str, Any]:
        return {"id": str(uuid4()), "n": 7}

    shown, hidden = run(work), run(work)
    status.show_result(app, shown[0])
    assert json.loads(status.encode(status.read(app, shown[0])))["result"]["n"] == 7
    assert "result" not in json.loads(status.encode(status.read(app, hidden[0])))


def test_a_failure_is_never_shown(make: Make, run: Run) -> None:
    """Even where the result would be."""
    app = make()

    @app.task
    def work() -> None:
        raise ValueError("secret")

    identity = run(work)[0]
    status.show_result(app, identity)
    assert b"secret" not in status.encode(status.read(app, identity))


@pytest.mark.parametrize(
    "text",
    ["", "1", "../../etc/passwd", ID + "x", ID[:-1], ID.replace("-", ""), f"{{{ID}}}", "\u0661" + ID[1:], ID + "\n"],
)
def test_only_a_uuid_is_an_id(text: str) -> None:
    """Nothing else reaches the place of results."""
    assert status.task_id(text) is None
    assert status.task_id(ID.upper()) == ID


def test_results_that_cannot_be_read(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the driver raises, it is one error, without the driver's words."""
    app = make()

    def away(*_: Any, **__: Any) -> None:
        raise ConnectionError("redis://:hunter2@cache")

    monkeypatch.setattr(app.backend, "get_task_meta", away)
    with pytest.raises(status.StatusUnavailableError) as failed:
        status.read(app, ID)
    assert "hunter2" not in str(failed.value)


def _refused(result: Any) -> str:
    with pytest.raises(HotplateError) as refused:
        status.of_result(result)
    assert refused.value.code is ExitCode.USAGE
    return str(refused.value)


def test_a_status_that_nobody_could_read_is_refused(make: Make) -> None:
    """With what to change."""
    app, mute = make(), make("mute", result_backend=None)
    mute.conf["result_backend"] = "disabled"

    @app.task
    def work() -> None: ...

    @app.task(ignore_result=True)
    def silent() -> None: ...

    @mute.task
    def lost() -> None: ...

    assert "CELERY_RESULT_BACKEND" in _refused(lost.delay())
    assert "ignore_result" in _refused(silent.delay())
    assert "could be guessed" in _refused(work.apply_async(task_id="newsletter-7"))
    assert "GroupResult" in _refused(group([work.s()]).apply_async())
    assert "str" in _refused("newsletter-7")
    assert status.of_result(work.delay())[1].state == "waiting"


def test_what_ran_at_once_is_known(make: Make) -> None:
    """Without asking anybody."""

    @make().task
    def work() -> int:
        return 1

    found, known = status.of_result(work.apply())
    assert (found.main, known.state, known.final) == ("shop", "done", True)
