"""The beat beside the web workers: exactly one sends, whatever is killed or reloaded."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from tests.e2e.tasks.conftest import SCHEDULED, Runs, Shop
from tests.support.waiting import wait_until

pytestmark = pytest.mark.process
EVERY = 0.5  # seconds, as in SCHEDULED


def test_what_is_scheduled_is_sent(run: Runs) -> None:
    """An app with a schedule has a beat without being asked for one."""
    with run(SCHEDULED) as shop:
        shop.until_noted("tick 1")
        assert shop.pid("beat")
        assert shop.site.status()["tasks"]["beat"]


def test_one_beat_sends_after_a_kill_and_a_reload(run: Runs) -> None:
    """Never two at once: no more is sent than one would send in the time that passed."""
    with run(SCHEDULED) as shop:
        shop.until_noted("tick 1")
        began, so_far = time.monotonic(), len(shop.notes("tick"))
        before = shop.pid("beat")
        os.kill(before, signal.SIGKILL)
        now = shop.until_another(before, "beat")
        _more(shop)
        assert shop.site.command("reload").returncode == 0
        shop.until_another(now, "beat")
        _more(shop)
        sent, seconds = len(shop.notes("tick")) - so_far, time.monotonic() - began
        assert sent <= seconds / EVERY + 4  # whoever takes over may send at once what was due meanwhile


def test_two_instances_share_one_beat(run: Runs) -> None:
    """Machines of the same kind need no special one among them: the others stand by."""
    with run(SCHEDULED) as shop, run(SCHEDULED, "--name", "second") as second:
        shop.until_noted("tick 1")
        first, other = shop.pid("beat"), wait_until(lambda: second_beat(second), what="the second has one, too")
        began, so_far = time.monotonic(), len(shop.notes("tick"))
        _more(shop, 6)
        sent, seconds = len(shop.notes("tick")) - so_far, time.monotonic() - began
        assert sent <= seconds / EVERY + 3
        assert shop.site.command("stop").returncode == 0
        _more(shop)
        assert first != other


def test_a_beat_can_be_refused(run: Runs) -> None:
    """`--beat off` runs tasks and sends nothing that is scheduled."""
    with run(SCHEDULED, "--beat", "off") as shop:
        assert shop.pid("beat") == 0
        assert shop.site.get("/write/letter").status == 200
        shop.until_noted("letter 1")
        assert shop.notes("tick") == []


def second_beat(shop: Shop) -> int:
    """Return the beat of the instance named second; 0 if it has none yet."""
    status = json.loads(shop.site.command("status", "--json", "--name", "second").stdout or "{}")
    crew = (status.get("tasks") or {"crew": []})["crew"]
    return next((each["pid"] for each in crew if each["role"] == "beat"), 0)


def _more(shop: Shop, count: int = 3) -> None:
    so_far = len(shop.notes("tick"))
    wait_until(lambda: len(shop.notes("tick")) >= so_far + count, what="ticks go on")
