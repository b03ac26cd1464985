"""Listening on a path: a stale socket is replaced, a living one and any other file are left alone.

The socket's rights follow the umask, as every file's: a peer that may write to it is believed about its forwarded
headers, so nobody is let in by default who is not let in elsewhere.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from hotplate.errors import HotplateError
from hotplate.supervisor.ports import named, unavailable

_CREDENTIALS = struct.Struct("iII")  # struct ucred: pid, uid, gid; unix(7)


class Identity(NamedTuple):
    """A file, whatever its path leads to meanwhile."""

    device: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> Identity:
        """Return whose path it is now."""
        info = path.lstat()
        return cls(info.st_dev, info.st_ino)


def listen(path: Path, backlog: int) -> tuple[socket.socket, Identity]:
    """Return a listening socket at `path` and the file that was made for it.

    Raises:
        HotplateError: PORT_UNAVAILABLE; whatever was at the path is still there.
    """
    clear_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
        identity = Identity.of(path)
        sock.listen(backlog)
        sock.settimeout(0)
    except OSError as problem:
        sock.close()
        raise _refusal(path, problem) from None
    return sock, identity


def clear_stale(path: Path) -> None:
    """Remove a socket that nobody listens on any more.

    Raises:
        HotplateError: PORT_UNAVAILABLE; somebody listens, or it is no socket at all.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as problem:
        raise _refusal(path, problem) from None
    if not stat.S_ISSOCK(mode):
        raise unavailable(
            f"unix:{path}", "there is a file at this path that is not a socket", "Move it away, or choose another path."
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(1)  # a full queue, too, means that somebody listens
        try:
            sock.connect(str(path))
        except ConnectionRefusedError:
            with suppress(FileNotFoundError):
                path.unlink()
            return
        except FileNotFoundError:
            return
        except OSError as problem:
            if problem.errno not in {errno.EAGAIN, errno.ETIMEDOUT}:
                raise _refusal(path, problem) from None
        holder = named(peer(sock)[0]) if hasattr(socket, "SO_PEERCRED") else ""
    raise unavailable(f"unix:{path}", f"the socket is in use{holder}", "Stop it, or choose another path.")


def remove(path: Path, identity: Identity) -> None:
    """Remove the socket's file if it is still ours: a successor may have put its own there."""
    with suppress(OSError):
        if Identity.of(path) == identity:
            path.unlink()


def peer(sock: socket.socket) -> tuple[int, int]:
    """Return the other end's process and user; 0 and -1 where nobody is there.

    Raises:
        OSError: it is not connected.
    """
    try:
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError:
        return 0, -1
    pid, uid, _gid = _CREDENTIALS.unpack(credentials)
    return int(pid), int(uid)


def _refusal(path: Path, problem: OSError) -> HotplateError:
    folder = path.parent
    if not folder.is_dir():
        return unavailable(f"unix:{path}", f"there is no folder {folder}", f"Make it: mkdir -p {folder}.")
    if problem.errno in {errno.EACCES, errno.EPERM}:
        whose = f"this user (uid {os.getuid()}) may not write there"
        return unavailable(f"unix:{path}", whose, "Choose a folder of this user's, or change its rights.")
    return unavailable(f"unix:{path}", problem.strerror or str(problem), "Choose another path.")
