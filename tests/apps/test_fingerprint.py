"""A fingerprint is another one after every deploy, and the same wherever the code is the same."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hotplate.apps import fingerprint
from hotplate.apps.fingerprint import Fingerprint, release, take
from hotplate.apps.target import Spot


@pytest.fixture
def shop(tmp_path: Path) -> Spot:
    """A small app with a package, templates, and what gathers beside them."""
    files = {
        "app.py": "import shop",
        "shop/__init__.py": "",
        "shop/views.py": "PAGE = 1",
        "templates/page.html": "<p>{{ page }}",
        "templates/mail.txt": "Hello",
        "static/site.css": "p {}",
        "pages/odd.jinja2": "{{ odd }}",
        "media/upload.html": "<p>",
        "node_modules/x/index.js": "1",
        ".git/HEAD": "ref",
        "shop/__pycache__/views.pyc": "1",
        "venv2/pyvenv.cfg": "",
        "venv2/lib/x.py": "1",
        "notes.txt": "",
        "shop.sqlite": "",
    }
    for name, text in files.items():
        path = tmp_path / "one" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Spot(tmp_path / "one", "app")


def digest(spot: Spot, path: tuple[str, ...] = (), what: str = "") -> str:
    """Return the digest with nothing installed."""
    found = take(spot, path, what)
    assert found.excess == ""
    return found.digest


CODE = ["app.py", "shop/__init__.py", "shop/views.py", "templates/page.html", "templates/mail.txt", "static/site.css",
        "pages/odd.jinja2"]  # fmt: skip
OTHER = ["media/upload.html", "node_modules/x/index.js", ".git/HEAD", "shop/__pycache__/views.pyc", "venv2/lib/x.py",
         "notes.txt", "shop.sqlite"]  # fmt: skip


@pytest.mark.parametrize("name", CODE)
def test_another_after_a_deploy(shop: Spot, name: str) -> None:
    """A changed byte of code, template or style makes another; the old content has the old one again."""
    before, path = digest(shop), shop.folder / name
    old = path.read_text()
    path.write_text(old + " ")
    assert digest(shop) != before
    path.write_text(old)
    os.utime(path, (1, 1))
    assert digest(shop) == before


@pytest.mark.parametrize("name", OTHER)
def test_what_is_written_while_it_runs_does_not_matter(shop: Spot, name: str) -> None:
    """Uploads, databases, compiled files and installed packages leave it as it is."""
    before = digest(shop)
    (shop.folder / name).write_text("changed")
    assert digest(shop) == before


MOVES: dict[str, Callable[[Path], object]] = {
    "a new file": lambda folder: (folder / "shop/new.py").write_text(""),
    "a file less": lambda folder: (folder / "shop/views.py").unlink(),
    "another name": lambda folder: (folder / "shop/views.py").rename(folder / "shop/pages.py"),
    "content from one file to the next": lambda folder: (
        (folder / "shop/__init__.py").write_text("PAGE = 1"),
        (folder / "shop/views.py").write_text(""),
    ),
    "a package called media": lambda folder: (folder / "media/__init__.py").write_text(""),
}


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_every_difference_counts(shop: Spot, move: Callable[[Path], object]) -> None:
    """Names count as much as content, and no two file sets run into each other."""
    before = digest(shop)
    move(shop.folder)
    assert digest(shop) != before


def test_machines_agree(shop: Spot, tmp_path: Path) -> None:
    """The same files in another folder, copied in another order, have the same."""
    other = tmp_path / "deep" / "two"
    for file in sorted(shop.folder.rglob("*"), reverse=True):
        if file.is_file():
            copy = other / file.relative_to(shop.folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
    assert digest(Spot(other, "app")) == digest(shop)


def test_what_is_served_counts(shop: Spot) -> None:
    """Two apps of one code, such as staging and production, have nothing in common."""
    assert digest(shop, what="app:make('a')") != digest(shop, what="app:make('b')")


def test_an_installed_app_is_read_where_it_lies(shop: Spot, tmp_path: Path) -> None:
    """An app that was installed with the same version number but other code is another."""
    site, empty = tmp_path / "site-packages", tmp_path / "empty"
    empty.mkdir()
    (site / "store").mkdir(parents=True)
    (site / "store/__init__.py").write_text("A = 1")
    (site / "store-1.0.dist-info").mkdir()
    spot = Spot(empty, "store.web")
    before = digest(spot, (str(site),))
    (site / "store/__init__.py").write_text("A = 2")
    assert digest(spot, (str(site),)) != before


def test_an_upgraded_package_counts(shop: Spot, tmp_path: Path) -> None:
    """What is installed beside the app is part of it, by name and version."""
    site = tmp_path / "site-packages"
    (site / "markup-1.0.dist-info").mkdir(parents=True)
    before = digest(shop, (str(site),))
    (site / "markup-1.0.dist-info").rename(site / "markup-1.1.dist-info")
    assert digest(shop, (str(site),)) != before


def test_odd_files(shop: Spot) -> None:
    """Links in circles, FIFOs, unreadable and vanished files end in a fingerprint."""
    (shop.folder / "circle").symlink_to(shop.folder, target_is_directory=True)
    (shop.folder / "nowhere.py").symlink_to("/nonexistent")
    os.mkfifo(shop.folder / "pipe.html")
    (shop.folder / os.fsdecode(b"caf\xe9.py")).write_text("")
    assert digest(shop) == digest(shop)


BOUNDS = {"MOST_ENTRIES": "more than 2 files", "MOST_FILES": "more than 2 files", "MOST_BYTES": "more than 0 MiB"}


@pytest.mark.parametrize("bound", [*BOUNDS, "MOST_SECONDS"])
def test_it_is_bounded(shop: Spot, monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    """A folder with more than is worth reading has none; its release is of one start, and says how to name it."""
    monkeypatch.setattr(fingerprint, bound, -1.0 if bound == "MOST_SECONDS" else 2)
    found = take(shop, ())
    assert found.digest == ""
    assert BOUNDS.get(bound, "takes more than") in found.excess
    one, two = release(found, found), release(found, found)
    assert one.text != two.text
    assert not one.is_shared
    assert "--release" in one.why


def test_files_that_change_during_the_import() -> None:
    """Nobody knows which of two versions was imported, so it is neither."""
    old, new = Fingerprint("a" * 32, 3), Fingerprint("b" * 32, 3)
    mixed = release(old, new)
    assert mixed.text not in {release(old, old).text, release(new, new).text}
    assert "changed while it was imported" in mixed.why


def test_the_user_may_name_it() -> None:
    """A name that was asked for is taken as it is."""
    assert release(Fingerprint("", 0, "too much"), Fingerprint("", 0, "too much"), asked="v7").text == "v7"
