"""Every process of an app finds the same file, without asking anybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotplate.errors import ExitCode, HotplateError
from hotplate.tasks import place


@pytest.fixture(autouse=True)
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that is served."""
    folder = tmp_path / "my shop"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    ("environ", "base"),
    [
        ({"HOME": "/home/ada"}, "/home/ada/.local/state/hotplate"),
        ({"HOME": "/home/ada", "XDG_STATE_HOME": "/data"}, "/data/hotplate"),
        ({"HOME": "/home/ada", "XDG_STATE_HOME": "data"}, "/home/ada/.local/state/hotplate"),
        ({"HOME": "/home/ada", "STATE_DIRECTORY": "/var/lib/shop:/var/lib/x", "XDG_STATE_HOME": "/d"}, "/var/lib/shop"),
    ],
)
def test_the_base_is_the_first_there_is(environ: dict[str, str], base: str) -> None:
    """Systemd's folder before XDG's, XDG's before its default; relative ones are ignored."""
    found = place.folder(environ)
    assert str(found.parent) == base
    assert found.name.startswith("my_shop-")


def test_the_folder_that_is_named_is_taken_as_it_is() -> None:
    """What the master hands on leads to the same place once more."""
    environ = {"HOTPLATE_TASKS_DIR": "/var/lib/shop", "STATE_DIRECTORY": "/elsewhere"}
    assert place.file(environ, "shop.web") == Path("/var/lib/shop/shop.web.sqlite")
    assert place.folder({"HOTPLATE_TASKS_DIR": str(place.folder({"HOME": "/h"}))}) == place.folder({"HOME": "/h"})


def test_a_relative_folder_is_refused() -> None:
    """It would be another one in every process; the message has the command to type."""
    with pytest.raises(HotplateError, match=r"export HOTPLATE_TASKS_DIR=/.*/state") as refused:
        place.folder({"HOTPLATE_TASKS_DIR": "state"})
    assert refused.value.code is ExitCode.USAGE


def test_each_served_folder_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two folders of one name do not share tasks."""
    here = place.folder({"HOME": "/h"})
    other = tmp_path / "other" / "my shop"
    other.mkdir(parents=True)
    monkeypatch.chdir(other)
    assert place.folder({"HOME": "/h"}) != here


def test_a_link_keeps_its_tasks(tmp_path: Path, served: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release is a link that leads elsewhere tomorrow; tasks of today are still found."""
    link, release = tmp_path / "current", tmp_path / "release-2"
    link.symlink_to(served)
    monkeypatch.chdir(link)
    before = place.folder({"HOME": "/h", "PWD": str(link)})
    release.mkdir()
    link.unlink()
    link.symlink_to(release)
    monkeypatch.chdir(link)
    assert place.folder({"HOME": "/h", "PWD": str(link)}) == before


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "x" * 300, "", "...", "über"])
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    """Whatever a Celery app is called, its file is a file of the folder, with a name that fits."""
    path = place.file({"HOTPLATE_TASKS_DIR": "/state"}, name)
    assert path.parent == Path("/state")
    assert path.suffix == ".sqlite"
    assert 7 < len(path.name) < 50
