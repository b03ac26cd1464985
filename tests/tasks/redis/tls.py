"""Somebody who listens where a Redis that speaks TLS should be, and notes how each conversation begins."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.support.waiting import wait_until

PASSWORD = "hunter2"
HANDSHAKE = 0x16  # the first byte of a TLS handshake (RFC 8446, 5.1)


class Listener:
    """Hangs up on everybody who has said something.

    Args:
        server: a socket that listens.
    """

    def __init__(self, server: socket.socket) -> None:
        self._server = server
        self._heard: list[bytes] = []

    @property
    def address(self) -> str:
        """Where it listens, with a password, without a scheme."""
        return f"app:{PASSWORD}@127.0.0.1:{self._server.getsockname()[1]}/0"

    @property
    def url(self) -> str:
        """Its address as that of a Redis that speaks TLS."""
        return f"rediss://{self.address}"

    def heard(self) -> list[bytes]:
        """Wait until somebody has said something; return how each conversation began."""
        return list(wait_until(lambda: self._heard, what="somebody says something"))

    def heard_only_tls(self) -> bool:
        """Whether everybody began with a handshake, and somebody did begin."""
        return all(said[0] == HANDSHAKE for said in self.heard())

    def listen(self) -> None:
        """Listen until the socket is closed."""
        with suppress(OSError):
            while True:
                other, _ = self._server.accept()
                with other, suppress(OSError):
                    other.settimeout(10)
                    if said := other.recv(300):
                        self._heard.append(said)


@contextmanager
def listener() -> Iterator[Listener]:
    """Listen on a port of 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        listening = Listener(server)
        thread = threading.Thread(target=listening.listen, daemon=True)
        thread.start()
        yield listening
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
