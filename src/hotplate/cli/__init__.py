"""The command line: reads what was typed, shows what happens, and turns our errors into one line and an exit code.

What a command needs beyond its flags is imported when it runs, so that `--help` and completion answer at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

import click

from hotplate.cli import failures
from hotplate.cli.root import root
from hotplate.errors import ExitCode, HotplateError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; anything that is not a `HotplateError` keeps its traceback.

    Args:
        arguments: what was typed after `hotplate`; by default the process's own.

    Example:
        >>> main(["--version"])
        hotplate 0.1.0
        0
    """
    words = None if arguments is None else list(arguments)
    _fill_closed_streams()
    try:
        status = root.main(args=words, prog_name="hotplate", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_left()
    except HotplateError as error:
        return _failed(error)
    except click.UsageError as problem:
        return _failed(failures.of_usage(problem))
    except (click.Abort, KeyboardInterrupt):
        return int(ExitCode.INTERRUPTED)
    return status if isinstance(status, int) else int(ExitCode.OK)


def _failed(error: HotplateError) -> int:
    with suppress(BrokenPipeError):
        failures.show(error, sys.stderr, os.environ)
    return int(error.code)


def _fill_closed_streams() -> None:
    """Open what `2>&-` has closed: a socket would take the number, and get to read what is meant for people."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # It takes the lowest number that is free, which is this one; our children need it as much.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003  positional only
    nowhere = open(os.devnull, "w", encoding="utf-8") if None in {sys.stdout, sys.stderr} else None  # noqa: PTH123, SIM115  a stream for the rest of the process
    sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere


def _reader_left() -> int:
    """Whoever read our output, such as `head`, has enough; that is no fault, and the interpreter is not to flush."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return int(ExitCode.FAILED)
