"""Newsdesk with the faults that made the stories' apps slow; the README lists them with their cures.

It answers like ``newsdesk.app``: same pages, same API, same model. Only the way there differs.
"""

from typing import Any

from flask import Response, abort, g, jsonify, redirect, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import delete, extract, func, insert, select
from sqlalchemy.orm import Session

from newsdesk import config, newsletter, payloads, similarity
from newsdesk.engines import unpooled_engine
from newsdesk.fingerprints import DRAFT_WORD_MARKS, marks_of
from newsdesk.models import Article, Author, Newsletter, OutboxMessage, Tag, User, article_tags, fingerprints, now
from newsdesk.views_common import (
    ARTICLE,
    CANDIDATES,
    EDITIONS,
    MATCHES,
    MONTHS_SHOWN,
    NEWSLETTER,
    PER_PAGE,
    RELATED,
    TITLES_READ,
    TOP_AUTHORS,
    Match,
    Statistics,
    Teaser,
    article_json,
    create_flask,
    created,
    list_json,
    matches_json,
    newsletter_json,
    stats_json,
    top_words,
    user_json,
)

engine = unpooled_engine()
model = similarity.Model(config.model_megabytes())
app = create_flask("slow", __name__, engine)


def db() -> Session:
    """The request's session."""
    if "session" not in g:
        g.session = Session(engine)
    session: Session = g.session
    return session


def find(key: int) -> Article:
    """An article, or 404."""
    return db().get(Article, key) or abort(404, "There is no such article.")


def newest(page: int, per_page: int, tag: str | None) -> tuple[list[Article], bool]:
    """A page of the newest articles, and whether older ones follow."""
    query = select(Article)
    if tag:
        query = query.join(Article.tags).where(Tag.name == tag)
    total = db().scalar(select(func.count()).select_from(query.subquery())) or 0
    if page > 1 and (page - 1) * per_page >= total:
        abort(404, "There is no such page.")
    query = query.order_by(Article.published_at.desc(), Article.id.desc())
    articles = db().scalars(query.offset((page - 1) * per_page).limit(per_page)).all()
    return list(articles), page * per_page < total


@app.get("/")
def front_page() -> ResponseReturnValue:
    """The newest articles; the template asks for each one's author and tags."""
    tag, page = payloads.tag_of(request), payloads.page_of(request)
    articles, more = newest(page, PER_PAGE, tag)
    return render_template("front.html", articles=articles, tag=tag, page=page, more=more)


@app.get(ARTICLE)
def article_page(key: int) -> ResponseReturnValue:
    """An article, and earlier ones on the same subject."""
    article = find(key)
    related: list[Teaser] = []
    if article.tags:
        query = select(Article).join(article_tags, article_tags.c.article_id == Article.id)
        query = query.where(article_tags.c.tag_id == article.tags[0].id, Article.id < key)
        others = db().scalars(query.order_by(Article.id.desc()).limit(RELATED)).all()
        related = [Teaser(other.id, other.title, other.author.name) for other in others]
    return render_template("article.html", article=article, related=related)


@app.route("/duplicates", methods=["GET", "POST"])
def duplicates_page() -> ResponseReturnValue:
    """Is my draft a duplicate?"""
    if request.method != "POST":
        return render_template("duplicates.html")
    draft = payloads.draft_text(request.form.get("text"))
    return render_template("duplicates.html", draft=draft, matches=matches_of(draft))


@app.post("/api/duplicates")
def duplicates_api() -> ResponseReturnValue:
    """The same question for programs."""
    return jsonify(matches_json(matches_of(payloads.draft_text(payloads.json_object(request).get("text")))))


def matches_of(draft: str) -> list[Match]:
    """The articles most like a draft."""
    query = select(fingerprints.c.article_id).where(fingerprints.c.mark.in_(marks_of(draft, DRAFT_WORD_MARKS)))
    query = query.group_by(fingerprints.c.article_id)
    query = query.order_by(func.count().desc(), fingerprints.c.article_id.desc()).limit(CANDIDATES)
    matches = []
    for key in db().scalars(query).all():
        article = find(key)
        matches.append(Match(article.id, article.title, model.similarity(draft, article.body)))
    matches.sort(key=lambda match: (-match.similarity, match.id))
    return matches[:MATCHES]


@app.get("/stats")
def stats_page() -> ResponseReturnValue:
    """Who writes how much about what."""
    return render_template("stats.html", stats=statistics())


@app.get("/api/stats")
def stats_api() -> ResponseReturnValue:
    """The same for programs."""
    return jsonify(stats_json(statistics()))


def statistics() -> Statistics:
    """A statement for every author, every tag and every month."""
    authors = []
    for author in db().scalars(select(Author)).all():
        count = db().scalar(select(func.count(Article.id)).where(Article.author_id == author.id)) or 0
        authors.append((author.name, count, author.id))
    authors.sort(key=lambda row: (-row[1], row[0], row[2]))
    tags = []
    for tag in db().scalars(select(Tag)).all():
        count = db().scalar(select(func.count(Article.id)).where(Article.tags.contains(tag))) or 0
        tags.append((tag.name, count))
    tags.sort(key=lambda row: (-row[1], row[0]))
    titles = select(Article.title).order_by(Article.published_at.desc(), Article.id.desc()).limit(TITLES_READ)
    return Statistics(
        articles=db().scalar(select(func.count(Article.id))) or 0,
        authors=[(name, count) for name, count, _ in authors[:TOP_AUTHORS] if count],
        tags=[row for row in tags if row[1]],
        months=months(),
        words=top_words(db().scalars(titles)),
    )


