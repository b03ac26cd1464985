"""What Newsdesk promises to whoever asks over HTTP, whichever variant answers and whatever serves it.

Each promise takes a `fetch`; a suite runs them all by parametrising over `PROMISES`:

    @pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
    def test_promise(promise: Promise, fetch: Fetch) -> None:
        promise(fetch)

They need a database seeded with at least 400 articles, the quick model and no mail delay (`QUICK`), and they leave the
articles as they were.
"""

import re
import time
from collections.abc import Callable, Mapping
from html import unescape
from urllib.parse import urlsplit

from tests.examples.asking import Fetch, article_links, created, refused, send_form, send_json

ARTICLES = 400  # 350 real ones and some variations
QUICK: Mapping[str, str] = {"NEWSDESK_MODEL_MB": "1", "NEWSDESK_MAIL_MS": "0"}
_PATIENCE = 60.0  # seconds for an edition that is sent without delay

Promise = Callable[[Fetch], None]


# ---------------------------------------------------------------- pages


def front_page_leads_to_the_newest_articles(fetch: Fetch) -> None:
    """The front page shows the 20 newest articles with author and date, and each link leads to its article."""
    page = fetch("GET", "/")
    listed = fetch("GET", "/api/articles?per_page=20").json()["articles"]
    assert page.status == 200
    assert article_links(page) == [f"/articles/{article['id']}" for article in listed]
    dates = [article["published_at"] for article in listed]
    assert dates == sorted(dates, reverse=True)
    assert listed[0]["author"]["name"] in page.text
    assert fetch("GET", article_links(page)[0]).status == 200


def pages_follow_each_other(fetch: Fetch) -> None:
    """Two pages share no article, and the pager leads from one to the other."""
    first, second = fetch("GET", "/"), fetch("GET", "/?page=2")
    assert not set(article_links(first)) & set(article_links(second))
    assert 'href="/?page=2"' in first.text
    assert 'rel="prev" href="/?page=1"' in second.text


def every_article_is_on_exactly_one_page(fetch: Fetch) -> None:
    """Following `next_page` to its end shows every article once."""
    seen: list[int] = []
    page: int | None = 1
    while page:
        reply = fetch("GET", f"/api/articles?per_page=100&page={page}").json()
        seen += [article["id"] for article in reply["articles"]]
        page = reply["next_page"]
    assert len(seen) == len(set(seen)) >= ARTICLES


def subjects_narrow_the_front_page(fetch: Fetch) -> None:
    """A subject's page shows its articles only."""
    listed = fetch("GET", "/api/articles?tag=Middle%20East").json()["articles"]
    assert listed
    assert all("Middle East" in article["tags"] for article in listed)
    assert article_links(fetch("GET", "/?tag=Middle%20East")) == [f"/articles/{a['id']}" for a in listed]


def article_page_shows_the_article(fetch: Fetch) -> None:
    """An article's page has its title, author, every sentence, its subjects, and earlier articles on the first one."""
    article = fetch("GET", "/api/articles/300").json()
    page = fetch("GET", "/articles/300")
    text = unescape(page.text)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert article["title"] in text
    assert article["author"]["name"] in text
    assert article["body"].split(". ")[-1] in text
    assert all(tag in text for tag in article["tags"])
    related = article_links(page)
    assert related
    assert all(int(link.rsplit("/", 1)[1]) < 300 for link in related)


def what_people_write_is_text(fetch: Fetch) -> None:
    """Markup in an article is shown, not obeyed."""
    path = created(fetch, title="<script>alert(1)</script>", body="<b onclick=x>bold</b> & \"quoted\" 'text'")
    page = fetch("GET", path.removeprefix("/api"))
    assert fetch("DELETE", path).status == 204
    assert "<script>alert" not in page.text
    assert "<b onclick" not in page.text
    assert "&lt;script&gt;alert(1)" in page.text


