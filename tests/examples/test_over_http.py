"""The same promises over HTTP: each variant on SQLite under `flask run`, on PostgreSQL under gunicorn.

Beside the well-written one runs a Celery worker, as the README has it.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from tests.examples.asking import Fetch, http_fetch
from tests.examples.conftest import BROKERS, CALM, ROOT, VARIANTS, places
from tests.examples.promises import ARTICLES, PROMISES, QUICK, Promise
from tests.support.services import Service, Spec, free_port, start

FLASK_RUN = "{python} -m flask --app newsdesk.{variant} run --port {port}"
CELERY = "-m celery -A newsdesk.app:celery worker --concurrency 1 --loglevel INFO"
GUNICORN = "{python} -m gunicorn --bind 127.0.0.1:{port} --workers 2 --threads 2 newsdesk.{variant}:app"


@contextmanager
def served(command: str, variant: str, folder: Path, database_url: str = "") -> Iterator[str]:
    """Seeds a database, serves a variant from it, and yields the server's address."""
    others = dict.fromkeys(BROKERS, "")
    environ = {**QUICK, **CALM, **others, **places(folder / "data"), "PYTHONPATH": str(ROOT)}
    environ["DATABASE_URL"] = database_url
    seed = [sys.executable, "-m", "newsdesk.seed", "--articles", str(ARTICLES), "--variant", variant]
    subprocess.run(seed, env={**os.environ, **environ}, check=True)
    port = free_port()
    words = command.format(python=sys.executable, variant=variant, port=port).split()

    def is_ready() -> bool:
        return http_fetch(f"http://127.0.0.1:{port}")("GET", "/duplicates").status == 200

    with ExitStack() as running:
        if variant == "app":
            running.enter_context(celery_worker(folder, environ))
        running.enter_context(
            start(Spec(name="newsdesk", command=words, folder=folder, is_ready=is_ready, environ=environ))
        )
        yield f"http://127.0.0.1:{port}"


@contextmanager
def celery_worker(folder: Path, environ: dict[str, str]) -> Iterator[Service]:
    """Runs the worker of the README."""
    log = folder / "worker.log"
    words = [sys.executable, *CELERY.split()]

    def is_ready() -> bool:
        return log.exists() and " ready." in log.read_text()

    with start(Spec(name="worker", command=words, folder=folder, is_ready=is_ready, environ=environ)) as service:
        yield service


@pytest.fixture(scope="module", params=VARIANTS)
def base_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a variant is served; a suite with another server overrides this one."""
    with served(FLASK_RUN, request.param, tmp_path_factory.mktemp("served")) as url:
        yield url


@pytest.fixture(scope="module", params=VARIANTS)
def postgres_base_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgres_cluster: str
) -> Iterator[str]:
    """Where a variant is served that keeps its articles in PostgreSQL."""
    name = f"newsdesk_{uuid4().hex}"
    with psycopg.connect(postgres_cluster, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        head = postgres_cluster.rsplit("/", 1)[0].replace("postgresql://", "postgres://")
        try:
            with served(GUNICORN, request.param, tmp_path_factory.mktemp("served"), f"{head}/{name}") as url:
                yield url
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def postgres_cluster(request: pytest.FixtureRequest) -> str:
    """A PostgreSQL to make databases in: NEWSDESK_TEST_POSTGRES, else a private one."""
    given = os.environ.get("NEWSDESK_TEST_POSTGRES")
    if given:
        return given
    service: Service = request.getfixturevalue("postgres_service")
    return service.url


@pytest.fixture
def fetch(base_url: str) -> Fetch:
    """Asks the served variant."""
    return http_fetch(base_url)


@pytest.mark.process
@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_promise_over_http(promise: Promise, fetch: Fetch) -> None:
    """A promise holds over HTTP, see `promises.py`."""
    promise(fetch)


@pytest.mark.process
@pytest.mark.postgres
@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_promise_on_postgres(promise: Promise, postgres_base_url: str) -> None:
    """A promise holds with several processes and PostgreSQL."""
    promise(http_fetch(postgres_base_url))
