"""What both variants answer alike: errors, the shapes of JSON, template helpers."""

import hashlib
import json
import logging
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from flask import Flask, Response, g, jsonify, make_response, render_template, request
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import HTTPException, InternalServerError

from newsdesk import config, corpus
from newsdesk.config import Variant
from newsdesk.fingerprints import words_of
from newsdesk.models import Article, Newsletter, User
from newsdesk.payloads import DRAFT_LENGTH, LARGEST_KEY

PER_PAGE = 20
RELATED = 5
CANDIDATES = 30  # articles with most marks in common, which the model then looks at
MATCHES = 10
SAME, SIMILAR = 0.9, 0.6  # similarity from which a match is called so
EDITIONS = 10
ARTICLE = f"/articles/<int(min=1, max={LARGEST_KEY}):key>"
NEWSLETTER = f"/newsletters/<int(min=1, max={LARGEST_KEY}):key>"
MAX_REQUEST = 1024 * 1024  # bytes
RETRY_AFTER = "1"  # seconds; a lock is rarely held longer
MONTHS_SHOWN, TITLES_READ, TOP_AUTHORS = 24, 1000, 10  # of the statistics
_TITLE_WORDS = 12
_SHORT_WORD = 4

log = logging.getLogger("newsdesk")


class Teaser(NamedTuple):
    """A line that leads to an article."""

    id: int
    title: str
    author: str


class Match(NamedTuple):
    """An article like the draft; ``similarity`` from 0 to 1."""

    id: int
    title: str
    similarity: float

    @property
    def percent(self) -> int:
        """The similarity as people read it; only a copy has 100."""
        return int(self.similarity * 100)

    @property
    def verdict(self) -> str:
        """The similarity in words."""
        if self.similarity >= SAME:
            return "the same story"
        return "very similar" if self.similarity >= SIMILAR else "on the same subject"


class Statistics(NamedTuple):
    """What /stats shows; months have (year, month, articles, average length in characters)."""

    articles: int
    authors: list[tuple[str, int]]
    tags: list[tuple[str, int]]
    months: list[tuple[int, int, int, int]]
    words: list[tuple[str, int]]


def create_flask(variant: Variant, name: str, engine: Engine) -> Flask:
    """A Flask app without pages, and one clean line on stderr if its database is not there yet."""
    app = Flask(name)
    app.config.update(MAX_CONTENT_LENGTH=MAX_REQUEST)
    app.jinja_env.globals.update(
        tag_names=corpus.TAGS, style=static("newsdesk.css"), script=static("sending.js"), max_draft=DRAFT_LENGTH
    )
    app.jinja_env.filters.update(paragraphs=paragraphs, day=day)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.register_error_handler(HTTPException, answer_http_error)
    app.register_error_handler(StaleDataError, answer_conflict)
    app.register_error_handler(IntegrityError, answer_conflict)

    def answer_database_error(error: DBAPIError) -> Response:
        message = explain(error, engine, variant)
        if message is None:
            raise error
        log.error("%s", message)
        response = answer_error(503, message)
        response.headers["Retry-After"] = RETRY_AFTER
        return response

    def close_session(_: BaseException | None) -> None:
        session = g.pop("session", None)
        if session is not None:
            session.close()

    app.register_error_handler(DBAPIError, answer_database_error)
    app.teardown_appcontext(close_session)
    if engine.url.get_backend_name() == "sqlite" and not config.sqlite_file(variant).exists():
        print(f"newsdesk: {unseeded(variant)}", file=sys.stderr)
    return app


def static(name: str) -> str:
    """Where a file of ours is: browsers may keep it for long, so its URL changes with its content."""
    content = (Path(__file__).with_name("static") / name).read_bytes()
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:8]}"


def unseeded(variant: Variant) -> str:
    """The one line for a database that is missing or empty."""
    where = (
        "DATABASE_URL" if config.database_url(variant).get_backend_name() != "sqlite" else config.sqlite_file(variant)
    )
    return f"There are no articles yet in {where}. Fill it with: {config.seed_command()}"


