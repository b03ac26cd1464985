"""A stream tells each change once, ends with the task, and costs nothing while nothing happens."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from hotplate.tasks import news, status, stream
from hotplate.tasks.app import Application
from tests.support.waiting import DEADLINE, wait_until
from tests.tasks.app.conftest import Make


@pytest.fixture(params=["file", "memory", pytest.param("redis", marks=pytest.mark.redis)])
def app(request: pytest.FixtureRequest, make: Make, tmp_path: Path) -> Application:
    """An app whose results tell of themselves, one whose results have to be asked for, and one that subscribes."""
    if request.param == "memory":
        return make()
    if request.param == "redis":
        return make(result_backend=request.getfixturevalue("redis_url"))
    (tmp_path / "state").mkdir(mode=0o700)
    return make(result_backend=f"hotplate:///{tmp_path / 'state' / 'shop.sqlite'}")


def _told(frame: bytes) -> Any:
    return json.loads(frame.partition(b"data: ")[2])


def _steps(app: Application, identity: str) -> Iterator[str]:
    """Let a task go one step at each call."""
    for number in (1, 2):
        app.backend.store_result(identity, {"done": number, "total": 2, "message": ""}, "PROGRESS")
        yield "running"
    app.backend.store_result(identity, 7, "SUCCESS")
    yield "done"


def test_each_change_is_told(app: Application) -> None:
    """From waiting to done, and then it ends."""
    identity = str(uuid4())
    steps = _steps(app, identity)
    seen = []
    for frame in stream.frames(app, identity):
        if not frame.startswith(b":"):
            seen.append(_told(frame)["state"])
            next(steps, None)
    assert seen == ["waiting", "running", "running", "done"]


def test_each_change_is_told_without_a_thread(app: Application) -> None:
    """The same under ASGI."""
    identity = str(uuid4())
    steps = _steps(app, identity)

    async def follow() -> list[str]:
        seen = []
        async for frame in stream.frames_async(app, identity):
            if not frame.startswith(b":"):
                seen.append(_told(frame)["state"])
                next(steps, None)
        return seen

    assert asyncio.run(follow()) == ["waiting", "running", "running", "done"]


def test_the_end_is_marked(app: Application) -> None:
    """A browser comes back after every end; with the last event's id it is told to stay away."""
    identity = str(uuid4())
    app.backend.store_result(identity, 7, "SUCCESS")
    (frame,) = stream.frames(app, identity)
    assert frame.startswith(b"retry: 2000\n\nid: done\ndata: {")
    assert frame.endswith(b"}\n\n")
    assert stream.is_over("done")
    assert not stream.is_over("running")
    assert not stream.is_over(None)


def test_a_client_that_has_gone_ends_it(app: Application) -> None:
    """Nobody waits any more, and the thread that listened for it ends."""
    frames = stream.frames(app, str(uuid4()))
    next(frames)
    assert news.of(app).waiting() == 1
    frames.close()  # type: ignore[attr-defined]  # a generator, as servers close it (PEP 3333)
    assert news.of(app).waiting() == 0
    wait_until(lambda: news.of(app)._thread is None, what="the end of the thread that listened")


def test_an_asynchronous_client_that_has_gone_ends_it(app: Application) -> None:
    """By cancelling, as ASGI servers do."""

    async def leave() -> None:
        async def follow() -> None:
            async for _ in stream.frames_async(app, str(uuid4())):
                begun.set()

        begun = asyncio.Event()
        task = asyncio.create_task(follow())
        await begun.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(leave())
    assert news.of(app).waiting() == 0


def test_its_life_is_bounded(app: Application) -> None:
    """The browser comes back; the thread is free in between."""
    assert len(list(stream.frames(app, str(uuid4()), life=0))) == 1


def test_streams_that_hold_a_thread_are_bounded(app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many is answered once, and the browser asks again: as polling would."""
    monkeypatch.setattr(stream, "MOST", 1)
    first = stream.frames(app, str(uuid4()))
    next(first)
    assert len(list(stream.frames(app, str(uuid4())))) == 1
    first.close()  # type: ignore[attr-defined]  # a generator


def test_results_that_are_away_bring_the_browser_back_later(app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error would have it stay away for good."""

    def away(*_: Any) -> None:
        raise status.StatusUnavailableError("ConnectionError")

    monkeypatch.setattr(status, "read", away)
    assert list(stream.frames(app, str(uuid4()))) == [b"retry: 5000\n\n"]


def test_silence_is_broken(app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment now and then, by which a client that has gone is noticed."""
    monkeypatch.setattr(stream, "SILENCE", 0.0)
    monkeypatch.setattr(stream, "LOOK", 0.0)
    frames = stream.frames(app, str(uuid4()))
    next(frames)
    assert next(frames) == b":\n\n"
    frames.close()  # type: ignore[attr-defined]  # a generator


def test_a_process_that_stops_ends_them(app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, so that a page left open delays no release; the browser comes back to the next one."""
    monkeypatch.setattr(stream, "_leaving", threading.Event())
    frames = stream.frames(app, str(uuid4()))
    next(frames)
    ended = threading.Thread(target=lambda: list(frames))
    ended.start()
    stream.leave()
    ended.join(DEADLINE)
    assert not ended.is_alive()
    assert len(list(stream.frames(app, str(uuid4())))) == 1


def test_many_streams_share_a_thread(app: Application) -> None:
    """However many wait, one listens."""
    before = threading.active_count()
    follow = [stream.frames(app, str(uuid4())) for _ in range(stream.MOST)]
    for frames in follow:
        next(frames)
    assert news.of(app).waiting() == stream.MOST
    assert threading.active_count() <= before + 1
    for frames in follow:
        frames.close()  # type: ignore[attr-defined]  # a generator
