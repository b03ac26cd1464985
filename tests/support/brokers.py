"""Message brokers for tests of tasks: the embedded one, Redis and RabbitMQ, all with the same handle.

    with redis_broker(folder) as broker:
        ... broker.url, broker.results, broker.kill(), broker.start() ...

Fixtures for them: `broker` (each in turn) and `broker_of` in `tests/tasks/brokers/conftest.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from tests.support.rabbitmq import RabbitMQ
from tests.support.servers import redis_says
from tests.support.services import Restartable, Spec, free_port, require, wait_until

KINDS = ("embedded", "redis", "rabbitmq")


def _nothing() -> None:
    """Do nothing: there is no server."""


@dataclass(frozen=True, kw_only=True)
class Broker:
    """A broker and where results go.

    Args:
        kind: "embedded", "redis" or "rabbitmq".
        url: for CELERY_BROKER_URL.
        results: for CELERY_RESULT_BACKEND.
        start: starts its server where it was, if it does not run.
        stop: ends its server in order.
        kill: ends its server with SIGKILL.
        frozen: a context within which its server does nothing.
        log_tail: the end of its server's log.
    """

    kind: str
    url: str
    results: str
    start: Callable[[], None] = _nothing
    stop: Callable[[], None] = _nothing
    kill: Callable[[], None] = _nothing
    frozen: Callable[[], AbstractContextManager[None]] = nullcontext
    log_tail: Callable[[], str] = str

    @property
    def has_server(self) -> bool:
        """Says whether there is something to stop and to kill."""
        return self.kind != "embedded"

    @property
    def environ(self) -> dict[str, str]:
        """What tells an application where its broker is."""
        return {"CELERY_BROKER_URL": self.url, "CELERY_RESULT_BACKEND": self.results}


class RedisServer(Restartable):
    """A redis-server that writes down what it is told before it answers, and may be killed and started again.

    Args:
        folder: where its data are; survives a restart.
        running: what ends with the tests.
    """

    def __init__(self, folder: Path, running: ExitStack) -> None:
        super().__init__(running)
        self.folder = folder
        self.port = free_port()
        self.start()

    @property
    def url(self) -> str:
        """Address of its first database."""
        return f"redis://127.0.0.1:{self.port}/0"

    def spec(self) -> Spec:
        """Return how it is started."""
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self.folder),
            "save": "",
            "appendonly": "yes",
            # Written before the answer, so a SIGKILL loses nothing that was answered; power cuts are no subject.
            "appendfsync": "everysec",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        command: list[str | Path] = [require("redis-server", "valkey-server"), *arguments]
        return Spec(name="redis", command=command, folder=self.folder, is_ready=self._answers)

    def _answers(self) -> bool:
        return redis_says(self.port, "PING") == "+PONG"


def embedded_broker(folder: Path) -> Broker:
    """Return a broker that is a file in a folder of the test's own."""
    home = folder / "tasks"
    home.mkdir(mode=0o700, exist_ok=True)
    url = f"hotplate:///{home / 'tasks.sqlite'}"
    return Broker(kind="embedded", url=url, results=url)


@contextmanager
def redis_broker(folder: Path) -> Iterator[Broker]:
    """Start a redis-server of the test's own in an empty folder; takes a tenth of a second."""
    with ExitStack() as running:
        server = RedisServer(folder, running)
        yield Broker(
            kind="redis",
            url=server.url,
            results=server.url,
            start=server.start,
            stop=server.stop,
            kill=server.kill,
            frozen=server.frozen,
            log_tail=server.log_tail,
        )


@contextmanager
def rabbitmq_broker(server: RabbitMQ, folder: Path) -> Iterator[Broker]:
    """Take a virtual host of the test's own on a running RabbitMQ; results go to a file in `folder`."""
    server.start()
    wait_until(server.answers, what="RabbitMQ answers")
    with server.virtual_host() as url:
        yield Broker(
            kind="rabbitmq",
            url=url,
            results=embedded_broker(folder).url,
            start=server.start,
            stop=server.stop,
            kill=server.kill,
            frozen=server.frozen,
            log_tail=server.log_tail,
        )