def explain(error: DBAPIError, engine: Engine, variant: Variant) -> str | None:
    """Why the database refused, if that is not a bug of ours: it is empty, busy or away."""
    cause = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else "no reason given"
    missing_table = "no such table" in cause or getattr(error.orig, "sqlstate", None) == "42P01"
    if missing_table or "unable to open database file" in cause:
        return unseeded(variant)
    if "database is locked" in cause:
        return "The database is busy with somebody else's change. Try again in a moment."
    if engine.url.get_backend_name() == "postgresql" and error.statement is None:
        return f"The database cannot be reached: {cause}"
    return None


def answer_error(status: int, message: str, fields: dict[str, str] | None = None) -> Response:
    """An error as JSON under /api/, as a page elsewhere."""
    if request.path.startswith("/api/"):
        response = jsonify(error={"status": status, "message": message, "fields": fields or {}})
    else:
        response = make_response(render_template("error.html", status=status, message=message))
    response.status_code = status
    return response


def answer_http_error(error: HTTPException) -> Response:
    """400 to 500, keeping what the standard wants beside them, such as Allow."""
    status = error.code or 500
    message = "Something went wrong here." if isinstance(error, InternalServerError) else error.description or ""
    response = answer_error(status, message, getattr(error, "fields", None))
    for name, value in error.get_headers():
        if name != "Content-Type":
            response.headers[name] = value
    return response


def answer_conflict(_: Exception) -> Response:
    """409: two people changed the same thing at once."""
    return answer_error(409, "Somebody else changed this at the same time. Fetch it again and repeat your change.")


def paragraphs(text: str, each: int = 3) -> list[str]:
    """A text in paragraphs: its own, or three sentences each."""
    if "\n" in text:
        return [part for part in text.splitlines() if part.strip()]
    parts = corpus.sentences(text)
    return [" ".join(parts[i : i + each]) for i in range(0, len(parts), each)]


def day(when: datetime) -> str:
    """A date as people read it."""
    return f"{when.day} {when:%B %Y}"


def iso(when: datetime) -> str:
    """A time as programs read it."""
    return when.isoformat() + "Z"


def article_json(article: Article, *, body: bool = True) -> dict[str, Any]:
    """An article as the API shows it."""
    data: dict[str, Any] = {
        "id": article.id,
        "title": article.title,
        "author": {"id": article.author.id, "name": article.author.name},
        "tags": [tag.name for tag in article.tags],
        "published_at": iso(article.published_at),
        "updated_at": iso(article.updated_at),
    }
    return data | {"body": article.body} if body else data


def list_json(articles: Sequence[Article], page: int, per_page: int, *, more: bool) -> dict[str, Any]:
    """A page of articles as the API shows it."""
    rows = [article_json(article, body=False) for article in articles]
    return {"articles": rows, "page": page, "per_page": per_page, "next_page": page + 1 if more else None}


def user_json(user: User) -> dict[str, Any]:
    """A user as the API shows it."""
    named = {"id": user.id, "name": user.name, "email": user.email}
    return named | {"subscribed": user.subscribed, "interest": user.interest.name}


def newsletter_json(newsletter: Newsletter) -> dict[str, Any]:
    """How far a newsletter has come."""
    counts = {"sent": newsletter.sent, "total": newsletter.total}
    return {"id": newsletter.id, "state": newsletter.state, **counts, "started_at": iso(newsletter.started_at)}


def matches_json(matches: Sequence[Match]) -> dict[str, Any]:
    """What is like a draft."""
    rows = [{"id": m.id, "title": m.title, "similarity": round(m.similarity, 4)} for m in matches]
    return {"duplicate": any(m.similarity >= SAME for m in matches), "matches": rows}


def stats_json(stats: Statistics) -> dict[str, Any]:
    """The statistics as the API shows them."""
    months = [{"month": f"{y}-{m:02}", "articles": n, "average_length": size} for y, m, n, size in stats.months]
    named = {key: dict(getattr(stats, key)) for key in ("authors", "tags", "words")}
    return {"articles": stats.articles, "months": months, **named}


def top_words(titles: Iterable[str]) -> list[tuple[str, int]]:
    """The words that headlines hold most often."""
    counts = Counter(word for title in titles for word in words_of(title) if len(word) > _SHORT_WORD)
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:_TITLE_WORDS]


def created(article: Article) -> Response:
    """201 with the article and where it is."""
    body = json.dumps(article_json(article))
    where = {"Location": f"/api/articles/{article.id}"}
    return Response(body, status=201, headers=where, mimetype="application/json")
