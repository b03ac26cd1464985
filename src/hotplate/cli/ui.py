"""What may be written where: colours only on terminals, and nothing that commands a terminal out of foreign text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TextIO

# The terminal's own red, green and magenta are readable on light and dark grounds; its yellow, blue and dim are not.
_CODES = {"bold": "1", "red": "31", "green": "32", "magenta": "35"}
_KEPT = frozenset("\n\t")


class Look(NamedTuple):
    """How to write to a stream.

    Args:
        terminal: somebody looks at it, and it understands control codes.
    """

    terminal: bool

    @classmethod
    def of(cls, stream: TextIO, environ: Mapping[str, str]) -> Look:
        """Return how to write to `stream`: plainly unless it is a terminal, with NO_COLOR, and on TERM=dumb.

        NO_COLOR counts when it is not empty (https://no-color.org).
        """
        if environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
            return cls(terminal=False)
        try:
            return cls(terminal=stream.isatty())
        except ValueError:  # it is closed
            return cls(terminal=False)

    def paint(self, text: str, *colours: str) -> str:
        r"""Return `text` in colours, where there are any.

        Example:
            >>> Look(terminal=True).paint("no", "red"), Look(terminal=False).paint("no", "red")
            ('\x1b[31mno\x1b[0m', 'no')
        """
        if not (self.terminal and colours and text):
            return text
        return f"\x1b[{';'.join(_CODES[colour] for colour in colours)}m{text}\x1b[0m"


def clean(text: str) -> str:
    r"""Return `text` with everything escaped that is not printable, but line ends and tabs.

    Paths, tracebacks and names come from clients and apps; a terminal would obey what they hold.

    Example:
        >>> clean("GET /\x1b[2J")
        'GET /\\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in _KEPT else character.encode("unicode_escape").decode()
        for character in text
    )
