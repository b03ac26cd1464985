"""Where settings come from: flags over environment over settings file over defaults."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

import msgspec

from hotplate.errors import ExitCode, HotplateError
from hotplate.settings import files
from hotplate.settings.binds import DEFAULT_PORT, Bind, parse_port
from hotplate.settings.checks import check
from hotplate.settings.handed import HANDED_ON
from hotplate.settings.lists import binds
from hotplate.settings.refused import RefusedError
from hotplate.settings.secret import Hides
from hotplate.settings.table import PREFIX, SETTINGS, Setting, Settings

RESERVED = f"{PREFIX}_"  # HOTPLATE__...: between Hotplate's own processes, never a user's


class Resolved(NamedTuple):
    """The settings in force, and for each where its value came from.

    An origin is a flag (`--workers`), a variable (`HOTPLATE_WORKERS`), `hotplate.toml`, `pyproject.toml` or `default`.
    """

    settings: Settings
    origins: dict[str, str]


class _Given(NamedTuple):
    raw: object
    origin: str


def resolve(flags: Mapping[str, object], environ: Mapping[str, str], cwd: Path) -> Resolved:
    """Return the settings in force.

    Args:
        flags: by setting name, as click collects them; None and () mean not given; a refusal flag such as
            `no_warmup_request` may be there by its own name.
        environ: the environment; unknown `HOTPLATE_*` names are refused.
        cwd: folder of the settings file.

    Raises:
        HotplateError: USAGE or TLS_INVALID; nothing was changed.

    Example:
        >>> found = resolve({"workers": "2"}, {"HOTPLATE_GRACE": "5s"}, Path("/nonexistent"))
        >>> found.settings.workers, found.settings.grace, found.origins["grace"]
        (2, 5.0, 'HOTPLATE_GRACE')
    """
    file = files.read(cwd)
    _refuse_unknown(environ, file)
    port = _port(environ)
    values: dict[str, object] = {}
    origins = dict.fromkeys(SETTINGS, "default")
    given = _flags_given(flags)
    for setting in SETTINGS.values():
        found = given.get(setting.name) or _from_environment(setting, environ) or _from_file(setting, file)
        if found is not None:
            values[setting.name] = _parsed(setting, found, port)
            origins[setting.name] = found.origin
    if port is not None and origins["bind"] in {"default", file.origin}:
        values["bind"] = _with_port(values.get("bind", SETTINGS["bind"].default), port)
        origins["bind"] = "PORT"
    settings = msgspec.convert(values, Settings)
    check(settings)
    return Resolved(settings, origins)


def _flags_given(flags: Mapping[str, object]) -> dict[str, _Given]:
    refusals = {row.flagless[2:].replace("-", "_"): name for name, _, row in SETTINGS.values() if row.flagless}
    given: dict[str, _Given] = {}
    for key, raw in flags.items():
        if key not in SETTINGS and key not in refusals:
            raise TypeError(f"{key} is not the name of a setting")
        if raw is None or raw == () or (key in refusals and not raw):
            continue
        name = refusals.get(key, key)
        if name in given:
            raise HotplateError(
                f"combine {given[name].origin} with {_dashed(key)}",
                "one contradicts the other",
                "Give only one of them.",
                code=ExitCode.USAGE,
            )
        given[name] = _Given(() if key in refusals else raw, _dashed(key))
    return given


def _dashed(key: str) -> str:
    setting = SETTINGS.get(key)
    return setting.row.kind.metavar if setting and setting.row.positional else "--" + key.replace("_", "-")


def _from_environment(setting: Setting, environ: Mapping[str, str]) -> _Given | None:
    if setting.variable in environ:
        return _Given(environ[setting.variable], setting.variable)
    # A conventional name is often set to nothing by a template; PORT is no address and is applied on its own.
    names = [name for name in setting.row.env if environ.get(name) and name != "PORT"]
    return _Given(environ[names[0]], names[0]) if names else None


def _from_file(setting: Setting, file: files.FileValues) -> _Given | None:
    return _Given(file.values[setting.name], file.origin) if setting.name in file.values else None


def _parsed(setting: Setting, given: _Given, port: int | None) -> object:
    kind = setting.row.kind if setting.name != "bind" else binds(DEFAULT_PORT if port is None else port)
    try:
        return kind.parse(given.raw)
    except RefusedError as problem:
        shown = kind.hidden(given.raw) if isinstance(kind, Hides) else given.raw
        attempted = f"set {setting.name} to {_quoted(shown)} ({given.origin})"
        empty = not str(given.raw).strip("[(' ,)]")
        without = f"; {setting.row.flagless} does without" if setting.row.flagless and empty else ""
        cause = "it is empty" if empty else problem.cause
        raise HotplateError(attempted, cause, f"Give {problem.right}{without}.", code=ExitCode.USAGE) from None


def _quoted(raw: object) -> str:
    if isinstance(raw, list | tuple):
        return ", ".join(_quoted(member) for member in raw) or "nothing"
    return repr(raw) if isinstance(raw, str) else str(raw)


def _port(environ: Mapping[str, str]) -> int | None:
    text = environ.get("PORT", "")
    if not text:
        return None
    try:
        return parse_port(text.strip())
    except RefusedError as problem:
        attempted, remedy = f"set the port to {text!r} (PORT)", "Set PORT to a number such as 8000, or unset it."
        raise HotplateError(attempted, problem.cause, remedy, code=ExitCode.USAGE) from None


def _with_port(addresses: object, port: int) -> tuple[Bind, ...]:
    """Return the addresses with the first TCP one on `port`."""
    changed = [address for address in addresses if isinstance(address, Bind)] if isinstance(addresses, tuple) else []
    for place, address in enumerate(changed):
        if address.kind == "tcp":
            changed[place] = Bind(kind="tcp", host=address.host, port=port)
            break
    return tuple(changed)


def _refuse_unknown(environ: Mapping[str, str], file: files.FileValues) -> None:
    for origin, prefix, name in _unknown(environ, file):
        close = get_close_matches(name.removeprefix(prefix).lower(), SETTINGS, n=1, cutoff=0.6)
        better = prefix + close[0].upper() if close and prefix else "".join(close)
        hint = f"Did you mean {better}?" if close else "`hotplate run --help` lists every setting."
        raise HotplateError(f"use {name} ({origin})", "there is no such setting", hint, code=ExitCode.USAGE)


def _unknown(environ: Mapping[str, str], file: files.FileValues) -> Iterator[tuple[str, str, str]]:
    variables = [setting.variable for setting in SETTINGS.values()]
    for name in sorted(environ):
        if name.startswith(PREFIX) and not name.startswith(RESERVED) and name not in {*variables, *HANDED_ON}:
            yield "environment", PREFIX, name
    for name in file.values:
        if name not in SETTINGS:
            yield file.origin, "", name
