"""The URL of an embedded broker."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.errors import HotplateError
from hotplate.tasks.embedded import Location, location, url

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: name not in {".", ".."}
)


@given(names=st.lists(NAMES, min_size=1, max_size=4), durable=st.booleans(), shared=st.booleans())
def test_any_path_survives_the_url(names: list[str], durable: bool, shared: bool) -> None:
    """Whatever a folder is called, the URL of a file in it leads back to it."""
    path = Path("/", *names)
    assert location(url(path, durable=durable, shared=shared)) == Location(path, durable, shared)


def test_a_url_has_nothing_that_celery_splits_at() -> None:
    """Celery takes a semicolon for the end of the first of several brokers."""
    assert ";" not in url(Path("/srv/a;b/tasks.sqlite"))


def test_three_slashes_are_relative_to_this_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in SQLAlchemy's URLs of SQLite files."""
    monkeypatch.chdir(tmp_path)
    assert location("hotplate:///tasks.sqlite").path == tmp_path / "tasks.sqlite"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hotplate://", "does not name a file"),
        ("hotplate:///", "does not name a file"),
        ("hotplate:////srv/", "does not name a file"),
        ("hotplate://server/srv/tasks.sqlite", "does not name a file"),
        ("hotplate:////srv/tasks.sqlite?fast=yes", "no option 'fast'"),
        ("hotplate:////srv/tasks.sqlite?durable=perhaps", "yes or no, not 'perhaps'"),
    ],
)
def test_a_url_that_makes_no_sense_is_refused_with_one_that_does(text: str, says: str) -> None:
    """The error names what is wrong and shows what is right."""
    with pytest.raises(HotplateError, match=says) as refused:
        location(text)
    assert "hotplate:////absolute/path/tasks.sqlite" in refused.value.remedy