def missing_things_are_404(fetch: Fetch) -> None:
    """What does not exist is 404: as a page for people, as JSON for programs."""
    for path in ("/articles/2147483647", "/articles/99999999999999999999", "/articles/0", "/nowhere", "/?page=9999"):
        reply = fetch("GET", path)
        assert reply.status == 404, path
        assert "text/html" in reply.headers["content-type"]
    for path in ("/api/articles/2147483647", "/api/articles/x", "/api/nowhere", "/api/articles?tag=Gossip"):
        assert refused(fetch("GET", path), 404) == {}
    for method in ("PUT", "PATCH"):
        fields = {"title": "t", "body": "b", "author_id": 1}
        refused(send_json(fetch, method, "/api/articles/2147483647", fields), 404)
    refused(fetch("DELETE", "/api/articles/2147483647"), 404)
    refused(fetch("GET", "/api/newsletters/2147483647"), 404)


def pages_are_counted_from_one(fetch: Fetch) -> None:
    """A page that is no number from 1 up is refused; one past the last does not exist."""
    for page in ("0", "-1", "x", "1.5", "9" * 30, "%00", "%C2%B2"):
        assert fetch("GET", f"/?page={page}").status == 400, page
        assert refused(fetch("GET", f"/api/articles?page={page}")).keys() == {"page"}
    assert refused(fetch("GET", "/api/articles?per_page=101")).keys() == {"per_page"}
    refused(fetch("GET", "/api/articles?page=9999"), 404)


def wrong_methods_are_405(fetch: Fetch) -> None:
    """A method that a path does not have is refused with those it has."""
    reply = fetch("DELETE", "/api/articles")
    refused(reply, 405)
    assert {"GET", "POST"} <= set(reply.headers["allow"].split(", "))


def head_is_get_without_a_body(fetch: Fetch) -> None:
    """HEAD answers with the headers of GET."""
    got, asked = fetch("GET", "/articles/5"), fetch("HEAD", "/articles/5")
    assert (asked.status, asked.body) == (200, b"")
    assert asked.headers["content-length"] == got.headers["content-length"] == str(len(got.body))


def style_comes_with_the_site(fetch: Fetch) -> None:
    """A page needs nothing but the site's own style sheet."""
    page = fetch("GET", "/").text
    links = re.findall(r'<link rel="stylesheet" href="([^"]+)"', page)
    assert len(links) == 1
    assert fetch("GET", links[0]).headers["content-type"].startswith("text/css")
    assert "//" not in re.sub(r"<!doctype html>", "", page)


# ---------------------------------------------------------------- articles


def articles_live_and_die(fetch: Fetch) -> None:
    """An article that was created can be read, replaced, changed in part and deleted; each answer shows the result."""
    path = created(fetch, tags=["Sport", "Asia", "Sport"], published_at="2002-03-28T10:30:00+01:00")
    first = fetch("GET", path).json()
    assert (first["title"], first["author"]["id"], first["tags"]) == ("A test", 1, ["Asia", "Sport"])
    assert first["published_at"] == "2002-03-28T09:30:00Z"
    replaced = send_json(fetch, "PUT", path, {"title": "Zweiter Töst", "body": "New\n\ntext ☃", "author_id": 2})
    assert replaced.json() == fetch("GET", path).json()
    assert replaced.json() | {"updated_at": ""} == first | {
        "title": "Zweiter Töst",
        "body": "New\n\ntext ☃",
        "author": replaced.json()["author"],
        "tags": [],
        "updated_at": "",
    }
    assert replaced.json()["author"]["id"] == 2
    patched = send_json(fetch, "PATCH", path, {"tags": ["Crime"]})
    assert patched.json() | {"updated_at": ""} == replaced.json() | {"tags": ["Crime"], "updated_at": ""}
    assert "text ☃" in fetch("GET", path.removeprefix("/api")).text
    gone = fetch("DELETE", path)
    assert (gone.status, gone.body) == (204, b"")
    refused(fetch("GET", path), 404)
    refused(fetch("DELETE", path), 404)


