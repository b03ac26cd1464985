"""The cache of a process: found in the environment, shared with others, never with a child."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotplate.cache import service
from hotplate.errors import HotplateError
from hotplate.settings import Settings
from tests.support.gateway_process import ROOT
from tests.support.servers import redis_says


@pytest.fixture(autouse=True)
def _closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begin and end without a cache, and without anybody's variables."""
    for name in list(os.environ):
        if name.startswith(("HOTPLATE_", "REDIS_URL")):
            monkeypatch.delenv(name)
    service.close()
    yield
    service.close()


def python(source: str, **environ: str) -> str:
    """Run a program and return what it writes."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOTPLATE_")}
    return subprocess.run(
        [sys.executable, "-c", source],
        env=kept | {"PYTHONPATH": str(ROOT / "src")} | environ,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def test_without_anything_it_is_this_processs_own() -> None:
    """Scripts and tests need no settings: the cache is opened when first used, once."""
    cache = service.current()
    assert cache is service.current()
    assert (cache.store.state().kind, cache.folder, cache.release, cache.wait) == ("process", "", "", 5.0)


def test_what_is_handed_on_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What `hotplate run` hands on to its workers and their children decides; other variables' mistakes do not."""
    monkeypatch.setenv("HOTPLATE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HOTPLATE_CACHE_RELEASE", "abc")
    monkeypatch.setenv("HOTPLATE_CACHE_SIZE", "5MiB")
    monkeypatch.setenv("HOTPLATE_CACHE_WAIT", "7s")
    monkeypatch.setenv("HOTPLATE_THREADS", "nonsense")
    cache = service.current()
    assert (cache.store.state().kind, cache.store.state().limit) == ("lmdb", 5 * 1024**2)
    assert (cache.release, cache.wait) == ("abc", 7.0)


def test_a_mistake_in_its_own_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable of the cache that cannot be read is an error that names it."""
    monkeypatch.setenv("HOTPLATE_CACHE_SIZE", "many")
    with pytest.raises(HotplateError, match="HOTPLATE_CACHE_SIZE"):
        service.current()


def test_a_release_may_be_set_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of `hotplate run` the setting `release` is the release."""
    monkeypatch.setenv("HOTPLATE_RELEASE", "r7")
    assert service.current().release == "r7"


@pytest.mark.redis
def test_redis_is_used_where_it_is_named(monkeypatch: pytest.MonkeyPatch, redis_url: str) -> None:
    """REDIS_URL, as hosting platforms set it, is enough."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    assert service.current().store.state().kind == "redis"
    assert "PONG" in str(redis_says(int(redis_url.rpartition(":")[2].partition("/")[0]), "PING"))


def test_another_takes_its_place(tmp_path: Path) -> None:
    """A gateway opens it with its settings; what was open is closed, and the next use after a close opens it again."""
    before = service.current()
    opened = service.open_with(Settings(cache_wait=2.0), str(tmp_path / "cache"), "r1")
    assert opened is service.current() is not before
    assert (opened.wait, opened.release, opened.store.is_shared) == (2.0, "r1", True)
    service.close()
    service.close()
    assert service.current() is not opened


_FUNCTION = """
import hotplate, os, sys
@hotplate.cached(ttl=60, tags="t")
def who(): return os.getpid()
"""


@pytest.mark.process
def test_processes_share(tmp_path: Path) -> None:
    """What one process has computed another finds, and what one invalidates is gone for all."""
    place = {"HOTPLATE_CACHE_DIR": str(tmp_path / "cache")}
    first = python(_FUNCTION + "print(who())", **place)
    assert python(_FUNCTION + "print(who())", **place) == first
    assert python(_FUNCTION + "print(who())", **place, HOTPLATE_CACHE_RELEASE="other") != first
    python(_FUNCTION + "hotplate.cache.invalidate(tag='t')", **place)
    assert python(_FUNCTION + "print(who())", **place) != first


@pytest.mark.process
@pytest.mark.parametrize("is_shared", [False, True])
def test_a_child_has_a_cache_of_its_own(is_shared: bool, tmp_path: Path) -> None:
    """After a fork the child opens files and connections anew, and shares what is shared; locks are not inherited."""
    source = """
import threading
from hotplate.cache import service
cache = service.current()
mine = who()
held = service._opening
held.acquire()
child = os.fork()
if child == 0:
    assert service.current() is not cache
    assert service.current().flights.leads == {}
    sys.stdout.write(f"{who()} {os.getpid()}\\n")
    sys.stdout.flush()
    hotplate.cache.invalidate(tag="t")
    os._exit(0)
held.release()
assert os.waitpid(child, 0)[1] == 0
assert service.current() is cache
print(mine, who(), os.getpid())
"""
    place = {"HOTPLATE_CACHE_DIR": str(tmp_path / "cache")} if is_shared else {}
    child, parent = python(_FUNCTION + source, **place).splitlines()
    theirs, them = child.split()
    mine, later, me = parent.split()
    assert mine == later == me
    assert theirs == (me if is_shared else them)
