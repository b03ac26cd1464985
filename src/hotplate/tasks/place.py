"""Where the tasks of an app are kept while no other broker is named: one file per app, the same for every process.

Nothing is created here. The web workers, `hotplate tasks run`, `flask run`, `celery -A app worker` and a script started
in the same folder all find the same file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from hotplate.errors import ExitCode, HotplateError
from hotplate.settings import folder as folders

VARIABLE = "HOTPLATE_TASKS_DIR"
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 40  # characters of a name within a path: Unix sockets beside the file have 108 bytes in all (unix(7))


def folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of the tasks' file.

    HOTPLATE_TASKS_DIR is taken as it is. Otherwise each folder that is served has one of its own below the first of
    STATE_DIRECTORY (systemd.exec(5)), XDG_STATE_HOME/hotplate and ~/.local/state/hotplate (the XDG Base Directory
    Specification: state that should persist, but is not important or portable enough for the user's data).

    Args:
        environ: the variables.

    Raises:
        HotplateError: USAGE; HOTPLATE_TASKS_DIR is no absolute path. FAILED; there is no home to put a folder in.

    Example:
        >>> str(folder({"HOTPLATE_TASKS_DIR": "/var/lib/shop"}))
        '/var/lib/shop'
    """
    said = environ.get(VARIABLE, "")
    if said:
        path = Path(said).expanduser()
        if not path.is_absolute():
            raise HotplateError(
                f"keep tasks in {said!r}",
                f"{VARIABLE} is not an absolute path, so every process would look elsewhere",
                f"Type: export {VARIABLE}={folders.current(environ) / said}",
                code=ExitCode.USAGE,
            )
        return path
    served = folders.current(environ)
    digest = hashlib.sha256(str(served).encode(errors="surrogateescape")).hexdigest()[:12]
    return _base(environ) / f"{_fit(served.name) or 'root'}-{digest}"


def file(environ: Mapping[str, str], main: str) -> Path:
    """Return the path of the tasks' file.

    Args:
        environ: the variables.
        main: name of the Celery app.

    Raises:
        HotplateError: see `folder`.

    Example:
        >>> str(file({"HOTPLATE_TASKS_DIR": "/var/lib/shop"}, "shop.web"))
        '/var/lib/shop/shop.web.sqlite'
    """
    return folder(environ) / f"{_fit(main) or 'app'}.sqlite"


def _base(environ: Mapping[str, str]) -> Path:
    for candidate in (environ.get("STATE_DIRECTORY", "").partition(":")[0], environ.get("XDG_STATE_HOME", "")):
        if candidate.startswith("/"):  # a relative one is to be ignored, says the specification
            return Path(candidate) if candidate != environ.get("XDG_STATE_HOME") else Path(candidate) / "hotplate"
    try:
        home = Path(environ["HOME"]) if environ.get("HOME", "").startswith("/") else Path.home()
    except RuntimeError:
        raise HotplateError(
            "find a folder to keep tasks in",
            "there is no HOME, and this user has no home folder",
            f"Type: export {VARIABLE}=/var/lib/my-app",
            code=ExitCode.FAILED,
        ) from None
    return home / ".local" / "state" / "hotplate"


def _fit(name: str) -> str:
    return _UNFIT.sub("_", name).strip("._")[:_LONGEST]
