"""Newsdesk for tests: seeded once per process in a temporary folder, with the quick model."""

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, cast

import pytest
from celery.contrib.testing.worker import start_worker
from flask import Flask
from sqlalchemy import Engine, event

from tests.examples.asking import Fetch, Reply
from tests.examples.promises import ARTICLES, QUICK

ROOT = Path(__file__).resolve().parents[2] / "examples" / "newsdesk"
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

VARIANTS = ("app", "slow")
# The slow variant leaves BLAS its threads, which on a busy machine wait for each other; that is not what is tested.
CALM = {"OPENBLAS_NUM_THREADS": "1"}
# Those of whoever runs the tests are not ours.
BROKERS = ("DATABASE_URL", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND", "REDIS_URL")


class Site(NamedTuple):
    """One variant, imported into this process."""

    name: str
    app: Flask
    engine: Engine

    def fetch(self) -> Fetch:
        """A `fetch` that calls the app without a network."""
        client = self.app.test_client()

        def fetch(method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
            response = client.open(path, method=method, data=body, headers=dict(headers or {}))
            return Reply(response.status_code, {k.lower(): v for k, v in response.headers.items()}, response.data)

        return fetch

    @contextmanager
    def statements(self) -> Iterator[list[str]]:
        """Collects the SQL statements sent meanwhile."""
        seen: list[str] = []

        def note(_conn: object, _cursor: object, statement: str, *_: object) -> None:
            seen.append(statement)

        event.listen(self.engine, "before_cursor_execute", note)
        try:
            yield seen
        finally:
            event.remove(self.engine, "before_cursor_execute", note)


def places(folder: Path) -> dict[str, str]:
    """Where a Newsdesk keeps its articles and its tasks, for its environment."""
    return {"NEWSDESK_DATA": str(folder), "HOTPLATE_TASKS_DIR": str(folder / "tasks")}


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the database that the imported variants use."""
    return tmp_path_factory.mktemp("newsdesk")


@pytest.fixture(scope="session")
def load(data: Path) -> Iterator[Callable[[str], Site]]:
    """Imports a variant; the first call seeds the database."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**QUICK, **CALM, **places(data)}.items():
            patch.setenv(name, value)
        for name in BROKERS:
            patch.delenv(name, raising=False)
        importlib.import_module("newsdesk.seed").seed(ARTICLES)

        def load(name: str) -> Site:
            module = importlib.import_module(f"newsdesk.{name}")
            return Site(name, cast("Flask", module.app), cast("Engine", module.engine))

        yield load


@pytest.fixture(scope="session")
def worker(load: Callable[[str], Site]) -> Iterator[None]:
    """A Celery worker for the well-written variant, in a thread of this process, so that tests can hold it back."""
    load("app")
    celery = importlib.import_module("newsdesk.app").celery
    with start_worker(celery, perform_ping_check=False, shutdown_timeout=60):
        yield


@pytest.fixture(params=VARIANTS)
def site(request: pytest.FixtureRequest, load: Callable[[str], Site]) -> Site:
    """Each variant in turn."""
    return load(str(request.param))


@pytest.fixture
def app_site(load: Callable[[str], Site]) -> Site:
    """The variant that is written well."""
    return load("app")


@pytest.fixture
def slow_site(load: Callable[[str], Site]) -> Site:
    """The variant with the faults."""
    return load("slow")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """What a process of its own needs to run Newsdesk on an empty folder."""
    kept = {name: value for name, value in os.environ.items() if name not in {*BROKERS, "OPENBLAS_NUM_THREADS"}}
    return kept | {**QUICK, **places(tmp_path / "data"), "PYTHONPATH": str(ROOT)}
