"""What processes have measured is added up, bounded, and survives damage."""

import os
from pathlib import Path

import msgspec
import pytest

from hotplate.cache import measured
from hotplate.cache.measured import Measured, Suggestion, read, write


def as_process(folder: Path, pid: int, *routes: Suggestion, **reasons: int) -> None:
    """Write as another process would."""
    content = msgspec.json.encode(Measured(routes, reasons))
    (folder / f"measured-{pid}.json").write_bytes(content)


def test_processes_are_added_up(tmp_path: Path) -> None:
    """Figures of one route add up, and the most worthwhile route comes first."""
    one = Suggestion(route="/a", requests=10, hits=5, seconds_saved=1.0, rule="/a ttl=60s")
    as_process(tmp_path, 1, one, Suggestion(route="/b", requests=1, seconds_saved=5.0), private=3)
    as_process(tmp_path, 2, one, private=1, set_cookie=9)
    found = read(tmp_path)
    assert [each.route for each in found.routes] == ["/b", "/a"]
    assert found.routes[1] == Suggestion(route="/a", requests=20, hits=10, seconds_saved=2.0, rule="/a ttl=60s")
    assert list(found.reasons.items()) == [("set_cookie", 9), ("private", 4)]


def test_unsafe_for_one_is_unsafe(tmp_path: Path) -> None:
    """A mismatch in any process takes the rule back."""
    as_process(tmp_path, 1, Suggestion(route="/a", hits=5, rule="/a ttl=60s"))
    as_process(tmp_path, 2, Suggestion(route="/a", hits=5, mismatches=1, why="differs by cookie"))
    (found,) = read(tmp_path).routes
    assert (found.rule, found.why, found.mismatches) == ("", "differs by cookie", 1)


def test_it_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Routes of a process and files of all are limited; the most worthwhile and the latest stay."""
    monkeypatch.setattr(measured, "_MOST_FILES", 3)
    for pid in range(10):
        as_process(tmp_path, pid, Suggestion(route=f"/{pid}"))
        os.utime(tmp_path / f"measured-{pid}.json", (pid, pid))
    write(tmp_path, [Suggestion(route=f"/{number}", seconds_saved=float(number)) for number in range(1000)], {})
    assert len(list(tmp_path.iterdir())) == 3
    assert len(read(tmp_path).routes) <= measured.MOST_ROUTES + 2
    assert read(tmp_path).routes[0].route == "/999"


def test_damage_is_left_out(tmp_path: Path) -> None:
    """A file that is none costs itself only; no folder is as good as an empty one."""
    (tmp_path / "measured-1.json").write_text("{")
    (tmp_path / "measured-2.json").mkdir()
    as_process(tmp_path, 3, Suggestion(route="/a"))
    assert [each.route for each in read(tmp_path).routes] == ["/a"]
    assert read(tmp_path / "none") == Measured()
    write(tmp_path / "none", [], {})
    write("", [], {})
