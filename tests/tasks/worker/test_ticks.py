"""A tick that its beat sent twice, killed before it noted the first time, is run once: the same on every broker."""

from __future__ import annotations

from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import pytest

from hotplate.tasks.app import Application
from tests.support.waiting import DEADLINE
from tests.tasks.worker.chores import notes
from tests.tasks.worker.conftest import Serve

CHORES = "tests.tasks.worker.chores"
OURS, ANOTHER = (str(uuid5(NAMESPACE_OID, name)) for name in ("shop:nightly:7:2026-03-10T12:00:00+00:00", "another"))
SENT_BY_A_BEAT = {"celery_beat_task": True}

pytestmark = pytest.mark.process


def test_a_tick_that_is_done_is_not_run_again(serve: Serve, client: Application, folder: Path) -> None:
    """A tick is known again by its id; ids that somebody else chose, for ticks or not, mean what they do to Celery."""
    sent = [("ours", OURS, SENT_BY_A_BEAT), ("theirs", "nightly", SENT_BY_A_BEAT), ("none", ANOTHER, {})]
    for name, task_id, headers in sent * 2:
        (folder / name).touch()
        client.send_task(f"{CHORES}.hold", (name,), task_id=task_id, headers=dict(headers))
    result = client.send_task(f"{CHORES}.add", (1, 2))
    serve(concurrency=1)
    assert result.get(timeout=DEADLINE) == 3
    assert {name: len(notes(folder, f"{name}.done")) for name, _, _ in sent} == {"ours": 1, "theirs": 2, "none": 2}
