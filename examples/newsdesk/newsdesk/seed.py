"""Fill the database: ``python -m newsdesk.seed --articles 100000``.

The same number of articles always gives the same content. Run again, it adds what is missing and changes nothing
else; stopped half-way, it goes on where it stopped.
"""

import argparse
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, create_engine, func, insert, inspect, select, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from newsdesk import config, corpus
from newsdesk.config import ConfigurationError, Variant
from newsdesk.fingerprints import marks_of
from newsdesk.models import Article, Author, Base, SeedState, Tag, User, article_tags, create_indexes, fingerprints

DEFAULT_ARTICLES = 2_000
MOST_ARTICLES = 1_000_000
BATCH = 500
FIRST_DAY = datetime(2001, 1, 1)  # noqa: DTZ001 - the tables hold UTC without a zone
BETWEEN_ARTICLES = timedelta(hours=2)  # 2,000 articles cover half a year, 100,000 twenty-three years
AUTHORS = 120
FEWEST_USERS, ARTICLES_PER_USER = 50, 4
ALWAYS_SUBSCRIBED, SUBSCRIBED_EVERY = 400, 5  # the first 400 users, then every fifth
BAR_AFTER = 2.0  # seconds
BAR_WIDTH = 30

FIRST_NAMES = "Ada Ben Carla Dev Elif Farid Grace Hana Ivan Jo Kofi Lena Mai Noor Omar Pia Quentin Rosa Sami Tess"
LAST_NAMES = "Abbott Baker Chen Diaz Evans Fraser Gupta Hill Ito Jones Kaya Lim Moss Nagy Okoye Pratt Reid Silva"

Row = dict[str, Any]


def article_rows(numbers: range) -> list[tuple[Row, tuple[str, ...], list[int]]]:
    """For each number: the article's columns (without id), its tags and its marks."""
    rows = []
    for number in numbers:
        draft = corpus.draft(number)
        when = FIRST_DAY + number * BETWEEN_ARTICLES
        author = random.Random(number).randint(1, AUTHORS)
        columns = {"title": draft.title, "body": draft.body, "author_id": author}
        rows.append((columns | {"published_at": when, "updated_at": when}, draft.tags, marks_of(draft.body)))
    return rows


def user_rows(numbers: range) -> list[Row]:
    """Readers, the same for the same numbers; the first is ada.abbott0@example.org."""
    first_names, last_names = FIRST_NAMES.split(), LAST_NAMES.split()
    rows = []
    for number in numbers:
        first = first_names[number % len(first_names)]
        last = last_names[number // len(first_names) % len(last_names)]
        rows.append(
            {
                "name": f"{first} {last}",
                "email": f"{first}.{last}{number}@example.org".lower(),
                "subscribed": number < ALWAYS_SUBSCRIBED or number % SUBSCRIBED_EVERY == 0,
                "interest_id": 1 + number % len(corpus.TAGS),
            }
        )
    return rows


class Seeder:
    """Seeds one variant's database.

    Args:
        variant: whose; only ``app`` gets indexes.
    """

    def __init__(self, variant: Variant) -> None:
        self.variant = variant
        url = config.database_url(variant, create=True)
        self._sqlite = url.get_backend_name() == "sqlite"
        if self._sqlite:
            config.data_folder().mkdir(parents=True, exist_ok=True)
        self.engine: Engine = create_engine(url, connect_args=config.connect_args(variant))

    def prepare(self, *, fresh: bool) -> int:
        """Create what is missing of the tables; how many articles they hold already from the seed."""
        if not self._sqlite and self.variant == "slow":
            with self.engine.begin() as connection:
                connection.execute(text("CREATE SCHEMA IF NOT EXISTS slow"))
            self.engine.dispose()  # a new connection finds the new schema
        if fresh:
            Base.metadata.drop_all(self.engine)
        Base.metadata.create_all(self.engine)
        self._refuse_old_tables()
        if self._sqlite and self.variant == "app":
            with self.engine.connect() as connection:
                connection.execute(
                    text("PRAGMA journal_mode = WAL")
                )  # readers and the writer do not wait for each other
        with Session(self.engine) as session:
            state = session.get(SeedState, 1)
            if state is None:
                session.add(SeedState(id=1))
                session.add_all(Tag(name=name) for name in corpus.TAGS)
                session.add_all(Author(name=row["name"]) for row in user_rows(range(AUTHORS)))
                session.commit()
            return state.articles if state else 0

    def add_articles(self, rows: Sequence[tuple[Row, tuple[str, ...], list[int]]], done: int) -> None:
        """Insert one batch and note that ``done`` articles are in, in one transaction."""
        with Session(self.engine) as session, session.begin():
            tag_ids = {name: key for key, name in session.execute(select(Tag.id, Tag.name))}
            first = (session.scalar(select(func.max(Article.id))) or 0) + 1
            numbered = list(enumerate(rows, first))
            session.execute(insert(Article), [{"id": key, **columns} for key, (columns, _, _) in numbered])
            links = [{"article_id": key, "tag_id": tag_ids[tag]} for key, (_, tags, _) in numbered for tag in tags]
            session.execute(insert(article_tags), links)
            marks = [{"article_id": key, "mark": mark} for key, (_, _, marks) in numbered for mark in marks]
            session.execute(insert(fingerprints), marks)
            self._advance_sequence(session)
            session.execute(update(SeedState).values(articles=done))

    def add_users(self, wanted: int) -> None:
        """Insert the users that are missing."""
        with Session(self.engine) as session, session.begin():
            present = session.scalar(select(SeedState.users)) or 0
            if wanted > present:
                session.execute(insert(User), user_rows(range(present, wanted)))
                session.execute(update(SeedState).values(users=wanted))

    def finish(self) -> None:
        """Create the indexes (``app`` only), after the rows, which is faster, and let the planner look at them."""
        if self.variant == "app":
            create_indexes(self.engine)
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))
        self.engine.dispose()

    def _refuse_old_tables(self) -> None:
        present = inspect(self.engine)
        for name, table in Base.metadata.tables.items():
            if set(table.columns.keys()) != {column["name"] for column in present.get_columns(name)}:
                raise ConfigurationError(
                    f"the table {name} was made by another version of Newsdesk. Start over: "
                    f"{config.seed_command()} --fresh"
                )

    def _advance_sequence(self, session: Session) -> None:
        # PostgreSQL does not notice keys that were given explicitly; SQLite does.
        if not self._sqlite:
            session.execute(select(func.setval(func.pg_get_serial_sequence("articles", "id"), func.max(Article.id))))