def new_articles_are_on_the_front_page(fetch: Fetch) -> None:
    """An article published now is the first one of the very next front page, and gone from it once deleted."""
    path = created(fetch)
    assert article_links(fetch("GET", "/"))[0] == path.removeprefix("/api")
    assert fetch("DELETE", path).status == 204
    assert path.removeprefix("/api") not in article_links(fetch("GET", "/"))


def broken_json_is_refused(fetch: Fetch) -> None:
    """A body that is no JSON object is 400 with an error in JSON; one that does not claim to be JSON is 415."""
    typed = {"Content-Type": "application/json"}
    for body in (b"", b"{", b"[]", b'"text"', b"nul", b"\xff\xfe", b"[" * 100_000, b'{"author_id": ' + b"9" * 5000):
        assert refused(fetch("POST", "/api/articles", body=body, headers=typed)) == {}
        assert refused(fetch("PATCH", "/api/articles/1", body=body, headers=typed)) == {}
    refused(fetch("POST", "/api/articles", body=b"{}", headers={"Content-Type": "text/plain"}), 415)


def every_bad_field_is_named(fetch: Fetch) -> None:
    """All faults of an article are reported at once, by field, and nothing of it is kept."""
    before = fetch("GET", "/api/articles?per_page=1").json()
    faulty = {"title": " ", "body": 7, "author_id": True, "tags": ["Gossip"], "published_at": "yesterday", "titel": ""}
    assert refused(send_json(fetch, "POST", "/api/articles", faulty)).keys() == faulty.keys()
    assert refused(send_json(fetch, "PUT", "/api/articles/1", {})).keys() == {"title", "body", "author_id"}
    rows: dict[str, list[object]] = {
        "title": [None, "x" * 201, "a\0b", "\ud800"],
        "body": ["", [], "x" * 50_001],
        "author_id": [0, -1, 2**31, 10**400, 1.0, "1", 999_999_999],
        "tags": ["Sport", [1], ["Sport"] * 6, [["Sport"]], {}],
        "published_at": [1, "0001-01-01T00:00:00+14:00", "2002-13-01", {}],
    }
    for name, values in rows.items():
        for value in values:
            assert refused(send_json(fetch, "PATCH", "/api/articles/1", {name: value})).keys() == {name}, value
    assert fetch("GET", "/api/articles?per_page=1").json() == before


def oversized_bodies_are_refused(fetch: Fetch) -> None:
    """More than a megabyte is 413."""
    typed = {"Content-Type": "application/json"}
    refused(fetch("POST", "/api/articles", body=b" " * 1_048_577, headers=typed), 413)


# ---------------------------------------------------------------- users


def users_are_found_by_email(fetch: Fetch) -> None:
    """A user is found by address, in whatever case it is written."""
    user = fetch("GET", "/api/users?email=Ada.Abbott0@Example.ORG").json()
    assert (user["name"], user["email"], user["subscribed"]) == ("Ada Abbott", "ada.abbott0@example.org", True)


def bad_addresses_are_refused(fetch: Fetch) -> None:
    """A missing or impossible address is 400; a possible one that nobody has is 404."""
    impossible = ("", "x", "@", "a@b", "a b@example.org", "a@@example.org", "a%00@example.org", "a@example..org")
    for address in (*impossible, "a" * 65 + "@example.org", "a@" + "b" * 250 + ".org"):
        assert refused(fetch("GET", f"/api/users?email={address.replace(' ', '%20')}")).keys() == {"email"}, address
    refused(fetch("GET", "/api/users"))
    refused(fetch("GET", "/api/users?email=nobody@example.org"), 404)
    refused(fetch("GET", "/api/users?email='+or+'1'='1@example.org"))


# ---------------------------------------------------------------- duplicates


def copies_are_found(fetch: Fetch) -> None:
    """A draft that repeats an article, whole or edited, is called a duplicate of it."""
    body = fetch("GET", "/api/articles/123").json()["body"]
    parts = body.split(". ")
    edited = ". ".join(["Editors note this follows earlier reports", *parts[1:]]).upper()
    for draft in (body, edited):
        reply = send_json(fetch, "POST", "/api/duplicates", {"text": draft}).json()
        assert reply["duplicate"]
        assert 123 in [match["id"] for match in reply["matches"][:2]]
        scores = [match["similarity"] for match in reply["matches"]]
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= score <= 1 for score in scores)


