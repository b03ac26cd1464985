"""Long work leaves the request: 202 and a page that says how far it is, in each framework."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask
import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount, Route

import hotplate
from hotplate.errors import ExitCode, HotplateError

MEMORY: dict[str, Any] = {"broker_url": "memory://", "result_backend": "cache+memory://"}
UUID = re.compile(r"[0-9a-f-]{36}")


@pytest.fixture(autouse=True)
def _left_as_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    from celery import _state

    for name in ("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOTPLATE_TASKS_DIR", str(tmp_path))
    before, current = _state.default_app, _state._tls.current_app
    yield
    _state.set_default_app(before)
    _state._set_current_app(current)


class Asked:
    """An app that is asked, whichever framework it is of.

    Args:
        app: the web app.
        celery: the Celery app.
        ask: returns status, fields and body of an answer.
    """

    def __init__(self, app: Any, celery: Any, ask: Callable[..., tuple[int, dict[str, str], bytes]]) -> None:
        self.app, self.celery, self.ask = app, celery, ask


def _work() -> str:
    return "secret result"


def _flask(**conf: Any) -> Asked:
    app = flask.Flask("shop")
    celery = hotplate.tasks.celery(app, **MEMORY, **conf)
    work = celery.task(_work)

    @app.post("/start")
    def start() -> Any:
        return hotplate.tasks.accepted(work.delay())

    @app.post("/start-shown")
    def start_shown() -> Any:
        return hotplate.tasks.accepted(work.delay(), show_result=True)

    def ask(path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        answer = app.test_client().open(path, method=method, headers=headers)
        return answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, answer.get_data()

    return Asked(app, celery, ask)


def _asgi(app: Any, celery: Any, served: Any = None) -> Asked:
    async def answer_of(path: str, method: str, headers: dict[str, str]) -> httpx.Response:
        transport = httpx.ASGITransport(served or app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
            return await client.request(method, path, headers=headers)

    def ask(path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        answer = asyncio.run(answer_of(path, method, headers))
        return answer.status_code, dict(answer.headers), answer.content

    return Asked(app, celery, ask)


def _fastapi(**conf: Any) -> Asked:
    app = FastAPI()

    @app.get("/{rest:path}")
    def everything(rest: str) -> str:
        return rest

    celery = hotplate.tasks.celery(app, **MEMORY, **conf)
    work = celery.task(_work)

    @app.post("/start")
    async def start() -> Any:
        return hotplate.tasks.accepted(work.delay())

    @app.post("/start-shown")
    def start_shown() -> Any:
        return hotplate.tasks.accepted(work.delay(), show_result=True)

    assert "/-/tasks/{id}" not in app.openapi()["paths"]
    return _asgi(app, celery)


def _starlette(**conf: Any) -> Asked:
    async def start(request: Any) -> Any:
        return hotplate.tasks.accepted(work.delay(), show_result="shown" in request.url.path)

    app = Starlette(routes=[Route(path, start, methods=["POST"]) for path in ("/start", "/start-shown")])
    celery = hotplate.tasks.celery(app, **MEMORY, **conf)
    work = celery.task(_work)
    return _asgi(app, celery)


@pytest.fixture(params=[_flask, _fastapi, _starlette], ids=["flask", "fastapi", "starlette"])
def site(request: pytest.FixtureRequest) -> Asked:
    """A site of each framework in turn."""
    made: Asked = request.param()
    return made


def test_work_that_goes_on_is_accepted(site: Asked) -> None:
    """202, with the address of its page in Location and in its JSON, and no cache keeps it."""
    code, fields, body = site.ask("/start", "POST")
    told = json.loads(body)
    assert code == 202
    assert UUID.fullmatch(told["id"])
    assert told["state"] == "waiting"
    assert told["status_url"] == fields["location"] == f"/-/tasks/{told['id']}"
    assert told["events_url"] == told["status_url"] + "/events"
    assert fields["cache-control"] == "no-store"
    assert fields["content-type"] == "application/json"
    assert int(fields["content-length"]) == len(body)


def test_its_page_tells_how_far_it_is(site: Asked) -> None:
    """From waiting to done, without what it returned."""
    told = json.loads(site.ask("/start", "POST")[2])
    seen = []
    for state, result in (("PENDING", None), ("PROGRESS", {"done": 1, "total": 2}), ("SUCCESS", "secret result")):
        if result is not None:
            site.celery.backend.store_result(told["id"], result, state)
        code, fields, body = site.ask(told["status_url"])
        assert (code, fields["cache-control"], fields["x-content-type-options"]) == (200, "no-store", "nosniff")
        assert b"secret" not in body
        seen.append((json.loads(body)["state"], (json.loads(body)["progress"] or {}).get("percent")))
    assert seen == [("waiting", None), ("running", 50.0), ("done", 100.0)]


def test_what_it_returned_is_shown_where_that_was_said(site: Asked) -> None:
    """By the app, for this task."""
    told = json.loads(site.ask("/start-shown", "POST")[2])
    site.celery.backend.store_result(told["id"], "secret result", "SUCCESS")
    assert json.loads(site.ask(told["status_url"])[2])["result"] == "secret result"


def test_its_events_end_with_it(site: Asked) -> None:
    """The type that browsers want, nothing that keeps or collects them, and a 204 for who has seen the end."""
    told = json.loads(site.ask("/start", "POST")[2])
    site.celery.backend.store_result(told["id"], None, "SUCCESS")
    code, fields, body = site.ask(told["events_url"])
    assert code == 200
    assert fields["content-type"].startswith("text/event-stream")
    assert (fields["cache-control"], fields["x-accel-buffering"]) == ("no-store", "no")
    assert b'"state":"done"' in body
    assert site.ask(told["events_url"], **{"Last-Event-ID": "done"})[0] == 204


@pytest.mark.parametrize("tail", ["", "/events"])
@pytest.mark.parametrize("text", ["1", "celery-task-meta-x", "..%2f..%2fetc", "d9428888-122b-41e1-b85c-61cd3cbb321"])
def test_what_is_no_id_is_not_looked_for(site: Asked, text: str, tail: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not found, as JSON or as the site has it."""
    monkeypatch.setattr(type(site.celery.backend), "get_task_meta", lambda *_, **__: pytest.fail("it was looked for"))
    code, _, body = site.ask(f"/-/tasks/{text}{tail}")
    assert code == 404 or (code == 200 and b"error" not in body and b"state" not in body)


