"""The seed: deterministic, idempotent, resumable, and clear about what it refuses."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from tests.examples.conftest import Site

TABLES = {
    "articles": "SELECT * FROM articles ORDER BY id",
    "article_tags": "SELECT * FROM article_tags ORDER BY 1, 2",
    "authors": "SELECT * FROM authors ORDER BY id",
    "tags": "SELECT * FROM tags ORDER BY id",
    "users": "SELECT * FROM users ORDER BY id",
    "fingerprints": "SELECT * FROM fingerprints ORDER BY 1, 2",
    "seed_state": "SELECT * FROM seed_state",
}


@pytest.fixture
def seed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, load: Callable[[str], Site]
) -> Callable[..., dict[str, list[tuple[object, ...]]]]:
    """Seeds a folder of its own with flags; what `app` then holds, table by table."""
    from newsdesk.seed import main

    def seed(*flags: str, folder: str = "one", variant: str = "app") -> dict[str, list[tuple[object, ...]]]:
        monkeypatch.setenv("NEWSDESK_DATA", str(tmp_path / folder))
        assert main(flags) == 0
        with closing(sqlite3.connect(tmp_path / folder / f"{variant}.sqlite3")) as connection:
            return {table: connection.execute(statement).fetchall() for table, statement in TABLES.items()}

    return seed


Seed = Callable[..., dict[str, list[tuple[object, ...]]]]


def test_same_number_same_content(seed: Seed) -> None:
    """Two folders seeded alike hold the same, and so do both variants."""
    first = seed("--articles", "30")
    assert len(first["articles"]) == 30
    assert first == seed("--articles", "30", folder="two")
    assert first == seed("--articles", "30", variant="slow")


def test_again_changes_nothing(seed: Seed) -> None:
    """A second run adds nothing, and a smaller number takes nothing away."""
    first = seed("--articles", "30")
    assert seed("--articles", "30") == first
    assert seed("--articles", "5") == first


def test_growing_is_like_starting_large(seed: Seed) -> None:
    """Seeding more later gives what seeding more at once gives, users included."""
    seed("--articles", "20")
    assert seed("--articles", "2100") == seed("--articles", "2100", folder="two")


def test_fresh_starts_over(seed: Seed) -> None:
    """`--fresh` throws away what was there."""
    seed("--articles", "30")
    assert len(seed("--articles", "5", "--fresh")["articles"]) == 5


def test_a_stopped_seed_goes_on(
    seed: Seed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C half-way leaves whole batches, says how to go on, and the next run completes them."""
    from newsdesk import seed as module

    monkeypatch.setattr(module, "BATCH", 10)
    original = module.article_rows

    def interrupted(numbers: range) -> object:
        if numbers.start >= 20:
            raise KeyboardInterrupt
        return original(numbers)

    monkeypatch.setattr(module, "article_rows", interrupted)
    with pytest.raises(AssertionError):
        seed("--articles", "40")
    assert "run it again" in capsys.readouterr().err
    monkeypatch.setattr(module, "article_rows", original)
    assert seed("--articles", "40") == seed("--articles", "40", folder="two")


@pytest.mark.parametrize("count", ["0", "-5", "many", "1000001", "1e3", ""])
def test_a_bad_number_is_quoted(count: str, capsys: pytest.CaptureFixture[str], load: Callable[[str], Site]) -> None:
    """A number that cannot be used is quoted, with those that can."""
    from newsdesk.seed import main

    with pytest.raises(SystemExit) as stop:
        main(["--articles", count])
    assert stop.value.code == 2
    assert f"{count!r} is not a number from 1 to 1000000" in capsys.readouterr().err


def test_an_unreachable_database_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], load: Callable[[str], Site]
) -> None:
    """A database that is away is told in one line without its password."""
    from newsdesk.seed import main

    monkeypatch.setenv("DATABASE_URL", "postgres://me:secret@127.0.0.1:1/news?connect_timeout=2")
    assert main(["--articles", "1"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("newsdesk.seed: the database refused: ")
    assert said.count("\n") == 1
    assert "secret" not in said


def test_the_first_articles_are_the_real_ones(load: Callable[[str], Site]) -> None:
    """The 350 texts of the corpus come first, untouched; a variation differs from its text and from all others."""
    from newsdesk import corpus

    real = [corpus.draft(number).body for number in range(350)]
    varied = [corpus.draft(number).body for number in range(350, 1050)]
    assert tuple(real) == corpus.texts()
    assert len(set(varied) - set(real)) == len(varied)
    assert all(0 < len(corpus.draft(number).title) <= 200 for number in range(1050))
    assert all(corpus.draft(number).tags for number in range(1050))


def test_batches_cover_every_number(load: Callable[[str], Site]) -> None:
    """The batches follow each other without a gap, from the first missing number to the last."""
    from newsdesk.seed import BATCH, with_bar

    for start, stop in ((0, 1), (0, BATCH), (0, BATCH + 1), (7, 3 * BATCH), (5, 5), (9, 3)):
        batches = list(with_bar(start, stop))
        assert [number for batch in batches for number in batch] == list(range(start, stop))
        assert all(left.stop == right.start for left, right in pairwise(batches))


def test_tables_of_another_version_are_refused(seed: Seed, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tables that the models no longer fit are left as they are, and the command says how to start over."""
    from newsdesk.seed import main

    seed("--articles", "5")
    with closing(sqlite3.connect(tmp_path / "one" / "app.sqlite3")) as connection:
        connection.execute("ALTER TABLE newsletters RENAME COLUMN task_id TO heartbeat_at")
    assert main(["--articles", "5"]) == 2
    assert "newsletters was made by another version" in (said := capsys.readouterr().err)
    assert said.strip().endswith("python -m newsdesk.seed --fresh")
    assert main(["--articles", "5", "--fresh"]) == 0
