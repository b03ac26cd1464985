"""Which instance a command means that does not start one."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from hotplate.errors import ExitCode, HotplateError
from hotplate.settings import files
from hotplate.settings.refused import RefusedError
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
    setting = SETTINGS["name"]
    raw: object = flag if flag is not None else environ.get(setting.variable)
    if raw is None:
        with suppress(HotplateError):
            raw = files.read(folder).values.get("name")
    if raw is None:
        return str(setting.default)
    try:
        return str(setting.row.kind.parse(raw))
    except RefusedError as problem:
        raise HotplateError(
            f"find an instance named {raw!r}", problem.cause, f"Give {problem.right}.", code=ExitCode.USAGE
        ) from None
