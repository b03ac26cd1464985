"""The servers tests ask for: how a private redis-server and PostgreSQL cluster are started (`nginx.py` has nginx).

Each serves on 127.0.0.1 only and keeps everything in a temporary folder of its own. Those folders are made here and not
by `tmp_path`, because the accounts that PostgreSQL and nginx run as may not enter pytest's folders, and because a Unix
socket's path must stay under 108 bytes (unix(7)).
"""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg

from tests.support.services import (
    SEARCH_PATH,
    Service,
    ServiceFailedError,
    Spec,
    free_port,
    require,
    skip_for_want_of,
    start,
)

# Somebody may take a port between our asking for it and the server's binding it.
_PORT_TRIES = 5
_EVIDENCE = {".log", ".conf"}
_PORT_TAKEN = re.compile(r"address already in use", re.IGNORECASE)


@contextmanager
def server_folder(name: str, *, owner: str | None = None, keep: Callable[[], bool] = lambda: False) -> Iterator[Path]:
    """Makes a folder for a server and removes it afterwards; its logs and configuration stay if `keep` says so.

    Args:
        name: of the server; part of the folder's name.
        owner: the account that will write there; None for our own.
        keep: asked at the end whether there was a failure, of which they are evidence.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"hotplate-{name}-"))
    try:
        if owner is not None:
            shutil.chown(folder, owner, owner)
        yield folder
    finally:
        kept = {file for file in folder.iterdir() if file.suffix in _EVIDENCE} if keep() else set()
        for entry in set(folder.iterdir()) - kept:
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def redis_server(folder: Path) -> Iterator[Service]:
    """Starts a redis-server that persists nothing; `url` is its redis:// address, redis.sock in `folder` its socket."""
    command = require("redis-server", "valkey-server")

    def attempt(port: int) -> Spec:
        options = {
            "bind": "127.0.0.1",
            "port": str(port),
            "unixsocket": str(folder / "redis.sock"),
            "dir": str(folder),
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        return Spec(
            name="redis",
            command=[command, *arguments],
            folder=folder,
            is_ready=lambda: redis_says(port, "PING") == "+PONG",
        )

    with _on_a_free_port(attempt) as (service, port):
        yield replace(service, port=port, url=f"redis://127.0.0.1:{port}/0")


def redis_says(port: int, command: str) -> str:
    """Returns the first line a redis-server answers to a command, as it is on the wire: "+PONG" to "PING"."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=30)) as connection:
        connection.sendall(command.encode() + b"\r\n")
        return connection.makefile().readline().strip()


@contextmanager
def postgres_server(folder: Path, user: str | None) -> Iterator[Service]:
    """Starts a PostgreSQL cluster that forgets on power failure, which tests do not mind and which makes it fast.

    `url` names the maintenance database "postgres" of the superuser "postgres"; the Unix socket is in `folder`.

    Args:
        folder: empty, owned by `user`.
        user: the account to run as, see `postgres_account`.
    """
    binaries = _postgres_binaries()
    data = folder / "data"
    subprocess.run(
        [
            binaries / "initdb",
            f"--pgdata={data}",
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ],
        check=True,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        user=user,
        group=user,
        extra_groups=[] if user else None,
    )

    def attempt(port: int) -> Spec:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": str(folder),
            "max_connections": "200",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return Spec(
            name="postgres",
            command=[binaries / "postgres", "-D", data, *settings],
            folder=folder,
            is_ready=lambda: _postgres_answers(_postgres_url(port)),
            stop_signal=signal.SIGINT,  # "fast": SIGTERM would wait until the clients leave (postgres(1))
            user=user,
        )

    with _on_a_free_port(attempt) as (service, port):
        yield replace(service, port=port, url=_postgres_url(port))


def postgres_account() -> str | None:
    """Returns the account to run PostgreSQL as: it refuses root, so root lends it the one its package made."""
    if os.geteuid() != 0:
        return None
    accounts = {account.pw_name for account in pwd.getpwall()}
    return "postgres" if "postgres" in accounts else "nobody"


@contextmanager
def _on_a_free_port(attempt: Callable[[int], Spec]) -> Iterator[tuple[Service, int]]:
    with ExitStack() as running:
        for tries_left in reversed(range(_PORT_TRIES)):
            port = free_port()
            try:
                service = running.enter_context(start(attempt(port)))
            except ServiceFailedError as error:
                if tries_left and _PORT_TAKEN.search(str(error)):
                    continue
                raise
            yield service, port
            return


def _postgres_url(port: int) -> str:
    return f"postgresql://postgres@127.0.0.1:{port}/postgres"


def _postgres_answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=10).close()
    except psycopg.OperationalError:  # refused, or "the database system is starting up"
        return False
    return True


def _postgres_binaries() -> Path:
    """Returns the folder of the newest PostgreSQL's programs; Debian keeps them off PATH, one folder per version."""
    on_path = shutil.which("initdb", path=SEARCH_PATH)
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(
        (found.parent for found in Path("/usr/lib/postgresql").glob("*/bin/initdb")),
        key=lambda folder: float(folder.parent.name),
        reverse=True,
    )
    if not folders:
        skip_for_want_of("PostgreSQL")
    return folders[0]
