"""What the well-written variant does better, and that the slow one really has its faults."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import NullPool

from tests.examples.asking import created, send_json
from tests.examples.conftest import Site

# Path, most statements of `app`, fewest of `slow`.
STATEMENTS = [
    ("/", 2, 30),
    ("/?page=2", 2, 30),
    ("/?tag=Sport", 2, 30),
    ("/articles/350", 3, 6),
    ("/stats", 6, 100),
    ("/api/articles?per_page=50", 2, 60),
    ("/api/articles/350", 2, 3),
    ("/api/users?email=ada.abbott0@example.org", 1, 2),
    ("/duplicates", 0, 0),
]


def indexes(file: Path) -> set[str]:
    """The indexes in a database file."""
    with closing(sqlite3.connect(file)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}


@contextmanager
def plans(site: Site, data: Path) -> Iterator[list[str]]:
    """Collects the tables that SQLite reads from end to end for the statements sent meanwhile."""
    found: list[str] = []
    with site.statements() as statements:
        yield found
    with closing(sqlite3.connect(data / f"{site.name}.sqlite3")) as connection:
        for statement in statements:
            rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}", [1] * statement.count("?"))
            found += [row[3] for row in rows if row[3].startswith("SCAN") and "INDEX" not in row[3]]


@pytest.mark.parametrize(("path", "most", "fewest"), STATEMENTS, ids=str)
def test_app_sends_few_statements_and_slow_many(
    path: str, most: int, fewest: int, app_site: Site, slow_site: Site
) -> None:
    """The well-written variant needs a handful of statements for a page, the slow one a multiple."""
    with app_site.statements() as few:
        assert app_site.fetch()("GET", path).status == 200
    with slow_site.statements() as many:
        assert slow_site.fetch()("GET", path).status == 200
    assert len(few) <= most, few
    assert len(many) >= fewest, many


def test_statements_grow_with_the_page_only_in_slow(app_site: Site, slow_site: Site) -> None:
    """N+1: twice the rows are no more statements for one variant and nearly twice as many for the other."""
    counts = {}
    for site in (app_site, slow_site):
        for rows in (20, 40):
            with site.statements() as seen:
                site.fetch()("GET", f"/api/articles?per_page={rows}")
            counts[site.name, rows] = len(seen)
    assert counts["app", 40] == counts["app", 20]
    assert counts["slow", 40] > 1.5 * counts["slow", 20]


def test_only_app_has_indexes(app_site: Site, slow_site: Site, data: Path) -> None:
    """The seed gives one database its indexes and the other none at all."""
    assert indexes(data / "slow.sqlite3") == set()
    assert indexes(data / "app.sqlite3") >= {"articles_newest", "users_by_email", "fingerprints_by_mark"}


@pytest.mark.parametrize(
    "path", ["/", "/articles/350", "/api/users?email=ada.abbott0@example.org", "/api/articles/350"]
)
def test_only_slow_reads_whole_tables(path: str, app_site: Site, slow_site: Site, data: Path) -> None:
    """No page of the well-written variant makes SQLite read a table from end to end."""
    with plans(app_site, data) as scans:
        app_site.fetch()("GET", path)
    assert scans == []
    with plans(slow_site, data) as scans:
        slow_site.fetch()("GET", path)
    assert scans


def test_connections_are_kept_only_by_app(app_site: Site, slow_site: Site) -> None:
    """One variant answers any number of requests with one connection, the other opens one for each."""
    app_site.engine.dispose()  # what requests side by side in other tests have opened
    for _ in range(3):
        app_site.fetch()("GET", "/articles/1")
    assert app_site.engine.pool.status().startswith("Pool size: 10  Connections in pool: 1")
    assert isinstance(slow_site.engine.pool, NullPool)


@pytest.mark.parametrize("path", ["/", "/articles/20", "/stats", "/api/articles", "/api/articles/20", "/api/stats"])
def test_unchanged_pages_are_not_sent_again(path: str, app_site: Site) -> None:
    """Who has a page gets 304 without a body, under the same ETag."""
    fetch = app_site.fetch()
    first = fetch("GET", path)
    again = fetch("GET", path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert fetch("GET", path, headers={"If-None-Match": '"other"'}).body == first.body


def test_a_changed_article_has_a_new_etag_at_once(app_site: Site) -> None:
    """A validator never vouches for a text that was replaced, be it within the same second."""
    fetch = app_site.fetch()
    path = created(fetch)
    for address in (path, path.removeprefix("/api")):
        old = fetch("GET", address)
        assert "last-modified" not in old.headers  # its second is not over yet
        send_json(fetch, "PATCH", path, {"body": f"Changed after {old.headers['etag']}"})
        assert fetch("GET", address, headers={"If-None-Match": old.headers["etag"]}).status == 200
    fetch("DELETE", path)


def test_last_modified_is_the_articles(app_site: Site) -> None:
    """An article at rest says when it was changed last, and 304 to who has it since."""
    fetch = app_site.fetch()
    changed = datetime.fromisoformat(fetch("GET", "/api/articles/7").json()["updated_at"])
    page = fetch("GET", "/articles/7")
    assert page.headers["last-modified"] == changed.strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert fetch("GET", "/articles/7", headers={"If-Modified-Since": page.headers["last-modified"]}).status == 304


def test_caches_are_told_what_they_may_keep(app_site: Site) -> None:
    """Pages may be shared for a minute, a user may not be stored, the style sheet may stay for a year."""
    fetch = app_site.fetch()
    assert fetch("GET", "/").headers["cache-control"] == "public, max-age=0, s-maxage=60"
    assert fetch("GET", "/api/users?email=ada.abbott0@example.org").headers["cache-control"] == "no-store"
    assert "max-age=31536000" in fetch("GET", "/static/newsdesk.css").headers["cache-control"]


def test_slow_says_nothing_to_caches(slow_site: Site) -> None:
    """The slow variant's pages have no validator and no Cache-Control."""
    headers = slow_site.fetch()("GET", "/articles/7").headers
    assert not headers.keys() & {"etag", "last-modified", "cache-control"}
