"""Newsdesk, served by the real command, keeps what it promises, and says what it says under `flask run`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.examples import promises
from tests.examples.asking import Fetch, http_fetch
from tests.examples.conftest import CALM, ROOT, VARIANTS, places
from tests.examples.promises import ARTICLES, PROMISES, QUICK, Promise
from tests.support import gateway_process
from tests.support.instance import Instance, environment, instance
from tests.support.services import Spec, start
from tests.support.waiting import free_port

VALIDATED = """
from wsgiref.validate import validator
from newsdesk.{variant} import app as newsdesk

app = validator(newsdesk.wsgi_app)
"""
# Flask gives the 204 of a deletion a Content-Type, which is what wsgiref.validate objects to.
DELETING = {
    promises.what_people_write_is_text,
    promises.articles_live_and_die,
    promises.new_articles_are_on_the_front_page,
    promises.unseen_subjects_are_no_duplicates,
    promises.statistics_add_up,
}
VALIDATABLE = [promise for promise in PROMISES if promise not in DELETING]
PAGES = (
    "/",
    "/?page=2",
    "/?tag=Middle%20East",
    "/articles/1",
    "/duplicates",
    "/stats",
    "/api/articles?per_page=7&page=2",
    "/api/articles/17",
    "/api/stats",
    "/static/newsdesk.css",
    "/nowhere",
    "/api/nowhere",
    "/?page=%00",
)
# Each server's own: its name, the time, what it does with the connection, and what its cache tells.
OWN = {"server", "date", "expires", "connection", "keep-alive", "age", "cache-status"}  # or of the moment


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a Newsdesk with a small database of its own."""
    folder = tmp_path_factory.mktemp("desk")
    source = os.pathsep.join([str(gateway_process.ROOT / "src"), str(ROOT)])
    env = {**QUICK, **CALM, **places(folder), "PYTHONPATH": source, "DATABASE_URL": ""}
    command = [sys.executable, "-m", "newsdesk.seed", "--articles", str(ARTICLES)]
    subprocess.run(command, env=environment(env), cwd=folder, check=True)
    return env


class Validated(NamedTuple):
    """A variant with `wsgiref.validate` around it."""

    variant: str
    site: Instance
    fetch: Fetch


@contextmanager
def newsdesk(folder: Path, env: dict[str, str], source: str, target: str) -> Iterator[tuple[Instance, Fetch]]:
    """Serve a variant."""
    with instance(folder, source, "--workers", "2", target=target, env=env) as site:
        yield site, http_fetch(f"http://127.0.0.1:{site.port}")


@pytest.fixture(scope="module", params=VARIANTS)
def fetch(
    request: pytest.FixtureRequest, desk: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fetch]:
    """Asks each variant in turn."""
    with newsdesk(tmp_path_factory.mktemp("served"), desk, "", f"newsdesk.{request.param}:app") as (_site, asked):
        yield asked


@pytest.fixture(scope="module", params=VARIANTS)
def validated(
    request: pytest.FixtureRequest, desk: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Validated]:
    """Asks each variant in turn, with `wsgiref.validate` around it."""
    source = VALIDATED.format(variant=request.param)
    with newsdesk(tmp_path_factory.mktemp("validated"), desk, source, "app:app") as (site, asked):
        yield Validated(str(request.param), site, asked)


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_promise(promise: Promise, fetch: Fetch) -> None:
    """A promise holds, see tests/examples/promises.py."""
    promise(fetch)


@pytest.mark.parametrize("promise", VALIDATABLE, ids=lambda promise: promise.__name__)
def test_promise_with_a_validator_around(promise: Promise, validated: Validated) -> None:
    """Both sides keep to PEP 3333: `wsgiref.validate` has nothing to say."""
    promise(validated.fetch)
    assert "AssertionError" not in validated.site.log
    assert "Warning" not in validated.site.log


def test_flask_run_says_the_same(validated: Validated, desk: dict[str, str], tmp_path: Path) -> None:
    """Status, header fields and body of every page are those of the development server."""
    ours = validated.fetch
    port = free_port()
    theirs = http_fetch(f"http://127.0.0.1:{port}")
    command = [sys.executable, "-m", "flask", "--app", f"newsdesk.{validated.variant}", "run", "--port", str(port)]

    def is_ready() -> bool:
        return theirs("GET", "/duplicates").status == 200

    spec = Spec(name="flask", command=command, folder=tmp_path, is_ready=is_ready, environ=environment(desk))
    with start(spec):
        for method in ("GET", "HEAD", "OPTIONS", "DELETE"):
            for path in PAGES if method != "DELETE" else ("/", "/api/articles"):
                assert _essence(ours, method, path) == _essence(theirs, method, path), (method, path)


def _essence(fetch: Fetch, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
    reply = fetch(method, path)
    fields = {name: value for name, value in reply.headers.items() if name not in OWN}
    if fields.get("vary") == "Accept-Encoding":  # which page is worth compressing is for the server to say
        del fields["vary"]
    if "allow" in fields:  # in the order of a set
        fields["allow"] = " ".join(sorted(fields["allow"].split(", ")))
    return reply.status, fields, reply.body
