"""Fixtures for everyone: private servers, started when first asked for, one of each per pytest-xdist worker.

A server that is not installed makes its tests skip; under CI=true a skip is a failure. When a test fails, the report
ends with the logs of the servers it used.
"""

import os
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from tests.cli.command import Hotplate
from tests.support.chromium import Chromium
from tests.support.nginx import nginx_server
from tests.support.rabbitmq import RabbitMQ, rabbitmq_server
from tests.support.servers import postgres_account, postgres_server, redis_says, redis_server, server_folder
from tests.support.services import Service, require

StartNginx = Callable[[str], Service]

_IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}


# A job that a shell runs in the background ignores Ctrl-C, and so would every process that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def environment_as_before() -> Iterator[None]:
    """What a test hands on to its children by way of the environment is not the next test's."""
    before = os.environ.copy()
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(scope="session", autouse=True)
def state_of_our_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is kept between an app's runs, such as its tasks, is not kept in the home of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        for name in [name for name in os.environ if name.startswith("CELERY_")]:
            patch.delenv(name)
        yield


@pytest.fixture
def hotplate(tmp_path: Path) -> Iterator[Hotplate]:
    """The command; what it started is ended with the test."""
    command = Hotplate(tmp_path)
    yield command
    for running in command.running:
        running.destroy()


@pytest.fixture(scope="session")
def redis_service(request: pytest.FixtureRequest) -> Iterator[Service]:
    """A private redis-server, as the test before left it; `redis_url` empties it."""
    with server_folder("redis", keep=_failed(request)) as folder, redis_server(folder) as service:
        yield service


@pytest.fixture
def redis_url(redis_service: Service) -> str:
    """Address of a private redis-server, emptied before the test that asks."""
    redis_says(redis_service.port, "FLUSHALL")
    return redis_service.url


@pytest.fixture(scope="session")
def rabbitmq_service(request: pytest.FixtureRequest) -> Iterator[RabbitMQ]:
    """A private RabbitMQ, as the test before left it; `virtual_host` gives a test queues of its own."""
    with server_folder("rabbitmq", keep=_failed(request)) as folder, rabbitmq_server(folder) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_service(request: pytest.FixtureRequest) -> Iterator[Service]:
    """A private PostgreSQL cluster."""
    user = postgres_account()
    with (
        server_folder("postgres", owner=user, keep=_failed(request)) as folder,
        postgres_server(folder, user) as service,
    ):
        yield service


@pytest.fixture
def postgres_url(postgres_service: Service) -> Iterator[str]:
    """Address of a database of the test's own in a private PostgreSQL: empty at first, dropped afterwards."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres_service.url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield postgres_service.url.removesuffix("postgres") + name
    with psycopg.connect(postgres_service.url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def nginx(request: pytest.FixtureRequest) -> Iterator[StartNginx]:
    """Starts a private nginx from a configuration's text; as often as wanted, each ends with the test.

    Example:
        nginx(f"http {{ server {{ listen 127.0.0.1:{port}; return 204; }} }}")
    """
    with ExitStack() as running:

        def start_nginx(configuration: str) -> Service:
            folder = running.enter_context(server_folder("nginx", keep=_failed(request)))
            return running.enter_context(nginx_server(folder, configuration))

        yield start_nginx


@pytest.fixture
def chromium(tmp_path: Path) -> Chromium:
    """A headless browser: pictures of pages, and their HTML after scripts ran."""
    path = require("chromium", "chromium-browser", "google-chrome")
    folder = tmp_path / "chromium"
    folder.mkdir()
    return Chromium(path, folder)


@pytest.fixture(scope="session")
def wrk() -> Path:
    """Path of the load generator wrk."""
    return require("wrk")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds the logs of the servers a failed test used; turns skips into failures where nothing may be missing."""
    report = yield
    if _IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        _fail_instead(report)
    if report.failed:
        arguments = getattr(item, "funcargs", {})
        services = [argument for argument in arguments.values() if isinstance(argument, Service | RabbitMQ)]
        report.sections += [(f"end of {service.log}", service.log_tail()) for service in services]
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turns the skip of a whole module into a failure where nothing may be missing."""
    report = yield
    if _IN_CI and report.skipped:
        _fail_instead(report)
    return report


def _fail_instead(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"Under CI=true nothing may be skipped. {reason}"


def _failed(request: pytest.FixtureRequest) -> Callable[[], bool]:
    """Says, at the end, whether a test failed meanwhile, so that the server's folder is worth keeping."""
    session = request.session
    before = session.testsfailed
    return lambda: session.testsfailed > before
