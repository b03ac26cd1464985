"""Newsdesk, written well: ``flask --app newsdesk.app run`` or ``gunicorn newsdesk.app:app``.

Importing it builds the similarity model, which takes seconds; it opens no connection and leaves no thread behind.
"""

import os

# One BLAS thread: the processes of the web server share the cores already, and threads of several of them that
# wait for each other made the model 15 times slower on a busy machine. Must be set before NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from datetime import timedelta

from flask import Response, abort, g, jsonify, redirect, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

import hotplate.tasks
from newsdesk import app_queries as queries
from newsdesk import config, newsletter, payloads, similarity, tasks
from newsdesk.engines import pooled_engine
from newsdesk.models import Article, Newsletter, now
from newsdesk.views_common import (
    ARTICLE,
    EDITIONS,
    MATCHES,
    NEWSLETTER,
    PER_PAGE,
    RETRY_AFTER,
    Match,
    answer_error,
    article_json,
    create_flask,
    created,
    list_json,
    log,
    matches_json,
    newsletter_json,
    stats_json,
    user_json,
)

SHARED_SECONDS = 60  # what a cache between us and many readers may keep a page; browsers ask each time
SETTLED = timedelta(seconds=2)
NEWS = '"articles"'  # the group of pages that a changed article makes old, as caches know it (RFC 9875)

engine = pooled_engine()
new_session = sessionmaker(engine)
model = similarity.Model(config.model_megabytes())
app = create_flask("app", __name__, engine)
celery = hotplate.tasks.celery(app)
app.config["SEND_FILE_MAX_AGE_DEFAULT"] = timedelta(days=365)  # the style sheet's URL changes with its content


def db() -> Session:
    """The request's session; it takes a connection from the pool with its first statement."""
    if "session" not in g:
        g.session = new_session()
    session: Session = g.session
    return session


def page_response(html: str, changed: Article | None = None) -> Response:
    """A page that caches may keep, to ask whether it is still the same: 304 without a body if so."""
    response = Response(html)
    response.cache_control.public = True
    response.cache_control.max_age = 0
    response.cache_control.s_maxage = SHARED_SECONDS
    response.headers["Cache-Groups"] = NEWS
    # A time of one second's resolution must not vouch for a text that may change again within that second.
    if changed and now() - changed.updated_at > SETTLED:
        response.last_modified = changed.updated_at
    return revalidated(response)


def json_response(data: object) -> Response:
    """JSON that is sent only if it is not what the caller has."""
    return revalidated(jsonify(data))


def revalidated(response: Response) -> Response:
    """The response with an ETag, or 304 without a body if the caller has it."""
    response.add_etag()
    response.make_conditional(request)
    return response


@app.after_request
def renew_pages(response: Response) -> Response:
    """Tell a cache in front of us that the pages it has are old, once an article is written, changed or deleted."""
    if request.method not in {"GET", "HEAD", "OPTIONS"} and request.path.startswith("/api/articles"):
        response.headers["Cache-Group-Invalidation"] = NEWS
    return response


@app.get("/")
def front_page() -> ResponseReturnValue:
    """The newest articles."""
    tag, page = payloads.tag_of(request), payloads.page_of(request)
    articles, more = queries.newest(db(), page, PER_PAGE, tag)
    return page_response(render_template("front.html", articles=articles, tag=tag, page=page, more=more))


@app.get(ARTICLE)
def article_page(key: int) -> ResponseReturnValue:
    """An article, and earlier ones on the same subject."""
    article = queries.find(db(), key)
    related = queries.earlier(db(), article)
    return page_response(render_template("article.html", article=article, related=related), article)


@app.route("/duplicates", methods=["GET", "POST"])
def duplicates_page() -> ResponseReturnValue:
    """Is my draft a duplicate?"""
    if request.method != "POST":
        return page_response(render_template("duplicates.html"))
    draft = payloads.draft_text(request.form.get("text"))
    return render_template("duplicates.html", draft=draft, matches=matches_of(draft))


@app.post("/api/duplicates")
def duplicates_api() -> ResponseReturnValue:
    """The same question for programs: ``{"text": …}``."""
    return jsonify(matches_json(matches_of(payloads.draft_text(payloads.json_object(request).get("text")))))


