"""Both variants keep the same promises, asked without a network."""

import json

import pytest

from tests.examples.conftest import Site
from tests.examples.promises import PROMISES, Promise


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_promise(promise: Promise, site: Site) -> None:
    """A promise holds, see `promises.py`."""
    promise(site.fetch())


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/?page=3",
        "/?tag=Fire%20and%20weather&page=2",
        "/articles/1",
        "/articles/399",
        "/duplicates",
        "/stats",
        "/api/articles?per_page=7&page=2",
        "/api/articles/17",
        "/api/stats",
        "/api/users?email=ben.abbott1@example.org",
        "/nowhere",
        "/api/nowhere",
    ],
)
def test_both_variants_say_the_same(path: str, app_site: Site, slow_site: Site) -> None:
    """What somebody reads does not depend on the variant, to the byte."""
    left, right = app_site.fetch()("GET", path), slow_site.fetch()("GET", path)
    assert (left.status, left.text) == (right.status, right.text)


def test_both_variants_find_the_same_duplicates(app_site: Site, slow_site: Site) -> None:
    """The matches of a draft are the same, in the same order."""
    text = app_site.fetch()("GET", "/api/articles/1").json()["body"].split(". ")[2:5]
    draft = json.dumps({"text": ". ".join(text)}).encode()
    typed = {"Content-Type": "application/json"}
    left, right = (s.fetch()("POST", "/api/duplicates", body=draft, headers=typed) for s in (app_site, slow_site))
    assert left.json()["matches"]
    assert left.json() == right.json()