def months() -> list[tuple[int, int, int, int]]:
    """Articles and their average length in the latest months."""
    latest = db().scalar(select(func.max(Article.published_at)))
    if latest is None:
        return []
    found = []
    for back in range(MONTHS_SHOWN):
        year, month = divmod(latest.year * 12 + latest.month - 1 - back, 12)
        query = select(func.count(Article.id), func.avg(func.length(Article.body)))
        query = query.where(extract("year", Article.published_at) == year)
        count, size = db().execute(query.where(extract("month", Article.published_at) == month + 1)).one()
        if count:
            found.append((year, month + 1, count, round(float(size))))
    return found


@app.get("/api/articles")
def list_articles() -> ResponseReturnValue:
    """A page of articles, the newest first."""
    tag, page = payloads.tag_of(request), payloads.page_of(request)
    per_page = payloads.whole_number(request, "per_page", PER_PAGE, payloads.MOST_PER_PAGE)
    articles, more = newest(page, per_page, tag)
    return jsonify(list_json(articles, page, per_page, more=more))


def write(article: Article, fields: dict[str, Any]) -> None:
    """Put checked fields into an article."""
    if "author_id" in fields and db().get(Author, fields["author_id"]) is None:
        raise payloads.InvalidInput(author_id="is not the number of an author")
    for name in fields.keys() - {"tags"}:
        setattr(article, name, fields[name])
    if "tags" in fields:
        article.tags = [db().scalars(select(Tag).where(Tag.name == name)).one() for name in fields["tags"]]
    article.updated_at = now()
    db().add(article)
    db().flush()
    db().execute(delete(fingerprints).where(fingerprints.c.article_id == article.id))
    for mark in marks_of(article.body):
        db().execute(insert(fingerprints).values(article_id=article.id, mark=mark))
    db().commit()


@app.post("/api/articles")
def create_article() -> ResponseReturnValue:
    """A new article; without ``published_at`` it is published now."""
    article = Article()
    write(article, {"published_at": now()} | payloads.article_fields(payloads.json_object(request), partial=False))
    return created(article)


@app.get(f"/api{ARTICLE}")
def read_article(key: int) -> ResponseReturnValue:
    """An article."""
    return jsonify(article_json(find(key)))


@app.route(f"/api{ARTICLE}", methods=["PUT", "PATCH"])
def change_article(key: int) -> ResponseReturnValue:
    """Replace an article (PUT) or some of its fields (PATCH)."""
    partial = request.method == "PATCH"
    fields = payloads.article_fields(payloads.json_object(request), partial=partial)
    article = find(key)
    write(article, fields if partial else {"tags": []} | fields)
    return jsonify(article_json(article))


@app.delete(f"/api{ARTICLE}")
def delete_article(key: int) -> ResponseReturnValue:
    """Delete an article."""
    article = find(key)
    db().execute(delete(fingerprints).where(fingerprints.c.article_id == key))
    db().delete(article)
    db().commit()
    return Response(status=204)


@app.get("/api/users")
def user_by_email() -> ResponseReturnValue:
    """The user with an address: ``?email=``."""
    email = payloads.email_address(request.args.get("email"))
    user = db().scalars(select(User).where(User.email == email)).first()
    return jsonify(user_json(user or abort(404, "There is no user with this e-mail address.")))


@app.get("/newsletter")
def newsletter_page() -> ResponseReturnValue:
    """The latest editions, and the button that sends one."""
    editions = db().scalars(select(Newsletter).order_by(Newsletter.id.desc()).limit(EDITIONS)).all()
    return render_template("newsletter.html", editions=editions)


@app.post("/newsletter")
def send_newsletter() -> ResponseReturnValue:
    """Send it to everybody, and then answer."""
    edition = Newsletter()
    db().add(edition)
    db().flush()
    for user in db().scalars(select(User).where(User.subscribed).order_by(User.id)).all():
        chosen = newsletter.choose(model, user.interest.name, newsletter.newest(db()))
        message = newsletter.compose(user, chosen)
        newsletter.deliver(message)
        db().add(OutboxMessage(newsletter_id=edition.id, **message))
        edition.total = edition.sent = edition.sent + 1
        db().flush()
    edition.state = "sent"
    db().commit()
    return redirect(f"/newsletters/{edition.id}", 303)


@app.get(NEWSLETTER)
def edition_page(key: int) -> ResponseReturnValue:
    """How far an edition has come."""
    return render_template("edition.html", edition=edition(key))


@app.get(f"/api{NEWSLETTER}")
def edition_api(key: int) -> ResponseReturnValue:
    """The same for programs."""
    return jsonify(newsletter_json(edition(key)))


def edition(key: int) -> Newsletter:
    """An edition, or 404."""
    return db().get(Newsletter, key) or abort(404, "There is no such edition.")
