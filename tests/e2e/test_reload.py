"""Reload: the new code takes over and nobody notices, or the old code serves on."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.support.instance import HELLO, Load, instance
from tests.support.waiting import wait_until

BROKEN = {
    "does not import": ("import nonsense_that_is_not_there\n", "nonsense_that_is_not_there"),
    "has no app": ("other = 1\n", "app"),
    "fails to warm up": (
        HELLO.replace("return VERSION", "raise RuntimeError('cold as ice')", 1),
        "cold as ice",
    ),
}


def test_a_reload_loses_nothing_and_brings_the_new_code(tmp_path: Path) -> None:
    """Under keep-alive load every request is answered, and the last ones by the new version only."""
    with instance(tmp_path, HELLO, "--workers", "2") as site:
        with Load(site) as load:
            for version in ("2", "3", "4"):
                (tmp_path / "app.py").write_text(HELLO.replace('"1"', f'"{version}"'))
                assert site.command("reload").returncode == 0
                load.more()
        assert load.failures == []
        assert set(load.answers) == {b"1", b"2", b"3", b"4"}
        assert {site.get().body for _ in range(10)} == {b"4"}
        wait_until(lambda: len(site.status()["workers"]) == 2, what="the old workers have gone")


def test_a_hangup_signal_reloads(tmp_path: Path) -> None:
    """SIGHUP is what service managers send."""
    with instance(tmp_path, HELLO, "--workers", "1") as site:
        (tmp_path / "app.py").write_text(HELLO.replace('"1"', '"2"'))
        site.process.send_signal(signal.SIGHUP)
        wait_until(lambda: site.get().body == b"2", what="the new version answers")


@pytest.mark.parametrize("fault", BROKEN)
def test_a_version_that_fails_leaves_the_old_one_serving(tmp_path: Path, fault: str) -> None:
    """`hotplate reload` says why and exits 13; the old workers are the same ones."""
    source, said = BROKEN[fault]
    with instance(tmp_path, HELLO, "--workers", "2") as site:
        before = site.workers()
        with Load(site) as load:
            (tmp_path / "app.py").write_text(source)
            outcome = site.command("reload")
            assert outcome.returncode == 13
            assert said in outcome.stderr
            load.more()
        assert load.failures == []
        assert site.workers() == before
        assert site.get().body == b"1"
        (tmp_path / "app.py").write_text(HELLO.replace('"1"', '"2"'))
        assert site.command("reload").returncode == 0
        assert site.get().body == b"2"


def test_a_request_in_flight_is_finished_by_the_old_version(tmp_path: Path) -> None:
    """A long request is neither cut off nor does it hold the reload up."""
    with instance(tmp_path, HELLO, "--workers", "1") as site:
        with site.held() as answers:
            (tmp_path / "app.py").write_text(HELLO.replace('"1"', '"2"'))
            assert site.command("reload").returncode == 0
            assert site.get().body == b"2"
            assert answers == []
        assert answers == [b"1"]
