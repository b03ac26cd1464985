"""When a worker that stops gives its tasks back: not in the middle of talking to its broker."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from hotplate.tasks.embedded import file
from hotplate.tasks.worker import leaving
from tests.support.waiting import wait_until


@pytest.fixture
def given_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Workers that have given back, of which one listens that has begun to stop."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGQUIT)}
    given: list[object] = []
    monkeypatch.setattr(leaving, "give_back", given.append)
    monkeypatch.setattr("celery.worker.state.should_stop", 0)
    leaving.listen(SimpleNamespace(abandoned=False, stopping=True, hub=object()))
    yield given
    for number, handler in before.items():
        signal.signal(number, handler)


def test_at_once(given_back: list[object]) -> None:
    """A worker that waits for its tasks gives them back as soon as it is told to."""
    os.kill(os.getpid(), signal.SIGQUIT)
    assert len(given_back) == 1


def test_after_a_transaction(given_back: list[object], tmp_path: Path) -> None:
    """One that is writing to its broker writes that to its end: a second transaction within would wait for ever."""
    with file.open(tmp_path / "tasks.sqlite").write() as writing:

        def tell(_topic: str) -> set[str]:
            os.kill(os.getpid(), signal.SIGQUIT)
            assert not given_back
            return set()

        writing.listeners = tell  # type: ignore[assignment,method-assign]  # called within the commit
        writing.notify("queue:celery")
    wait_until(lambda: given_back, what="it is told again")
