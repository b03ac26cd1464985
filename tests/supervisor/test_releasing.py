"""What of the cache is handed on: the release, the folder, and settings that others cannot know."""

import json
import os
import stat
from pathlib import Path

import pytest

from hotplate.apps.fingerprint import Release
from hotplate.apps.target import parse
from hotplate.cache import service
from hotplate.settings import Settings
from hotplate.settings.handed import CACHE_FOLDER
from hotplate.supervisor import cachefolder, releasing, rendezvous


@pytest.fixture
def claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> rendezvous.Claim:
    """A claim, in a runtime folder of the test's own."""
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    return rendezvous.claim(tmp_path, "default")


def test_the_release_is_that_of_the_imported_code(tmp_path: Path) -> None:
    """The same code is the same release, another byte another one, and a name that was asked for is taken."""
    app = tmp_path / "release_of_app.py"
    app.write_text("def app(environ, start_response): ...\n")
    target = parse(f"{app}:app")
    _, first = releasing.loaded(target, tmp_path, Settings())
    assert releasing.loaded(target, tmp_path, Settings())[1] == first
    app.write_text("def app(environ, start_response): pass\n")
    assert releasing.loaded(target, tmp_path, Settings())[1].text != first.text
    assert releasing.loaded(target, tmp_path, Settings(release="v7"))[1].text == "v7"


def test_children_share_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a worker's child process reads from its environment is what the worker was started with."""
    for name in ("REDIS_URL", *filter(lambda each: each.startswith("HOTPLATE_"), os.environ)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(CACHE_FOLDER, str(tmp_path))
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere")
    wanted = Settings(cache_size=2**20, cache_wait=0.25, redis_timeout=0.5, redis_url="redis://:secret@cache:6379/1")
    releasing.hand_on(wanted, Release("abc", ""))
    settings, folder, release = service.handed_on(os.environ)
    names = ("cache_size", "cache_memory", "cache_wait", "redis_url", "redis_timeout")
    assert [getattr(settings, name) for name in names] == [getattr(wanted, name) for name in names]
    assert (folder, release) == (str(tmp_path), "abc")
    monkeypatch.delenv("HOTPLATE_REDIS_URL")
    releasing.hand_on(Settings(), None)
    settings, _, release = service.handed_on(os.environ)
    assert (settings.redis_url, release) == ("", "")


def test_the_folder_is_its_owners_and_has_no_secrets(claim: rendezvous.Claim) -> None:
    """Folder and note are for the owner's eyes, and even there no password is in them."""
    redis, broker = "redis://:hunter2@cache:6379/1", "amqp://shop:hunter2@queue"
    found = cachefolder.make(claim, Settings(redis_url=redis, broker_url=broker, cache="suggest"))
    folder = Path(found[CACHE_FOLDER])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / cachefolder.NOTE).stat().st_mode) == 0o600
    text = (folder / cachefolder.NOTE).read_text()
    assert "hunter2" not in text
    assert json.loads(text)["redis"] == "redis://:...@cache:6379/1"
    note = cachefolder.note(folder)
    assert note
    assert note.settings == Settings(cache="suggest")


def test_nothing_is_left_behind(claim: rendezvous.Claim) -> None:
    """The end of an instance takes its cache away, whatever lies there."""
    folder = Path(cachefolder.make(claim, Settings())[CACHE_FOLDER])
    (folder / "entries.mdb").write_bytes(b"x")
    claim.release()
    assert list(folder.parent.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_no_reason_not_to_serve(
    claim: rendezvous.Claim, caplog: pytest.LogCaptureFixture
) -> None:
    """Every process then has a cache of its own, and the log says so."""
    claim.cache.write_text("in the way")
    assert cachefolder.make(claim, Settings()) == {CACHE_FOLDER: ""}
    assert "share no cache" in caplog.text


def test_what_is_in_use_looks_used(claim: rendezvous.Claim) -> None:
    """Cleaners of /tmp leave alone what a cache that is only read has not written for days."""
    folder = Path(cachefolder.make(claim, Settings())[CACHE_FOLDER])
    for path in (folder, folder / cachefolder.NOTE):
        os.utime(path, (1, 1))
    claim.touch()
    assert min(path.stat().st_mtime for path in (folder, folder / cachefolder.NOTE)) > 1


def test_a_note_that_is_none(tmp_path: Path) -> None:
    """A damaged note, or one of another version, is as good as none."""
    assert cachefolder.note(tmp_path) is None
    (tmp_path / cachefolder.NOTE).write_text("{}")
    assert cachefolder.note(tmp_path) is None
