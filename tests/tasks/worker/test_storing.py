"""What becomes of a result that cannot be stored."""

from __future__ import annotations

import pytest

from hotplate.tasks.app import Application
from tests.support.waiting import free_port
from tests.tasks.worker.conftest import Serve

CHORES = "tests.tasks.worker.chores"


@pytest.mark.process
@pytest.mark.parametrize("broker", [pytest.param("redis", marks=pytest.mark.redis)], indirect=True)
def test_waits_for_the_store_of_results_once(
    serve: Serve, client: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When results cannot be stored, the process of a task waits a while, its worker goes on, and it is parked."""
    monkeypatch.setenv("CELERY_RESULT_BACKEND", f"redis://127.0.0.1:{free_port()}/0")
    worker = serve().connected()
    client.send_task(f"{CHORES}.add", (1, 2))
    worker.counts(failed=1, parked=1)
    assert worker.stop() == 0
    assert worker.log.count(" more times.") == worker.log.count(" 0 more times.") * 11 == 11
