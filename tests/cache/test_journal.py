"""What was invalidated lately is written down, whoever did it, within bounds, and harms nothing."""

import threading
from pathlib import Path

import pytest

from hotplate.cache import journal
from hotplate.cache.journal import Invalidation, note, read
from hotplate.cache.key import slot_of


def test_the_latest_comes_first(tmp_path: Path) -> None:
    """What is read is what was noted, the latest first."""
    note(tmp_path, "tag", ["news", "front"], tags=["news", "front"], by="a", now=1.0)
    note(tmp_path, "url", ["http://a/b"], tags=["url:" + "ab" * 24], by="b", now=3.0)
    note(tmp_path, "all", by="c", now=2.0)
    found = read(tmp_path)
    assert [(each.when, each.kind, each.what, each.by) for each in found] == [
        (3.0, "url", "http://a/b", "b"),
        (2.0, "all", "", "c"),
        (1.0, "tag", "news, front", "a"),
    ]
    assert set(found[2].slots) == {slot_of("news"), slot_of("front")}


def test_which_pages_it_reaches() -> None:
    """It reaches what depends on one of its tags and was begun before; everything reaches everything."""
    one = Invalidation(10.0, "tag", slots=(3, 7))
    assert one.reaches([7, 9], since=9.0)
    assert not one.reaches([7], since=11.0)
    assert not one.reaches([8], since=9.0)
    assert Invalidation(10.0, "all").reaches([], since=9.0)


def test_it_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files of a bounded size are kept, with the latest in them, however much is noted."""
    monkeypatch.setattr(journal, "MOST_BYTES", 2000)
    for number in range(500):
        note(tmp_path, "tag", ["x" * 500], tags=["x"], by=str(number), now=float(number))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 8000
    assert len(list(tmp_path.iterdir())) <= 2
    assert read(tmp_path)[0].by == "499"


def test_one_invalidation_is_bounded(tmp_path: Path) -> None:
    """Ten thousand tags at once make one short line."""
    tags = [f"tag-{number}" * 50 for number in range(10_000)]
    note(tmp_path, "tag", tags, tags=tags, by="y" * 10_000)
    assert (tmp_path / journal.NAME).stat().st_size < 10_000
    assert "9968 more" in read(tmp_path)[0].what


def test_many_write_at_once(tmp_path: Path) -> None:
    """Lines of several writers never mix, and none is lost."""

    def write(name: str) -> None:
        for number in range(100):
            note(tmp_path, "tag", [f"{name} {number}"], tags=[name], by=name)

    threads = [threading.Thread(target=write, args=(str(each),)) for each in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = b"".join(path.read_bytes() for path in tmp_path.iterdir()).splitlines()
    assert len(read(tmp_path)) == len(lines) == 400


def test_nonsense_is_left_out(tmp_path: Path) -> None:
    """A damaged line costs that line; surrogates and line ends in a name cost nothing."""
    note(tmp_path, "tag", ["a\nb\udc80"], tags=["a"], by="\udcff\n")
    with (tmp_path / journal.NAME).open("ab") as file:
        file.write(b'\x80\xff\n{"when": "x"}\n{"when"')
    assert [each.what for each in read(tmp_path)] == ["a\nb\\udc80"]


@pytest.mark.parametrize("name", ["", "missing", "file"])
def test_where_it_cannot_be_written(tmp_path: Path, name: str) -> None:
    """No folder, a missing one, or a file in its place: nothing is written, and nothing fails."""
    (tmp_path / "file").write_text("")
    folder = str(tmp_path / name) if name else ""
    note(folder, "all")
    assert not name or read(folder) == []
