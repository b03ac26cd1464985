"""Django, as WSGI and as ASGI, served by the real command."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.frameworks.serving import LARGE, SITES, Site, sha256, site
from tests.support.instance import environment

PARTS = b"".join(b"part %d\n" % number for number in range(5))
# Nothing but a flag where the target would be: the folder's manage.py leads to the app.
NO_TARGET = "--name=default"


class Way(NamedTuple):
    """One way to serve the project."""

    target: str
    kind: str


WAYS = (Way(NO_TARGET, "WSGIRequest"), Way("shelf.wsgi:application", "WSGIRequest"), Way("shelf.asgi", "ASGIRequest"))


def project(folder: Path) -> Path:
    """Lay the project out in `folder`, with two books in its database."""
    shutil.copytree(SITES / "django_site", folder, dirs_exist_ok=True)
    for words in (
        ["migrate", "--run-syncdb"],
        ["shell", "-v", "0", "-c", "from shelf.models import Book; [Book.objects.create(title=t) for t in 'AB']"],
    ):
        subprocess.run([sys.executable, "manage.py", *words], cwd=folder, env=environment(), check=True)
    return folder


@pytest.fixture(scope="module", params=WAYS, ids=["found", "wsgi", "asgi"])
def django(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, str]]:
    """The project, one way after the other, and the kind of request it sees."""
    folder = project(tmp_path_factory.mktemp("django"))
    with site(folder, "", target=request.param.target) as served:
        yield served, request.param.kind


@pytest.fixture
def ask(django: tuple[Site, str]) -> httpx.Client:
    """Asks the project."""
    return django[0].client


def test_the_project_is_served_its_way(django: tuple[Site, str]) -> None:
    """With path and query as they were meant."""
    served, kind = django
    assert served.client.get("/", params={"q": ["1", "\u2603"]}).json() == {
        "kind": kind,
        "path": "/",
        "q": ["1", "\u2603"],
    }


def test_the_orm_reads_and_writes(ask: httpx.Client) -> None:
    """From sync and async views."""
    before = ask.get("/books").json()["books"]
    assert before[:2] == ["A", "B"]
    assert ask.post("/add", data={"title": "\u00c7"}).status_code == 201
    assert ask.get("/books").json()["books"] == [*before, "\u00c7"]
    assert ask.get("/books/async").json()["books"] == [*before, "\u00c7"]


@pytest.mark.parametrize("path", ["/stream", "/stream/async"])
def test_a_stream_comes_whole(ask: httpx.Client, path: str) -> None:
    """From either kind of generator, in either kind of project."""
    assert ask.get(path).content == PARTS


def test_a_file_comes_whole(ask: httpx.Client) -> None:
    """With its length."""
    source = (SITES / "django_site" / "shelf" / "urls.py").read_bytes()
    answer = ask.get("/file", headers={"Accept-Encoding": "identity"})
    assert (answer.content, answer.headers["content-length"]) == (source, str(len(source)))


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "20 MiB"])
def test_an_upload_arrives_whole(ask: httpx.Client, content: bytes) -> None:
    """Through Django's own spooling."""
    answer = ask.post("/upload", files={"file": ("photo.png", content)})
    assert answer.json() == {"name": "photo.png", "size": len(content), "digest": sha256(content)}


def test_errors_are_answered(django: tuple[Site, str]) -> None:
    """As Django answers them; the traceback is in the log."""
    served, _kind = django
    assert served.client.get("/boom").status_code == 500
    served.instance.until_logged("RuntimeError: boom")
    assert served.client.get("/missing").status_code == 404
    assert served.client.get("/", headers={"Host": "elsewhere.example"}).status_code == 400
    assert served.client.get("/").status_code == 200
