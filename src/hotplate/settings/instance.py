"""Which instance a command means that does not start one."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from hotplate.errors import ExitCode, HotplateError
from hotplate.settings import files
from hotplate.settings.refused import RefusedError
from hotplate.settings.secret import Hides
from hotplate.settings.table import SETTINGS


def instance_name(flag: str | None, environ: Mapping[str, str], folder: Path) -> str:
    """Return the name of the instance that `hotplate run` would start in `folder`.

    Everything else in the settings is left alone: an instance must be stoppable while its settings file is broken.

    Args:
        flag: what `--name` said; None if it was not given.
        environ: HOTPLATE_NAME is looked up in it.
        folder: of the settings file.

    Raises:
        HotplateError: USAGE; it is no name.

    Example:
        >>> instance_name(None, {"HOTPLATE_NAME": "blue"}, Path("/nonexistent"))
        'blue'
    """
    return str(one_setting("name", flag, environ, folder))


def one_setting(name: str, flag: str | None, environ: Mapping[str, str], folder: Path) -> object:
    """Return the value of one setting, read like every setting; the others are left alone.

    Args:
        name: of the setting.
        flag: what its flag said; None if it was not given.
        environ: its variables are looked up in it.
        folder: of the settings file.

    Raises:
        HotplateError: USAGE; it cannot be used.

    Example:
        >>> one_setting("redis_url", None, {"REDIS_URL": "redis://cache"}, Path("/nonexistent"))
        'redis://cache'
    """
    setting = SETTINGS[name]
    raw: object = flag if flag is not None else environ.get(setting.variable)
    if raw is None:
        raw = next((environ[variable] for variable in setting.row.env if environ.get(variable)), None)
    if raw is None:
        with suppress(HotplateError):
            raw = files.read(folder).values.get(name)
    if raw is None:
        return setting.default
    kind = setting.row.kind
    try:
        return kind.parse(raw)
    except RefusedError as problem:
        shown = kind.hidden(raw) if isinstance(kind, Hides) else raw
        attempted = f"find an instance named {shown!r}" if name == "name" else f"use {shown!r} for {setting.flag}"
        raise HotplateError(attempted, problem.cause, f"Give {problem.right}.", code=ExitCode.USAGE) from None
