"""The settings file: hotplate.toml, or the table [tool.hotplate] in pyproject.toml."""

import tomllib
from pathlib import Path
from typing import NamedTuple

from hotplate.errors import ExitCode, HotplateError

OWN_FILE = "hotplate.toml"
PROJECT_FILE = "pyproject.toml"


class FileValues(NamedTuple):
    """What a settings file says, by setting name, and the file's name ("" without one)."""

    values: dict[str, object]
    origin: str


def read(folder: Path) -> FileValues:
    """Return what the settings file in `folder` says; hotplate.toml, where it exists, is the only one read.

    Raises:
        HotplateError: USAGE when a file cannot be read, is not TOML, or names a setting twice.
    """
    if (folder / OWN_FILE).exists():
        return FileValues(_named(_parsed(_text(folder / OWN_FILE), OWN_FILE), OWN_FILE), OWN_FILE)
    if not (folder / PROJECT_FILE).exists():
        return FileValues({}, "")
    text = _text(folder / PROJECT_FILE)
    if "hotplate" not in text:  # a file that does not speak of us may be broken as it likes
        return FileValues({}, "")
    tools = _parsed(text, PROJECT_FILE).get("tool", {})
    table = tools.get("hotplate", {}) if isinstance(tools, dict) else {}
    if not isinstance(table, dict):
        raise HotplateError(
            f"read {PROJECT_FILE}",
            "hotplate under [tool] is a value, not a table",
            "Write [tool.hotplate] on a line of its own and the settings below it.",
            code=ExitCode.USAGE,
        )
    return FileValues(_named(table, PROJECT_FILE), PROJECT_FILE)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as problem:
        cause = f"byte {problem.start} is not UTF-8, which TOML requires"
        raise HotplateError(f"read {path.name}", cause, "Save the file as UTF-8.", code=ExitCode.USAGE) from None
    except OSError as problem:
        cause = problem.strerror or str(problem)
        raise HotplateError(
            f"read {path.name}", cause, f"Make {path} readable, or move it away.", code=ExitCode.USAGE
        ) from None


def _parsed(text: str, name: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise HotplateError(
            f"read {name}",
            f"it is not TOML: {problem}",
            'Settings are lines such as workers = 4 or grace = "30s".',
            code=ExitCode.USAGE,
        ) from None


def _named(table: dict[str, object], origin: str) -> dict[str, object]:
    """Return the table with `max-memory` and `max_memory` taken for the same."""
    values: dict[str, object] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name in values:
            raise HotplateError(
                f"read {origin}", f"it sets {name} twice", f"Keep one of the two {name} lines.", code=ExitCode.USAGE
            )
        values[name] = value
    return values
