"""Makes docs/settings.md and docs/exit-codes.md: `python -m hotplate.settings.reference [--check] [FOLDER]`.

With `--check` nothing is written; it exits 1 and shows what differs.
"""

import difflib
import sys
from collections.abc import Callable, Mapping
from itertools import groupby
from pathlib import Path

from hotplate.errors import ExitCode
from hotplate.settings import kinds, lists
from hotplate.settings.binds import BIND_HINT
from hotplate.settings.refused import RefusedError
from hotplate.settings.table import SETTINGS, Setting
from hotplate.settings.units import DURATION_HINT, SIZE_HINT

_MADE = "<!-- Made by `python -m hotplate.settings.reference`; change the table in the code instead. -->"

_SETTINGS_HEAD = f"""\
{_MADE}
# Settings

`hotplate run` needs none. Where several places set one, the first of these counts:

1. flags, such as `--max-memory 512MiB`;
2. environment variables, such as `HOTPLATE_MAX_MEMORY=512MiB`, then the conventional names given below;
3. `hotplate.toml` in the current folder, such as `max_memory = "512MiB"`; without that file, the table
   `[tool.hotplate]` of `pyproject.toml` (`max-memory` is the same as `max_memory`);
4. the default.

A name that is not on this page, in a file or beginning with `HOTPLATE_` in the environment, is refused, and so is a
value that cannot be used: the line says where it came from and what would be right (exit code 2, or 7 for TLS).
Names that begin with `HOTPLATE__` (two underscores) are Hotplate's own and left alone.

- **Durations**: {DURATION_HINT}.
  Units add up from the largest: `1h30m`.
- **Sizes**: {SIZE_HINT}.
  `KB`, `MB`, `GB` are powers of 1000; `KiB`, `MiB`, `GiB` are powers of 1024, and so are the single letters
  `K`, `M`, `G`, as in nginx, systemd and Docker.
- **Addresses**: {BIND_HINT}.
  A host alone takes the port of `PORT`, or 8000.
- **Lists**: repeat the flag, put commas between the values (`%2C` for a comma within a path), or write a list in the
  file. Between rules of `cache_routes` stand semicolons or line ends.
- `PORT` sets the port of a host that names none, of the default address, and of the first TCP address in a settings
  file. It never opens an address beyond loopback: in a container say `--bind 0.0.0.0`.
"""

_CODES_HEAD = f"""\
{_MADE}
# Exit codes

Every failure that you can do something about is one line: what was attempted, why it cannot be, and what to type next.
A traceback is shown where the fault is in the app's code, trimmed to its own lines, or where it is a bug in Hotplate.

| code | name | meaning |
|---:|---|---|
"""


def settings_page() -> str:
    """Return docs/settings.md."""
    parts = [_SETTINGS_HEAD]
    for group, settings in groupby(SETTINGS.values(), key=lambda setting: setting.row.group):
        parts += [f"\n## {group}\n", *(_entry(setting) for setting in settings)]
    return "".join(parts)


def exit_codes_page() -> str:
    """Return docs/exit-codes.md."""
    return _CODES_HEAD + "".join(f"| {code.value} | `{code.name}` | {code.meaning} |\n" for code in ExitCode)


PAGES: Mapping[str, Callable[[], str]] = {"settings.md": settings_page, "exit-codes.md": exit_codes_page}


def _entry(setting: Setting) -> str:
    name, row = setting.name, setting.row
    flags = [f"`{row.kind.metavar}`" if row.positional else f"`{setting.flag} {row.kind.metavar}`"]
    if isinstance(row.kind, kinds.Switch):
        flags = [f"`{setting.flag}`", f"`--no-{setting.flag[2:]}`"]
    if row.flagless:
        flags.append(f"`{row.flagless}`")
    if not row.offered:
        flags = ["none"]
    variables = ", ".join(f"`{variable}`" for variable in (setting.variable, *row.env))
    default = f"`{row.kind.show(setting.default)}`" if setting.default != "" else "none"
    return (
        f"\n### {name}\n\n{row.help}.\n\n"
        f"- Flag: {', '.join(flags)}\n- Environment: {variables}\n- File: `{name} = {_toml(setting)}`\n"
        f"- Value: {_value(row.kind)}\n- Default: {default}. {row.why}\n"
    )


def _value(kind: kinds.Kind) -> str:
    """Say what a value may be, by the refusal of one that never is."""
    if isinstance(kind, kinds.Duration | kinds.Size):
        low, high = (kind.show(limit) for limit in (kind.floor or 0, kind.ceiling))
        return f"{kind.unit}, {low} to {high}" + (f"; 0 means {kind.zero}" if kind.zero and kind.floor else "")
    try:
        kind.parse(None)
    except RefusedError as problem:
        return problem.right
    raise AssertionError(f"{kind} takes nothing for a value")


def _toml(setting: Setting) -> str:
    kind, default, example = setting.row.kind, setting.default, setting.row.example
    if isinstance(kind, kinds.Switch):
        return str(not default).lower()
    if isinstance(kind, kinds.Count):
        return example or str(default)
    if isinstance(kind, lists.Listed):
        members = (example or kind.show(default)).split(f"{kind.separators[0]} ")
        return "[" + ", ".join(f'"{member}"' for member in members) + "]"
    return f'"{example or kind.show(default)}"'


def main(arguments: list[str]) -> int:
    """Write the pages, or with `--check` compare them; return the exit status."""
    checking = "--check" in arguments
    folder = Path(next((word for word in arguments if not word.startswith("-")), "docs"))
    status = 0
    for name, page in PAGES.items():
        path, wanted = folder / name, page()
        found = path.read_text("utf-8") if path.exists() else ""
        if found == wanted:
            continue
        if checking:
            lines = difflib.unified_diff(
                found.splitlines(), wanted.splitlines(), str(path), "the code's table", lineterm=""
            )
            sys.stdout.write("\n".join(lines) + "\nRun `python -m hotplate.settings.reference`.\n")
            status = 1
        else:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted, "utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
