"""The folder that processes of one user share: what is made in it, and how, so that nobody else has a say."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

_PATIENCE = 0.5  # seconds for a lock that is held while a file is made: only a frozen process holds it longer


class UnsafeFolderError(Exception):
    """A folder or file that others may write to, or that is not what it should be.

    Args:
        path: which.
        cause: what is wrong with it.
    """

    def __init__(self, path: Path, cause: str) -> None:
        super().__init__(f"{path} is not used: {cause}")


def make_safe(folder: Path) -> None:
    """Make `folder` with mode 0700, or see that nobody but its owner can write to it.

    Raises:
        UnsafeFolderError: somebody else can, or owns it.
        OSError: it cannot be made.
    """
    if not folder.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if not stat.S_ISDIR(status.st_mode):
        raise UnsafeFolderError(folder, "it is not a folder")
    if status.st_uid != os.geteuid() and os.geteuid() != 0:
        raise UnsafeFolderError(folder, f"it belongs to user {status.st_uid}")
    if status.st_mode & 0o022:
        raise UnsafeFolderError(folder, f"others may write to it; `chmod 700 {folder}`")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock that dies with its process, for as long as a file is made or replaced.

    Raises:
        OSError: it cannot be had; TimeoutError after some seconds.
    """
    opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        give_away(path)
        give_up = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > give_up:
                    raise TimeoutError(f"{path} is held by a process that does not move") from None
                time.sleep(0.002)
        yield
    finally:
        os.close(opened)


def write_new(path: Path, content: bytes) -> None:
    """Put a file in the place of `path`, whole or not at all; one writer at a time.

    Raises:
        OSError: it cannot be written.
    """
    for left in path.parent.glob(f"{path.name}.*.new"):
        left.unlink(missing_ok=True)
    draft = path.with_name(f"{path.name}.{token_hex(8)}.new")
    opened = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        give_away(draft)
        view = memoryview(content)
        while view:
            view = view[os.write(opened, view) :]
        draft.rename(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    finally:
        os.close(opened)


def give_away(*made: Path) -> None:
    """Give what root makes in a user's folder to that user, whose processes are to open it."""
    if os.geteuid() == 0:
        for path in made:
            owner = path.parent.stat()
            # By name: LMDB's locks on a file end when any other descriptor of it is closed.
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
