"""The well-written variant's questions to the database: few statements, each helped by an index."""

from typing import Any

from flask import abort
from sqlalchemy import Select, bindparam, delete, extract, func, insert, select
from sqlalchemy.orm import Session, defer, joinedload, selectinload

from newsdesk.fingerprints import DRAFT_WORD_MARKS, marks_of
from newsdesk.models import Article, Author, Tag, User, article_tags, fingerprints, now
from newsdesk.payloads import InvalidInput
from newsdesk.views_common import (
    CANDIDATES,
    MONTHS_SHOWN,
    RELATED,
    TITLES_READ,
    TOP_AUTHORS,
    Statistics,
    Teaser,
    top_words,
)

# The statements of the busiest page are put together once; doing that for each request took a third of its time.
_FIND = (
    select(Article)
    .where(Article.id == bindparam("key"))
    .options(joinedload(Article.author, innerjoin=True), selectinload(Article.tags))
    .execution_options(populate_existing=True)  # after a change, what the database holds now
)
_EARLIER = (
    select(Article.id, Article.title, Author.name)
    .join(Author, Author.id == Article.author_id)
    .join(article_tags, article_tags.c.article_id == Article.id)
    .where(article_tags.c.tag_id == bindparam("tag"), article_tags.c.article_id < bindparam("key"))
    .order_by(article_tags.c.article_id.desc())
    .limit(RELATED)
)


def newest(session: Session, page: int, per_page: int, tag: str | None = None) -> tuple[list[Article], bool]:
    """A page of the newest articles with author and tags (two statements), and whether older ones follow.

    Raises:
        NotFound: there is no such page.
    """
    query = select(Article).order_by(Article.published_at.desc(), Article.id.desc())
    if tag:
        tagged = select(article_tags.c.article_id).join(Tag, Tag.id == article_tags.c.tag_id).where(Tag.name == tag)
        query = query.where(Article.id.in_(tagged))
    query = query.options(defer(Article.body), joinedload(Article.author, innerjoin=True), selectinload(Article.tags))
    # One row more than is shown tells whether there is a next page, without counting them all.
    found = list(session.scalars(query.offset((page - 1) * per_page).limit(per_page + 1)))
    if not found and page > 1:
        abort(404, "There is no such page.")
    return found[:per_page], len(found) > per_page


def find(session: Session, key: int) -> Article:
    """An article with its author and tags, in two statements.

    One statement for all makes SQLite join every article with its tags first, which takes three times as long.

    Raises:
        NotFound: there is none with this key.
    """
    found = session.scalars(_FIND, {"key": key}).one_or_none()
    return found or abort(404, "There is no such article.")


def earlier(session: Session, article: Article) -> list[Teaser]:
    """Earlier articles on the same first subject."""
    if not article.tags:
        return []
    rows = session.execute(_EARLIER, {"tag": article.tags[0].id, "key": article.id})
    return [Teaser(*row) for row in rows]


def candidates(session: Session, draft: str) -> dict[int, tuple[str, str]]:
    """Title and body of the articles that share most marks with a draft, by key."""
    query = select(fingerprints.c.article_id).where(fingerprints.c.mark.in_(marks_of(draft, DRAFT_WORD_MARKS)))
    query = query.group_by(fingerprints.c.article_id)
    query = query.order_by(func.count().desc(), fingerprints.c.article_id.desc()).limit(CANDIDATES)
    keys = list(session.scalars(query))
    rows = session.execute(select(Article.id, Article.title, Article.body).where(Article.id.in_(keys)))
    return {key: (title, body) for key, title, body in rows}


def user_by_email(session: Session, email: str) -> User:
    """The user with this address.

    Raises:
        NotFound: there is none.
    """
    query = select(User).where(User.email == email).options(joinedload(User.interest, innerjoin=True))
    return session.scalars(query).first() or abort(404, "There is no user with this e-mail address.")


def change(session: Session, article: Article, fields: dict[str, Any]) -> None:
    """Write checked fields into an article, new or not, and commit.

    Raises:
        InvalidInput: there is no such author.
    """
    for name in fields.keys() & {"title", "body", "published_at"}:
        setattr(article, name, fields[name])
    if "author_id" in fields:
        author = session.get(Author, fields["author_id"])
        if author is None:
            raise InvalidInput(author_id="is not the number of an author")
        article.author = author
    if "tags" in fields:
        article.tags = list(session.scalars(select(Tag).where(Tag.name.in_(fields["tags"])).order_by(Tag.name)))
    article.updated_at = now()
    session.add(article)
    session.flush()
    if "body" in fields:
        session.execute(delete(fingerprints).where(fingerprints.c.article_id == article.id))
        marks = [{"article_id": article.id, "mark": mark} for mark in marks_of(article.body)]
        if marks:
            session.execute(insert(fingerprints), marks)
    session.commit()


def remove(session: Session, key: int) -> None:
    """Delete an article and what hangs on it.

    Raises:
        NotFound: there is none with this key.
    """
    session.execute(delete(fingerprints).where(fingerprints.c.article_id == key))
    session.execute(delete(article_tags).where(article_tags.c.article_id == key))
    found = session.execute(delete(Article).where(Article.id == key).returning(Article.id)).all()
    if not found:
        abort(404, "There is no such article.")
    session.commit()


def statistics(session: Session) -> Statistics:
    """Six statements, each over all the rows it needs and no more."""
    total = func.count().label("total")
    authors = select(Author.name, total).join(Article, Article.author_id == Author.id)
    authors = authors.group_by(Author.id, Author.name).order_by(total.desc(), Author.name, Author.id)
    tags = select(Tag.name, total).join(article_tags, article_tags.c.tag_id == Tag.id)
    tags = tags.group_by(Tag.id, Tag.name).order_by(total.desc(), Tag.name)
    titles = select(Article.title).order_by(Article.published_at.desc(), Article.id.desc()).limit(TITLES_READ)
    return Statistics(
        articles=session.scalar(select(func.count(Article.id))) or 0,
        authors=[(name, count) for name, count in session.execute(authors.limit(TOP_AUTHORS))],
        tags=[(name, count) for name, count in session.execute(tags)],
        months=[
            (int(year), int(month), count, round(float(size)))
            for year, month, count, size in session.execute(_months(session))
        ],
        words=top_words(session.scalars(titles)),
    )


def _months(session: Session) -> Select[Any]:
    year, month = extract("year", Article.published_at), extract("month", Article.published_at)
    query = select(year, month, func.count(), func.avg(func.length(Article.body)))
    latest = session.scalar(select(func.max(Article.published_at)))
    if latest is not None:
        first = max(12, latest.year * 12 + latest.month - MONTHS_SHOWN)
        since = latest.replace(year=first // 12, month=first % 12 + 1, day=1, hour=0, minute=0, second=0)
        query = query.where(Article.published_at >= since)
    return query.group_by(year, month).order_by(year.desc(), month.desc())
