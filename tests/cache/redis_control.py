"""A redis-server of a test's own that may be frozen, killed, restarted and filled; and stores on it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from hotplate.cache.stores.base import Look, Token
from hotplate.cache.stores.redis import RedisStore
from tests.support.services import Service, Spec, require, start
from tests.support.waiting import wait_until

# Of stores that are to time out; and of stores that are not to, however busy the machine is.
HASTY, PATIENT = 0.2, 5.0


class Control:
    """Starts and ends a server on one Unix socket, as often as a test likes.

    Args:
        folder: where its socket and its snapshots are; a short path.
        running: what ends with the test.
        options: of the server.
    """

    def __init__(self, folder: Path, running: ExitStack, **options: str) -> None:
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._folder = folder
        self._running = running
        self._options = {"port": "0", "unixsocket": str(self.socket), "dir": str(folder), "save": ""} | options
        self.client = redis.Redis(unix_socket_path=str(self.socket), retry=Retry(NoBackoff(), 0))
        running.callback(self.client.close)
        self._service = self._started()

    def store(self, budget: float = PATIENT, *, url: str = "", is_up: bool = True) -> RedisStore:
        """Open a store as another process would; by default wait until it knows the clock."""
        store = RedisStore(url or self.url, budget=budget)
        self._running.callback(store.close)
        if is_up:
            wait_until(store.now, what="the clock is known")
        return store

    def kill(self) -> None:
        """End it as a machine that loses its power does."""
        os.kill(self._service.pid, signal.SIGKILL)
        wait_until(lambda: not self._answers(), what="it is gone")

    def restart(self) -> None:
        """Start it again where it was."""
        self._service = self._started()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop it from doing anything meanwhile, without ending it."""
        os.kill(self._service.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._service.pid, signal.SIGCONT)

    def keys(self, part: str) -> list[bytes]:
        """Return the keys that have `part` in them."""
        return list(self.client.scan_iter(f"*{part}*"))

    def say(self, *command: str | int) -> object:
        """Send it a command that redis-py has no method for."""
        return self.client.execute_command(*command)  # type: ignore[no-untyped-call]  # redis-py has no types here

    def raw(self, *command: str | int) -> bytes:
        """Send it a command and return what it says, unread."""
        with closing(socket.socket(socket.AF_UNIX)) as connection:
            connection.connect(str(self.socket))
            connection.sendall(b" ".join(str(part).encode() for part in command) + b"\r\n")
            return connection.recv(100_000)

    def _started(self) -> Service:
        self.socket.unlink(missing_ok=True)
        options = [part for name, value in self._options.items() for part in (f"--{name}", value)]
        program = require("redis-server", "valkey-server")
        spec = Spec(name="redis", command=[program, *options], folder=self._folder, is_ready=self._answers)
        return self._running.enter_context(start(spec))

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.AuthenticationError:
            return True
        except (redis.ConnectionError, redis.TimeoutError):
            return False


def token_of(look: Look) -> Token:
    """Return the token of a look that was answered."""
    assert look.token is not None
    return look.token


def answered(store: RedisStore, key: bytes) -> Look:
    """Look until Redis has answered in time, which on a starved machine it may not the first time."""

    def found() -> Look | tuple[()]:
        look = store.look(key)
        return look if look.token else ()

    look = wait_until(found, what="it answers")
    assert isinstance(look, Look)
    return look


def kept(store: RedisStore, key: bytes, value: bytes, slots: tuple[int, ...]) -> Token:
    """Put a value, make sure it is there, and return its token."""
    token = token_of(answered(store, key))
    store.put(key, value, token, slots, 600)
    assert store.look(key).value == value
    return token


Begin = Callable[..., Control]
KEY, OTHER = b"k" * 32, b"o" * 32
NOTHING = Look(None, None)


def up_again(store: RedisStore) -> None:
    """Wait until the store has healed."""
    wait_until(lambda: store.state().is_up and store.now(), what="the store is up and knows the clock")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged."""
    return [record.getMessage() for record in caplog.records if record.name == "hotplate.cache"]