def test_results_that_are_away_are_no_error_of_the_site(site: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 and when to come back; no word of the driver's."""

    def away(*_: Any, **__: Any) -> None:
        raise ConnectionError("redis://:hunter2@cache")

    monkeypatch.setattr(type(site.celery.backend), "get_task_meta", away)
    code, fields, body = site.ask("/-/tasks/d9428888-122b-41e1-b85c-61cd3cbb3210")
    assert (code, fields["retry-after"], fields["cache-control"]) == (503, "5", "no-store")
    assert b"hunter2" not in body
    code, _, body = site.ask("/-/tasks/d9428888-122b-41e1-b85c-61cd3cbb3210/events")
    assert (code, body) == (200, b"retry: 5000\n\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_pages_are_only_read(site: Asked, method: str) -> None:
    """Nothing can be changed by them."""
    assert site.ask("/-/tasks/d9428888-122b-41e1-b85c-61cd3cbb3210", method)[0] == 405


@pytest.mark.parametrize("make", [_flask, _starlette], ids=["flask", "starlette"])
def test_pages_are_where_they_are_wanted(make: Callable[..., Asked]) -> None:
    """At another path, or nowhere; a path that is none is refused."""
    site = make(status_path="/jobs")
    assert json.loads(site.ask("/start", "POST")[2])["status_url"].startswith("/jobs/")
    for path in ("jobs", "/jobs/", "/<id>"):
        with pytest.raises(HotplateError, match="status pages"):
            make(status_path=path)


def test_without_pages_accepted_says_what_to_type() -> None:
    """Rather than a URL that leads nowhere."""
    app = flask.Flask("shop")
    celery = hotplate.tasks.celery(app, status_path=None, **MEMORY)
    work = celery.task(_work)
    with app.test_request_context(), pytest.raises(HotplateError, match=r"hotplate\.tasks\.celery\(app\)") as refused:
        hotplate.tasks.accepted(work.delay())
    assert refused.value.code is ExitCode.USAGE


def test_a_celery_app_of_somebody_else_gets_pages() -> None:
    """By `hotplate.tasks.routes`."""
    from celery import Celery

    app = flask.Flask("shop")
    celery: Any = Celery("theirs")
    celery.conf.update(MEMORY)
    work = celery.task(_work)
    hotplate.tasks.routes(app, celery)

    @app.post("/start")
    def start() -> Any:
        return hotplate.tasks.accepted(work.delay())

    told = app.test_client().post("/start").json
    assert told is not None
    assert app.test_client().get(told["status_url"]).json == {
        "id": told["id"], "state": "waiting", "final": False, "progress": None
    }  # fmt: skip


def test_behind_a_prefix_the_address_has_it() -> None:
    """Of a WSGI server, and of an app that another one mounts."""
    site = _flask()
    answer = site.app.test_client().post("/start", environ_overrides={"SCRIPT_NAME": "/shop"})
    assert answer.json["status_url"].startswith("/shop/-/tasks/")
    inner = _starlette()
    outer = _asgi(None, inner.celery, Starlette(routes=[Mount("/shop", inner.app)]))
    told = json.loads(outer.ask("/shop/start", "POST")[2])
    assert told["status_url"].startswith("/shop/-/tasks/")
    assert outer.ask(told["status_url"])[0] == 200
    mounted = _starlette()
    celery = mounted.celery

    async def start(_: Any) -> Any:
        return hotplate.tasks.accepted(celery.tasks[f"{__name__}._work"].delay())

    mounted.app.mount("/admin", Starlette(routes=[Route("/start", start, methods=["POST"])]))
    told = json.loads(mounted.ask("/admin/start", "POST")[2])
    assert told["status_url"].startswith("/-/tasks/")


def test_work_that_ran_at_once_is_done() -> None:
    """While the broker was away, and the app asked for it: 200, and its state says so."""
    app = flask.Flask("shop")
    celery = hotplate.tasks.celery(app, task_always_eager=True, **MEMORY)
    work = celery.task(_work)
    with app.test_request_context():
        answer = hotplate.tasks.accepted(work.delay())
    assert (answer.status_code, answer.json["state"]) == (200, "done")


def test_results_that_cannot_be_marked_do_not_fail_the_request() -> None:
    """The task is on its way."""
    site = _flask()

    def away(*_: Any, **__: Any) -> None:
        raise ConnectionError("gone")

    site.celery.backend.store_result = away
    assert site.ask("/start-shown", "POST")[0] == 202


DJANGO = """
import json, sys
from django.conf import settings
settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="x")
import django, hotplate
django.setup()
from django.test import AsyncClient, Client
from django.urls import include, path
celery = hotplate.tasks.celery(name="shop", broker_url="memory://", result_backend="cache+memory://")
@celery.task
def work(): return "secret"
def start(request): return hotplate.tasks.accepted(work.delay())
urlpatterns = [path("start", start)]
try:
    Client(raise_request_exception=True).post("/start")
except hotplate.HotplateError as problem:
    assert "taskpages_django" in str(problem), problem
else:
    raise SystemExit("no error without the URLs")
urlpatterns.append(path("-/tasks/", include("hotplate.frameworks.taskpages_django")))
from django.urls import clear_url_caches
clear_url_caches()
answer = Client().post("/start")
told = answer.json()
assert answer.status_code == 202 and answer["Location"] == told["status_url"] == "/-/tasks/" + told["id"], told
assert answer["Cache-Control"] == "no-store"
page = Client().get(told["status_url"])
assert page.json()["state"] == "waiting" and page["Cache-Control"] == "no-store"
assert Client().get("/-/tasks/1").status_code == 404
assert Client().post(told["status_url"]).status_code == 405
celery.backend.store_result(told["id"], "secret", "SUCCESS")
events = b"".join(Client().get(told["events_url"]).streaming_content)
assert b'"state":"done"' in events and b"secret" not in events
assert Client().get(told["events_url"], headers={"Last-Event-ID": "done"}).status_code == 204
import asyncio
async def follow():
    answer = await AsyncClient().get(told["events_url"])
    return b"".join([part async for part in answer.streaming_content])
assert b'"state":"done"' in asyncio.run(follow())
print("fine")
"""


def test_django(tmp_path: Path) -> None:
    """Its URLs are included by the site; without them the error says how. In a process of its own: Django is global."""
    script = tmp_path / "site_of_one_file.py"
    script.write_text(DJANGO)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.strip() == "fine", done.stderr
