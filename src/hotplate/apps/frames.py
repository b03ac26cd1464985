"""A traceback trimmed to the user's own frames.

Ours and the import system's are dropped; each run of frames in libraries becomes one line, because the fault is
nearly always where the user's code called them.
"""

import importlib
import sysconfig
import traceback
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

_OURS = str(Path(__file__).resolve().parents[1]) + "/"
_LIBRARIES = tuple(
    sorted({str(Path(path).resolve()) + "/" for name, path in sysconfig.get_paths().items() if name.endswith("lib")})
) + tuple(sorted({f"{path}/" for name, path in sysconfig.get_paths().items() if name in {"stdlib", "platstdlib"}}))
_IMPORT_SYSTEM = ("<frozen importlib", importlib.__file__)


def is_own(filename: str) -> bool:
    """Whether a file is the user's: not ours, not a library's, not made up.

    Example:
        >>> is_own("/srv/app.py"), is_own("<frozen importlib._bootstrap>")
        (True, False)
    """
    if filename.startswith(("<", _OURS)):
        return False
    return not filename.startswith(_LIBRARIES) and not {"site-packages", "dist-packages"} & set(Path(filename).parts)


def is_ours(filename: str) -> bool:
    """Whether a file is Hotplate's."""
    return filename.startswith(_OURS)


def trimmed(problem: BaseException) -> str:
    """Return the traceback of `problem` and of what it came from, trimmed; lines end without a line feed.

    Example:
        >>> trimmed(ValueError("no"))
        'ValueError: no'
    """
    return "\n".join(line.rstrip("\n") for line in _lines(traceback.TracebackException.from_exception(problem)))


def place(problem: BaseException) -> str:
    """Return where the user's code failed, such as "app.py, line 7"; "" when none of their frames is in it."""
    if isinstance(problem, SyntaxError) and problem.filename:
        return f"{_short(problem.filename)}, line {problem.lineno}"
    own = [frame for frame in traceback.extract_tb(problem.__traceback__) if is_own(frame.filename)]
    return f"{_short(own[-1].filename)}, line {own[-1].lineno}" if own else ""


def headline(problem: BaseException) -> str:
    """Return the last line of a traceback: the exception's type and message, on one line.

    Example:
        >>> headline(KeyError("SECRET"))
        "KeyError: 'SECRET'"
    """
    if isinstance(problem, SyntaxError):
        return f"{type(problem).__name__}: {problem.msg}"
    return " ".join("".join(traceback.format_exception_only(problem)).split())


def _lines(report: traceback.TracebackException) -> Iterator[str]:
    before = report.__cause__ or (None if report.__suppress_context__ else report.__context__)
    if before is not None:
        yield from _lines(before)
        yield "which led to:" if report.__cause__ else "and while that was handled:"
    frames = list(_frames(report.stack))
    if frames:
        yield "Traceback (the app's own lines):"
        yield from frames
    yield from report.format_exception_only()


def _frames(stack: traceback.StackSummary) -> Iterator[str]:
    kept = [frame for frame in stack if not frame.filename.startswith((_OURS, *_IMPORT_SYSTEM))]
    for own, group in groupby(kept, key=lambda frame: is_own(frame.filename)):
        frames = list(group)
        if own:
            yield from traceback.StackSummary.from_list(frames).format()
        else:
            last = frames[-1]
            count = f"{len(frames)} frames, the last" if len(frames) > 1 else "1 frame"
            yield f"  ... {count} in {_library(last.filename)}, line {last.lineno}, in {last.name}"


def _short(filename: str) -> str:
    try:
        return str(Path(filename).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return filename


def _library(filename: str) -> str:
    """Return the path as the library's own, without where it is installed."""
    for mark in ("/site-packages/", "/dist-packages/"):
        if mark in filename:
            return filename.rpartition(mark)[2]
    return filename.rpartition("/lib/")[2] or filename
