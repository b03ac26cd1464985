"""Where a folder's instance is found, and the claim to be the only one of its name there.

The control socket lies in a folder that only its owner may enter: `$XDG_RUNTIME_DIR/hotplate`, or
`/tmp/hotplate-<uid>` where there is none. A lock (flock) beside it is the claim; the kernel drops it with the process,
so that nothing stale ever stands in the way. Both are named after the folder as its user names it (see `folder`), and
the lock file says which folder that is, for those who come to it by another way.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from hotplate.errors import ExitCode, HotplateError

_OWNER_ONLY = 0o700
_UNIX_PATH_LIMIT = 107  # unix(7)
_HOUR = 3600.0  # seconds
_LONGEST_NOTE = 8192  # bytes


class Claim(NamedTuple):
    """The right to be the instance of a name in a folder, as long as `lock` is open."""

    socket: Path
    lock: int
    folder: Path

    def hide(self) -> None:
        """Be found no more; what a successor has put there, after the lock had been removed by hand, stays."""
        if self._is_held():
            self.socket.unlink(missing_ok=True)

    @property
    def cache(self) -> Path:
        """The folder in which the instance's processes share a cache."""
        return self.socket.with_suffix(".cache")

    def release(self) -> None:
        """Give it up, with everything that lies there."""
        if self._is_held():
            shutil.rmtree(self.cache, ignore_errors=True)
            self.socket.unlink(missing_ok=True)
            self.socket.with_suffix(".lock").unlink(missing_ok=True)
        os.close(self.lock)

    def touch(self) -> None:
        """Let the files look used: systemd-tmpfiles removes from /tmp what is older than ten days (tmpfiles.d(5))."""
        with suppress(OSError):
            os.utime(self.lock)
        if self._is_held():
            for path in (self.socket, self.cache, *self.cache.glob("*")):
                with suppress(OSError):
                    os.utime(path)

    async def keep_fresh(self, every: float = _HOUR) -> None:
        """Touch the files again and again; never returns.

        Args:
            every: seconds.
        """
        while True:
            await asyncio.sleep(every)
            self.touch()

    def _is_held(self) -> bool:
        return _is_still(self.socket.with_suffix(".lock"), self.lock)


def places(folder: Path, name: str) -> Iterator[Path]:
    """Yield the paths where the control socket of an instance may be, the one to use for a new one first.

    After those of the path as it is given come those of the folder that it leads to, and of instances that were
    started in the same folder by another path.

    A service may have no XDG_RUNTIME_DIR where its owner's shell has one, so both are looked at; root looks into
    everybody's.
    """
    paths = dict.fromkeys((folder, folder.resolve()))
    keys = [hashlib.sha256(f"{path}\0{name}".encode(errors="surrogateescape")).hexdigest()[:16] for path in paths]
    folders = list(_private_folders(f"{keys[0]}.sock"))
    yield from (place / f"{key}.sock" for key in keys for place in folders)
    for place in folders:
        for lock in sorted(place.glob("*.lock")):
            notes = _notes(lock)
            if notes and notes[1] == name and _leads_to(notes[2], folder):
                yield lock.with_suffix(".sock")


def _private_folders(file: str) -> Iterator[Path]:
    temporary = Path(tempfile.gettempdir())
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    own = [temporary / f"hotplate-{os.getuid()}"]
    if runtime and Path(runtime).is_dir() and len(os.fsencode(runtime)) + len(f"/hotplate/{file}") <= _UNIX_PATH_LIMIT:
        own.insert(0, Path(runtime) / "hotplate")
    yield from own
    user_runtime = Path(f"/run/user/{os.getuid()}/hotplate")
    if user_runtime not in own:
        yield user_runtime
    if os.getuid() == 0:
        yield from (place for place in sorted(temporary.glob("hotplate-*")) if place not in own)
        yield from (place for place in sorted(Path("/run/user").glob("*/hotplate")) if place not in own)


def claim(folder: Path, name: str) -> Claim:
    """Claim to be the instance of `name` in `folder`.

    Raises:
        HotplateError: ALREADY_RUNNING, or FAILED when the folder for the socket is not safe.
    """
    path = next(places(folder, name))
    _make_private(path.parent)
    lock_path = path.with_suffix(".lock")
    while True:
        lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            holder = next(iter(_notes(lock_path)), "")
            raise already_running(folder, name, holder) from None
        if _is_still(lock_path, lock):
            break
        os.close(lock)  # its last holder removed it between our two calls
    os.ftruncate(lock, 0)
    os.pwrite(lock, "\n".join([str(os.getpid()), name, str(folder)]).encode(errors="surrogateescape"), 0)
    path.unlink(missing_ok=True)  # left by one that was killed; whoever holds the lock owns the path
    return Claim(path, lock, folder)


def already_running(folder: Path, name: str, pid: str) -> HotplateError:
    """Return the error for a name that is taken."""
    which = "" if name == "default" else f" --name {name}"
    return HotplateError(
        f"start an instance named {name} in {folder}",
        f"it already runs{f' (pid {pid})' if pid else ''}",
        f"`hotplate reload{which}` takes in new code, `hotplate stop{which}` ends it; for a second one give --name.",
        code=ExitCode.ALREADY_RUNNING,
    )


def _make_private(folder: Path) -> None:
    """Make sure that nobody else can put anything into `folder`; in /tmp somebody may have been there before us."""
    try:
        folder.mkdir(mode=_OWNER_ONLY, exist_ok=True)
        info = folder.lstat()
    except OSError as problem:
        raise _unsafe(folder, problem.strerror or str(problem)) from None
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid():
        raise _unsafe(folder, "it belongs to another user")
    if stat.S_IMODE(info.st_mode) & 0o077:
        folder.chmod(_OWNER_ONLY)


def _unsafe(folder: Path, cause: str) -> HotplateError:
    return HotplateError(
        f"keep the control socket in {folder}",
        cause,
        "Remove it, or set XDG_RUNTIME_DIR to a folder of this user's own.",
        code=ExitCode.FAILED,
    )


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _notes(lock: Path) -> list[str]:
    """Return what the holder of a lock wrote into it: pid, name, folder; [] if it did not, or not yet."""
    try:
        # Root looks into others' folders, where a FIFO would have it wait, and a link lead anywhere.
        descriptor = os.open(lock, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            notes = os.read(descriptor, _LONGEST_NOTE).decode(errors="surrogateescape").split("\n", 2)
        finally:
            os.close(descriptor)
    except OSError:
        return []
    return notes if len(notes) == len(("pid", "name", "folder")) else []


def _leads_to(path: str, folder: Path) -> bool:
    try:
        return folder.samefile(path)
    except (OSError, ValueError):
        return False
