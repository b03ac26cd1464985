"""What a row of the settings table says, and the units its limits are written in."""

from typing import NamedTuple

from hotplate.settings.kinds import Kind

DAY = 86400.0
KIB, MIB, TIB = 1024, 1024**2, 1024**4
GROUPS = (
    "App", "Network", "Processes", "Life of a worker", "Requests", "Cache", "Compression", "Tasks", "Log",
)  # fmt: skip


class Row(NamedTuple):
    """What the table says of one setting besides its type and default.

    Args:
        group: heading in the help and on the reference page; one of `GROUPS`, which has their order.
        kind: how text becomes a value.
        help: one sentence for `--help`, without a full stop.
        why: where the default comes from.
        env: conventional environment names that are honoured besides `HOTPLATE_<NAME>`, which comes before them.
        flagless: refusal flag that empties a list, such as `--no-warmup-request`.
        example: value for the reference page where the default shows too little.
        positional: whether the command line takes it as an argument instead of a flag.
        offered: whether `hotplate run` has a flag for it.
    """

    group: str
    kind: Kind
    help: str
    why: str
    env: tuple[str, ...] = ()
    flagless: str = ""
    example: str = ""
    positional: bool = False
    offered: bool = True