def matches_of(draft: str) -> list[Match]:
    """The articles most like a draft: those that share most marks with it, ranked by the model."""
    found = queries.candidates(db(), draft)
    db().close()  # others may have the connection while the model thinks
    ranked = model.rank(draft, {key: body for key, (_, body) in found.items()})
    return [Match(key, found[key][0], score) for key, score in ranked[:MATCHES]]


@app.get("/stats")
def stats_page() -> ResponseReturnValue:
    """Who writes how much about what."""
    return page_response(render_template("stats.html", stats=queries.statistics(db())))


@app.get("/api/stats")
def stats_api() -> ResponseReturnValue:
    """The same for programs."""
    return json_response(stats_json(queries.statistics(db())))


@app.get("/api/articles")
def list_articles() -> ResponseReturnValue:
    """A page of articles, the newest first: ``?page=2&per_page=50&tag=Sport``."""
    tag, page = payloads.tag_of(request), payloads.page_of(request)
    per_page = payloads.whole_number(request, "per_page", PER_PAGE, payloads.MOST_PER_PAGE)
    articles, more = queries.newest(db(), page, per_page, tag)
    return json_response(list_json(articles, page, per_page, more=more))


@app.post("/api/articles")
def create_article() -> ResponseReturnValue:
    """A new article; without ``published_at`` it is published now."""
    fields = payloads.article_fields(payloads.json_object(request), partial=False)
    article = Article()
    queries.change(db(), article, {"published_at": now()} | fields)
    return created(queries.find(db(), article.id))


@app.get(f"/api{ARTICLE}")
def read_article(key: int) -> ResponseReturnValue:
    """An article."""
    return json_response(article_json(queries.find(db(), key)))


@app.route(f"/api{ARTICLE}", methods=["PUT", "PATCH"])
def change_article(key: int) -> ResponseReturnValue:
    """Replace an article (PUT) or some of its fields (PATCH)."""
    partial = request.method == "PATCH"
    fields = payloads.article_fields(payloads.json_object(request), partial=partial)
    queries.change(db(), queries.find(db(), key), fields if partial else {"tags": []} | fields)
    return jsonify(article_json(queries.find(db(), key)))


@app.delete(f"/api{ARTICLE}")
def delete_article(key: int) -> ResponseReturnValue:
    """Delete an article."""
    queries.remove(db(), key)
    return "", 204


@app.get("/api/users")
def user_by_email() -> ResponseReturnValue:
    """The user with an address: ``?email=``."""
    response = jsonify(user_json(queries.user_by_email(db(), payloads.email_address(request.args.get("email")))))
    response.cache_control.no_store = True  # personal data
    return response


@app.get("/newsletter")
def newsletter_page() -> ResponseReturnValue:
    """The latest editions, and the button that sends one."""
    editions = db().scalars(select(Newsletter).order_by(Newsletter.id.desc()).limit(EDITIONS))
    return render_template("newsletter.html", editions=list(editions))


@app.post("/newsletter")
def send_newsletter() -> ResponseReturnValue:
    """Leave it to a worker and answer at once; while one is being sent, lead to that one."""
    running = newsletter.sending(db())
    if running and tasks.gave_up(running):
        newsletter.give_up(db(), running.id)
    edition = newsletter.start(db(), tasks.hand_over)
    if request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json":
        accepted: Response = hotplate.tasks.accepted(tasks.sending(edition))
        return accepted
    return redirect(f"/newsletters/{edition.id}", 303)


@app.errorhandler(hotplate.tasks.BrokerUnreachable)
def answer_no_broker(error: hotplate.tasks.BrokerUnreachable) -> ResponseReturnValue:
    """503: there is nobody to leave a task with. The reason is for us, not for the reader."""
    log.error("%s", error)
    response = answer_error(503, "This cannot be begun now. Try again in a moment.")
    response.headers["Retry-After"] = RETRY_AFTER
    return response


@app.get(NEWSLETTER)
def edition_page(key: int) -> ResponseReturnValue:
    """How far an edition has come."""
    found = edition(key)
    return render_template("edition.html", edition=found, **tasks.addresses(found))


@app.get(f"/api{NEWSLETTER}")
def edition_api(key: int) -> ResponseReturnValue:
    """The same for programs."""
    response = jsonify(newsletter_json(edition(key)))
    response.cache_control.no_store = True  # it changes while it is looked at
    return response


def edition(key: int) -> Newsletter:
    """An edition, or 404."""
    return db().get(Newsletter, key) or abort(404, "There is no such edition.")