def seed(articles: int, variants: Sequence[Variant] = config.VARIANTS, *, fresh: bool = False) -> int:
    """Bring the databases of ``variants`` to at least ``articles`` seeded articles; how many were added in all."""
    seeders = [Seeder(variant) for variant in variants]
    present = [seeder.prepare(fresh=fresh) for seeder in seeders]
    added = 0
    for numbers in with_bar(min(present), articles):
        rows = article_rows(numbers)
        for seeder, there in zip(seeders, present, strict=True):
            missing = rows[max(0, there - numbers.start) :]
            if missing:
                seeder.add_articles(missing, numbers.stop)
                added += len(missing)
    for seeder in seeders:
        seeder.add_users(max(FEWEST_USERS, articles // ARTICLES_PER_USER))
        seeder.finish()
    return added


def with_bar(start: int, stop: int) -> Iterator[range]:
    """The numbers from ``start`` to ``stop`` in batches; on a terminal with a bar once it takes longer than 2 s."""
    began = time.monotonic()
    shown = False
    for low in range(start, stop, BATCH):
        yield range(low, min(low + BATCH, stop))
        done = min(low + BATCH, stop)
        if sys.stderr.isatty() and time.monotonic() - began > BAR_AFTER:
            shown = True
            share = (done - start) / (stop - start)
            left = (time.monotonic() - began) * (1 - share) / share
            bar = "█" * round(share * BAR_WIDTH)
            sys.stderr.write(f"\r{bar:·<{BAR_WIDTH}} {done:,} of {stop:,} articles, {left:.0f} s left \x1b[K")
            sys.stderr.flush()
    if shown:
        sys.stderr.write("\r\x1b[K")


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_ARTICLES:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MOST_ARTICLES}")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code: 0 done, 1 the database refused, 2 bad flag or environment."""
    parser = argparse.ArgumentParser(prog="python -m newsdesk.seed", description="Fill the Newsdesk database.")
    parser.add_argument("--articles", type=_count, default=DEFAULT_ARTICLES, help="how many (default: %(default)s)")
    parser.add_argument("--variant", choices=[*config.VARIANTS, "both"], default="both", help="default: %(default)s")
    parser.add_argument("--fresh", action="store_true", help="throw away what is there first")
    options = parser.parse_args(arguments)
    variants: Sequence[Variant] = config.VARIANTS if options.variant == "both" else (options.variant,)
    began = time.monotonic()
    try:
        added = seed(options.articles, variants, fresh=options.fresh)
    except ConfigurationError as error:
        print(f"newsdesk.seed: {error}", file=sys.stderr)
        return 2
    except (SQLAlchemyError, OSError) as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        print(f"newsdesk.seed: the database refused: {cause}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nnewsdesk.seed: stopped; run it again to go on where it was.", file=sys.stderr)
        return 130
    where = "DATABASE_URL" if os.environ.get("DATABASE_URL") else config.data_folder()
    print(f"{added:,} articles added in {time.monotonic() - began:.1f} s to {' and '.join(variants)} in {where}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
