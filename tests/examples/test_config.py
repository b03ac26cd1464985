"""What the environment may say, and how it is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.examples.conftest import Site

pytestmark = pytest.mark.usefixtures("load")


@pytest.mark.parametrize(
    ("given", "host", "database"),
    [
        ("postgres://me:pw@db.example:6543/news", "db.example", "news"),
        ("postgresql://me:pw@db.example:6543/news", "db.example", "news"),
        ("postgresql+psycopg://me:pw@db.example:6543/news", "db.example", "news"),
        ("postgresql+psycopg2://me:pw@db.example:6543/news", "db.example", "news"),
        ("POSTGRES://me:p%40w@db.example:6543/news?sslmode=require", "db.example", "news"),
        ("postgresql:///news", None, "news"),
    ],
)
def test_postgres_urls_are_normalised(
    given: str, host: str | None, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every usual way to write a PostgreSQL URL leads to psycopg 3, with the rest kept."""
    from newsdesk import config

    monkeypatch.setenv("DATABASE_URL", given)
    url = config.database_url("app")
    assert (url.drivername, url.host, url.database) == ("postgresql+psycopg", host, database)


@pytest.mark.parametrize(
    "given", ["mysql://me:s3cret@db/news", "sqlite:///s3cret.db", "s3cret", "postgres://me:s3cret@db:port/news"]
)
def test_other_urls_are_refused_without_quoting_them(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL that cannot be used is refused with what to write instead; its password stays out of the message."""
    from newsdesk import config

    monkeypatch.setenv("DATABASE_URL", given)
    with pytest.raises(config.ConfigurationError, match=r"DATABASE_URL .* postgresql://user:password@host") as refusal:
        config.database_url("app")
    assert "me:s3cret" not in str(refusal.value)


@pytest.mark.parametrize("given", ["-1", "401", "big", "nan", "inf"])
def test_a_bad_size_is_quoted(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model size that cannot be used is quoted, with the range."""
    from newsdesk import config

    monkeypatch.setenv("NEWSDESK_MODEL_MB", given)
    with pytest.raises(config.ConfigurationError, match=f"NEWSDESK_MODEL_MB='{given}'.*from 0 to 400"):
        config.model_megabytes()


def test_any_folder_will_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, load: Callable[[str], Site]) -> None:
    """A data folder may have any name, such as one that means something in a URI."""
    from newsdesk.seed import main

    folder = tmp_path / "a b?mode=memory#c%20d"
    monkeypatch.setenv("NEWSDESK_DATA", str(folder))
    assert main(["--articles", "1"]) == 0
    assert {file.name for file in folder.iterdir()} >= {"app.sqlite3", "slow.sqlite3"}
