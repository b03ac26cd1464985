"""The settings as options of a command line, for whatever library draws it."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from hotplate.settings.kinds import Switch
from hotplate.settings.lists import Listed
from hotplate.settings.table import SETTINGS


class Option(NamedTuple):
    """One option or argument.

    Args:
        dest: key under which `resolve` wants what was given: a setting's name, or a refusal flag's own.
        flags: what is typed, such as ("--workers",) or ("--access-log/--no-access-log",); empty for an argument.
        kind: "argument" (optional, one value), "value", "values" (may be repeated), "switch" (on and off forms) or
            "refusal" (a bare flag).
        metavar: the word that stands for the value; empty for switches and refusals.
        help: one sentence with the default and the environment names.
        group: heading it belongs under.
        default: the default as it would be typed, "" where there is none worth showing.
    """

    dest: str
    flags: tuple[str, ...]
    kind: Literal["argument", "value", "values", "switch", "refusal"]
    metavar: str
    help: str
    group: str
    default: str


def options() -> Iterator[Option]:
    """Yield every option in the table's order; values stay text (or booleans), `resolve` reads and refuses them.

    Give click `default=None` for each (click's own default for repeated options, (), will do as well).

    Example:
        >>> next(option for option in options() if option.dest == "workers").flags
        ('--workers',)
    """
    for setting in SETTINGS.values():
        row, flag = setting.row, setting.flag
        if not row.offered:
            continue
        default = row.kind.show(setting.default) if setting.default != "" else ""
        if row.positional:
            yield Option(setting.name, (), "argument", row.kind.metavar, row.help, row.group, default)
        elif isinstance(row.kind, Switch):
            yield Option(
                setting.name, (f"{flag}/--no-{flag[2:]}",), "switch", "", _help(row.help, default), row.group, default
            )
        else:
            kind: Literal["value", "values"] = "values" if isinstance(row.kind, Listed) else "value"
            yield Option(setting.name, (flag,), kind, row.kind.metavar, _help(row.help, default), row.group, default)
        if row.flagless:
            yield Option(
                row.flagless[2:].replace("-", "_"),
                (row.flagless,),
                "refusal",
                "",
                f"Leave {setting.flag} empty, whatever the environment or settings file say.",
                row.group,
                "",
            )


def _help(text: str, default: str) -> str:
    return f"{text}. [default: {default}]" if default else f"{text}."
