"""The flags by which a command says which running instance it means."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from hotplate.cli.parts import Flag
from hotplate.errors import ExitCode, HotplateError


class Instance(NamedTuple):
    """Where an instance was started, and its name there."""

    folder: Path
    name: str


def instance_flags() -> list[Flag]:
    """Return `--name` and `--folder`."""
    return [
        Flag(["--name"], group="Instance", metavar="NAME", help="Name given to `hotplate run`. [default: default]"),
        Flag(
            ["--folder"], group="Instance", metavar="DIR", help="Folder it was started in. [default: the current one]"
        ),
    ]


def instance(name: str | None, folder: str | None) -> Instance:
    """Return which instance is meant; HOTPLATE_NAME and the folder's settings file may name it.

    Raises:
        HotplateError: USAGE; there is no such folder, or it is no name.
    """
    from hotplate.settings.folder import current, named
    from hotplate.settings.instance import instance_name

    where = named(folder, os.environ) if folder else current(os.environ)
    if not where.is_dir():
        raise HotplateError(
            f"look for an instance in {folder}", "there is no such folder", "Correct --folder.", code=ExitCode.USAGE
        )
    return Instance(where, instance_name(name, os.environ, where))
