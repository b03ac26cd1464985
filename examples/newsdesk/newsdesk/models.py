"""The tables of both variants, and the indexes that only ``app`` has."""

from datetime import UTC, datetime

from sqlalchemy import BigInteger, Column, Engine, ForeignKey, Index, Integer, String, Table, Text, inspect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


def now() -> datetime:
    """The time in UTC, without a zone and to the second, as the tables hold it."""
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)


class Base(DeclarativeBase):
    """Every table of Newsdesk."""


# As the tutorials show it: without a primary key, so without any index, unless INDEXES below are created.
article_tags = Table(
    "article_tags",
    Base.metadata,
    Column("article_id", ForeignKey("articles.id"), nullable=False),
    Column("tag_id", ForeignKey("tags.id"), nullable=False),
)

# What an article has in common with its near-duplicates; see fingerprints.py.
fingerprints = Table(
    "fingerprints",
    Base.metadata,
    Column("article_id", ForeignKey("articles.id"), nullable=False),
    Column("mark", BigInteger, nullable=False),
)


class Author(Base):
    """Somebody who writes."""

    __tablename__ = "authors"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))


class Tag(Base):
    """A subject; the seed makes them all."""

    __tablename__ = "tags"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40))


class Article(Base):
    """A news article."""

    __tablename__ = "articles"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text)
    author_id: Mapped[int] = mapped_column(ForeignKey("authors.id"))
    published_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    author: Mapped[Author] = relationship()
    tags: Mapped[list[Tag]] = relationship(secondary=article_tags, order_by=Tag.name)


class User(Base):
    """A reader with an account; ``email`` is held in lower case."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    email: Mapped[str] = mapped_column(String(254))
    subscribed: Mapped[bool]
    interest_id: Mapped[int] = mapped_column(ForeignKey("tags.id"))

    interest: Mapped[Tag] = relationship()


class Newsletter(Base):
    """One edition and how far its sending has come.

    ``state``: sending, sent or failed. ``task_id``: of the Celery task that sends it; empty where none does.
    """

    __tablename__ = "newsletters"

    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(String(10), default="sending")
    total: Mapped[int] = mapped_column(Integer, default=0)
    sent: Mapped[int] = mapped_column(Integer, default=0)
    started_at: Mapped[datetime] = mapped_column(default=now)
    task_id: Mapped[str] = mapped_column(String(36), default="")


class OutboxMessage(Base):
    """A message that went out."""

    __tablename__ = "outbox"

    id: Mapped[int] = mapped_column(primary_key=True)
    newsletter_id: Mapped[int] = mapped_column(ForeignKey("newsletters.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    recipient: Mapped[str] = mapped_column(String(254))
    subject: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text)


class SeedState(Base):
    """How many articles and users the seed has put in, so that it can go on where it stopped."""

    __tablename__ = "seed_state"

    id: Mapped[int] = mapped_column(primary_key=True)
    articles: Mapped[int] = mapped_column(Integer, default=0)
    users: Mapped[int] = mapped_column(Integer, default=0)


def indexes() -> list[Index]:
    """The indexes of the well-written variant, not bound to the tables, so that ``create_all`` leaves them out."""
    links, marks = article_tags.c, fingerprints.c
    sending = Newsletter.state == "sending"
    made = [
        Index("articles_newest", Article.published_at, Article.id),
        Index("articles_by_author", Article.author_id, Article.published_at),
        Index("tags_of_article", links.article_id, links.tag_id, unique=True),
        Index("articles_of_tag", links.tag_id, links.article_id),
        Index("fingerprints_by_mark", marks.mark, marks.article_id),
        Index("fingerprints_of_article", marks.article_id),
        Index("users_by_email", User.email, unique=True),
        Index("outbox_once_per_user", OutboxMessage.newsletter_id, OutboxMessage.user_id, unique=True),
        Index(
            "newsletter_one_at_a_time", Newsletter.state, unique=True, sqlite_where=sending, postgresql_where=sending
        ),
    ]
    for index in made:
        if index.table is not None:
            index.table.indexes.discard(index)
    return made


def create_indexes(engine: Engine) -> None:
    """Create those of :func:`indexes` that are not there yet."""
    inspector = inspect(engine)
    present = {row["name"] for table in Base.metadata.tables for row in inspector.get_indexes(table)}
    for index in indexes():
        if index.name not in present:
            index.create(engine)
