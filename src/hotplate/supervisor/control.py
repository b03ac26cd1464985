"""Orders to a running instance over its control socket, and their answers: one line of JSON each.

Only the owner (and root) is heard: the socket's folder and file keep others out, and SO_PEERCRED says who calls.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from hotplate.errors import ExitCode, HotplateError
from hotplate.supervisor import rendezvous, unixpaths
from hotplate.supervisor.messages import Failure
from hotplate.supervisor.report import StatusReport

_LONGEST_ORDER = 65536
_PATIENCE = 10.0  # seconds a caller may take to say what it wants
_CHUNK = 65536


class Status(msgspec.Struct, frozen=True, tag=True):
    """How does it go? Answered by a `StatusReport`."""


class Reload(msgspec.Struct, frozen=True, tag=True):
    """Take in the new code; answered by `ReloadDone` when it serves."""


class Stop(msgspec.Struct, frozen=True, tag=True):
    """Drain and end; answered by `StopDone`, with `wait` when nothing is left, else at once."""

    wait: bool = True


class Scale(msgspec.Struct, frozen=True, tag=True):
    """Add workers, or remove some if negative; answered by `ScaleDone` when they serve, or are about to leave."""

    by: int


class ReloadDone(msgspec.Struct, frozen=True, tag=True):
    """The new version serves in every slot; `seconds` is how long that took."""

    generation: int
    workers: int
    seconds: float


class StopDone(msgspec.Struct, frozen=True, tag=True):
    """It has ended (`ended`), or has begun to."""

    pid: int
    ended: bool


class ScaleDone(msgspec.Struct, frozen=True, tag=True):
    """There are so many workers now."""

    workers: int


class Refused(msgspec.Struct, frozen=True, tag=True):
    """It could not be done."""

    failure: Failure


Order = Status | Reload | Stop | Scale
Answer = StatusReport | ReloadDone | StopDone | ScaleDone | Refused
Done = StatusReport | ReloadDone | StopDone | ScaleDone

_ORDERS: msgspec.json.Decoder[Order] = msgspec.json.Decoder(Order)
_ANSWERS: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)


def ask(folder: Path, name: str, order: Order, patience: float | None = None) -> Done:
    """Give an order to the instance of `name` in `folder` and return its answer.

    Args:
        folder: where it was started.
        name: its `--name`.
        order: what it is to do.
        patience: seconds to wait for the answer; None for as long as it takes.

    Raises:
        HotplateError: NOT_RUNNING, or the reason why the instance refused.

    Example:
        >>> ask(Path("/nonexistent"), "default", Status())
        Traceback (most recent call last):
        hotplate.errors.HotplateError: Cannot reach ...
    """
    with _call(folder, name) as line:
        line.settimeout(patience)
        try:
            line.sendall(msgspec.json.encode(order) + b"\n")
            answer = _ANSWERS.decode(_line(line))
        except TimeoutError:
            raise _silent(folder, name, f"it did not answer within {patience:g} s") from None
        except (OSError, EOFError, msgspec.MsgspecError):
            raise _silent(folder, name, "it ended before it answered") from None
    if isinstance(answer, Refused):
        raise answer.failure.error()
    return answer


def find(folder: Path, name: str) -> Path | None:
    """Return the control socket of a running instance, or None."""
    try:
        with _call(folder, name) as line:
            return Path(line.getpeername())
    except HotplateError:
        return None


class Server:
    """The master's side: hears orders until it is closed.

    Args:
        path: of the socket, in a folder that only its owner may enter.
        answer: carries an order out.
    """

    def __init__(self, path: Path, answer: Callable[[Order], Awaitable[Done]]) -> None:
        self._path = path
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._calls: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Begin to listen."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.bind(str(self._path))
        self._path.chmod(0o600)
        self._server = await asyncio.start_unix_server(self._serve, sock=sock, limit=_LONGEST_ORDER)

    def close(self) -> None:
        """Listen no more; orders that are being carried out still get their answers."""
        if self._server:
            self._server.close()

    async def finish(self) -> None:
        """Return when the answers under way are on their way, or their callers gone."""
        if self._calls:
            _sent, late = await asyncio.wait(self._calls, timeout=1.0)
            for call in late:
                call.cancel()

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call = asyncio.get_running_loop().create_task(self._hear(reader, writer))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A caller that has gone is no reason to do anything, and certainly none to end.
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            if _is_trusted(writer.get_extra_info("socket")):
                line = await asyncio.wait_for(reader.readuntil(b"\n"), _PATIENCE)
                answer = await self._answered(line)
                writer.write(msgspec.json.encode(answer) + b"\n")
                await asyncio.wait_for(writer.drain(), _PATIENCE)
        writer.close()

    async def _answered(self, line: bytes) -> Answer:
        try:
            return await self._answer(_ORDERS.decode(line))
        except HotplateError as error:
            return Refused(Failure.of(error))
        except msgspec.MsgspecError as problem:
            return Refused(
                Failure(
                    "carry out an order",
                    f"it is not understood ({problem})",
                    "Use the `hotplate` command of the version that serves.",
                    int(ExitCode.USAGE),
                )
            )


def _is_trusted(line: socket.socket) -> bool:
    """Say whether the other end is the same user's or root's; where the kernel does not tell, the folder decides."""
    return not hasattr(socket, "SO_PEERCRED") or unixpaths.peer(line)[1] in {os.getuid(), 0}


def _call(folder: Path, name: str) -> socket.socket:
    for path in rendezvous.places(folder, name):
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            line.connect(str(path))
        except OSError:
            line.close()
            continue
        if _is_trusted(line) or os.getuid() == 0:
            return line
        line.close()  # in a shared /tmp anybody can make a folder with our name
    which = "" if name == "default" else f" --name {name}"
    raise HotplateError(
        f"reach an instance named {name} in {folder}",
        "none is running",
        f"Start it with `hotplate run{which}`, or go to the folder it was started in.",
        code=ExitCode.NOT_RUNNING,
    )


def _line(sock: socket.socket) -> bytes:
    received = bytearray()
    while not received.endswith(b"\n"):
        chunk = sock.recv(_CHUNK)
        if not chunk:
            raise EOFError
        received += chunk
    return bytes(received)


def _silent(folder: Path, name: str, cause: str) -> HotplateError:
    return HotplateError(
        f"get an answer of the instance named {name} in {folder}",
        cause,
        "Its log says more.",
        code=ExitCode.NOT_RUNNING if "ended" in cause else ExitCode.UNHEALTHY,
    )