def unseen_subjects_are_no_duplicates(fetch: Fetch) -> None:
    """A draft about something else is not called a duplicate, until it has been published; then it is."""
    text = "Quokkas juggle turquoise marmalade beneath Reykjavik's velvet trombone, puzzling seventeen zoologists."
    assert not send_json(fetch, "POST", "/api/duplicates", {"text": text}).json()["duplicate"]
    path = created(fetch, body=text)
    reply = send_json(fetch, "POST", "/api/duplicates", {"text": text}).json()
    assert fetch("DELETE", path).status == 204
    assert reply["duplicate"]
    assert f"/api/articles/{reply['matches'][0]['id']}" == path
    assert not send_json(fetch, "POST", "/api/duplicates", {"text": text}).json()["duplicate"]


def the_form_says_the_same(fetch: Fetch) -> None:
    """The form finds what the API finds, keeps the draft in its field, and refuses an empty one."""
    body = fetch("GET", "/api/articles/42").json()["body"]
    assert "<textarea" in fetch("GET", "/duplicates").text
    page = send_form(fetch, "/duplicates", text=body)
    assert "This has been published" in page.text
    assert "/articles/42" in article_links(page)
    assert body in unescape(page.text)
    assert send_form(fetch, "/duplicates", text="  ").status == 400
    assert refused(send_json(fetch, "POST", "/api/duplicates", {})).keys() == {"text"}


# ---------------------------------------------------------------- statistics and newsletter


def statistics_add_up(fetch: Fetch) -> None:
    """The statistics count every article and follow a change at once; the page shows what the API says."""
    before = fetch("GET", "/api/stats").json()
    assert sum(month["articles"] for month in before["months"]) == before["articles"] >= ARTICLES
    assert 0 < sum(before["authors"].values()) <= before["articles"]
    path = created(fetch, tags=["Cricket"], published_at="2001-01-31T00:00:00")
    after = fetch("GET", "/api/stats").json()
    assert fetch("DELETE", path).status == 204
    assert after["articles"] == before["articles"] + 1
    assert after["tags"]["Cricket"] == before["tags"]["Cricket"] + 1
    page = fetch("GET", "/stats").text
    assert f"{before['articles']:,} articles" in page
    assert all(word in page for word in before["words"])


def every_subscriber_gets_the_newsletter(fetch: Fetch) -> None:
    """Posting leads to an edition, which says how far it is and in the end has reached every subscriber."""
    reply = fetch("POST", "/newsletter")
    assert reply.status == 303
    where = urlsplit(reply.headers["location"]).path
    until = time.monotonic() + _PATIENCE
    while (edition := fetch("GET", f"/api{where}").json())["state"] == "sending" and time.monotonic() < until:
        time.sleep(0.05)
    assert (edition["state"], edition["sent"]) == ("sent", edition["total"])
    assert edition["total"] >= ARTICLES // 4
    page = fetch("GET", where).text
    assert "<progress" in page
    assert where in fetch("GET", "/newsletter").text


PROMISES: tuple[Promise, ...] = (
    front_page_leads_to_the_newest_articles,
    pages_follow_each_other,
    every_article_is_on_exactly_one_page,
    subjects_narrow_the_front_page,
    article_page_shows_the_article,
    what_people_write_is_text,
    missing_things_are_404,
    pages_are_counted_from_one,
    wrong_methods_are_405,
    head_is_get_without_a_body,
    style_comes_with_the_site,
    articles_live_and_die,
    new_articles_are_on_the_front_page,
    broken_json_is_refused,
    every_bad_field_is_named,
    oversized_bodies_are_refused,
    users_are_found_by_email,
    bad_addresses_are_refused,
    copies_are_found,
    unseen_subjects_are_no_duplicates,
    the_form_says_the_same,
    statistics_add_up,
    every_subscriber_gets_the_newsletter,
)
