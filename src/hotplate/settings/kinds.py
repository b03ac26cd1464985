"""The few kinds of setting, each turning what a flag, a variable or a file says into a value, or refusing it.

A kind refuses by `RefusedError`, which says why and what would have been right.
"""

import os
import re
from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

from hotplate.settings import units
from hotplate.settings.refused import RefusedError

OFF_WORDS = frozenset({"off", "none"})
YES_NO: Mapping[str, bool] = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}
_WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)


class Kind(Protocol):
    """What every kind of setting can do."""

    @property
    def metavar(self) -> str:
        """The word that stands for the value in help."""

    @property
    def unit(self) -> str:
        """The unit of the value once read, or what the value is."""

    def parse(self, raw: object) -> object:
        """Return the value; `raw` is text, or a number, boolean or list out of a TOML file.

        Raises:
            RefusedError: it cannot be used.
        """

    def show(self, value: object) -> str:
        """Write a value the way `parse` reads it."""


class Text(msgspec.Struct, frozen=True):
    """Text of a known shape."""

    metavar: str
    right: str = "some text"
    pattern: str = r".*\S.*"
    unit: str = "text"

    def parse(self, raw: object) -> str:
        """Return the text without spaces around it."""
        if not isinstance(raw, str) or not re.fullmatch(self.pattern, raw.strip()):
            raise RefusedError("it has another form", self.right)
        return raw.strip()

    def show(self, value: object) -> str:
        """Write it as it is."""
        return str(value)


class Count(msgspec.Struct, frozen=True):
    """A whole number with a floor and a ceiling; `words` name certain values, such as auto."""

    floor: int
    ceiling: int
    words: Mapping[str, int | Literal["auto"]] = {}
    metavar: str = "N"
    unit: str = "number"

    def parse(self, raw: object) -> int | Literal["auto"]:
        """Return the number, or what a word stands for."""
        text = str(raw).strip().lower()
        if text in self.words and not isinstance(raw, bool):
            return self.words[text]
        right = "".join(f"{word} or " for word in self.words) + f"a whole number from {self.floor} to {self.ceiling}"
        if isinstance(raw, bool | float) or not _WHOLE.fullmatch(text):
            raise RefusedError("it is not a whole number", right)
        if not self.floor <= int(text) <= self.ceiling:
            raise RefusedError(_beyond(int(text), self.floor, str(self.floor), str(self.ceiling)), right)
        return int(text)

    def show(self, value: object) -> str:
        """Write the word for it if there is one."""
        return next((word for word, number in self.words.items() if number == value), str(value))


class Duration(msgspec.Struct, frozen=True):
    """Seconds, within limits; zero, where allowed, means `zero` (such as never)."""

    floor: float
    ceiling: float
    zero: str = ""
    metavar: str = "DURATION"
    unit: str = "seconds"

    def parse(self, raw: object) -> float:
        """Return seconds."""
        if self.zero and isinstance(raw, str) and raw.strip().lower() in {*OFF_WORDS, self.zero}:
            return 0.0
        if isinstance(raw, bool) or not isinstance(raw, str | int | float):
            raise RefusedError("it is not a duration", units.DURATION_HINT)
        seconds = units.parse_duration(raw) if isinstance(raw, str) else float(raw)
        if not (self.floor <= seconds <= self.ceiling or (self.zero and seconds == 0)):
            or_zero = f", or 0 for {self.zero}" if self.zero else ""
            floor, ceiling = units.show_duration(self.floor), units.show_duration(self.ceiling)
            raise RefusedError(_beyond(seconds, self.floor, floor, ceiling), f"{floor} to {ceiling}{or_zero}")
        return seconds

    def show(self, value: object) -> str:
        """Write it with units."""
        return self.zero if self.zero and value == 0 else units.show_duration(float(str(value)))


class Size(msgspec.Struct, frozen=True):
    """Bytes, within limits; zero, where allowed, means `zero` (such as no limit)."""

    floor: int
    ceiling: int
    zero: str = ""
    metavar: str = "SIZE"
    unit: str = "bytes"

    def parse(self, raw: object) -> int:
        """Return bytes."""
        if self.zero and isinstance(raw, str) and raw.strip().lower() in {*OFF_WORDS, self.zero}:
            return 0
        if isinstance(raw, bool) or not isinstance(raw, str | int):
            raise RefusedError("it is not a size", units.SIZE_HINT)
        count = units.parse_size(raw) if isinstance(raw, str) else raw
        if not (self.floor <= count <= self.ceiling or (self.zero and count == 0)):
            or_zero = f", or 0 for {self.zero}" if self.zero else ""
            floor, ceiling = units.show_size(self.floor), units.show_size(self.ceiling)
            raise RefusedError(_beyond(count, self.floor, floor, ceiling), f"{floor} to {ceiling}{or_zero}")
        return count

    def show(self, value: object) -> str:
        """Write it with units."""
        return self.zero if self.zero and value == 0 else units.show_size(int(str(value)))


class Switch(msgspec.Struct, frozen=True):
    """Yes or no."""

    metavar: str = "BOOLEAN"
    unit: str = "boolean"

    def parse(self, raw: object) -> bool:
        """Return the boolean; a variable or file may also say 1, yes, on, 0, no, off."""
        if isinstance(raw, bool):
            return raw
        text = str(raw).strip().lower()
        if text not in YES_NO:
            raise RefusedError("it is neither yes nor no", "true or false")
        return YES_NO[text]

    def show(self, value: object) -> str:
        """Write true or false."""
        return str(value).lower()


class Choice(msgspec.Struct, frozen=True):
    """One of a few words; a boolean in a file means on or off where those are among them.

    `later` has words that people may know from elsewhere, and why there is no such choice.
    """

    words: tuple[str, ...]
    unit: str = "word"
    later: Mapping[str, str] = {}

    @property
    def metavar(self) -> str:
        """All the words."""
        return "|".join(self.words)

    def parse(self, raw: object) -> str:
        """Return the word in lower case."""
        text = ("on" if raw else "off") if isinstance(raw, bool) else str(raw).strip().lower()
        if text not in self.words:
            cause = self.later.get(text, "it is none of the choices")
            raise RefusedError(cause, f"{', '.join(self.words[:-1])} or {self.words[-1]}")
        return text

    def show(self, value: object) -> str:
        """Write it as it is."""
        return str(value)


class FilePath(msgspec.Struct, frozen=True):
    """A path to a file or folder; `~` is the home directory."""

    metavar: str = "FILE"
    unit: str = "path"
    right: str = "the path of a file"

    def parse(self, raw: object) -> str:
        """Return the path."""
        if not isinstance(raw, str) or not raw.strip() or "\0" in raw:
            raise RefusedError("it is not a path", self.right)
        return os.path.expanduser(raw.strip())  # noqa: PTH111  the value is text, as everything that reads it wants it

    def show(self, value: object) -> str:
        """Write the path, or that there is none."""
        return str(value) if value else "none"


class UrlPath(msgspec.Struct, frozen=True):
    """A path in a URL, without a query."""

    metavar: str = "PATH"
    unit: str = "path"

    def parse(self, raw: object) -> str:
        """Return the path."""
        path = url_path(raw.strip() if isinstance(raw, str) else "")
        if "?" in path:
            raise RefusedError("it has a query", "a path without ?")
        return path

    def show(self, value: object) -> str:
        """Write it as it is."""
        return str(value)


def url_path(text: str) -> str:
    """Return a path with an optional query, in the origin form of RFC 9112, section 3.2.1.

    Raises:
        RefusedError: it is empty, does not begin with a slash, or has characters that a request line cannot carry.
    """
    if not text:
        raise RefusedError("it is empty", "a path that begins with a slash, such as /")
    if not text.startswith("/"):
        path = text.partition("://")[2].partition("/")[2] if "://" in text else text
        raise RefusedError("it does not begin with a slash", f"a path, such as /{path}")
    if "#" in text or not text.isascii() or not text.isprintable() or " " in text:
        raise RefusedError(
            "a request cannot carry it", "a path as it stands in a URL: percent-encoded, without spaces or #fragment"
        )
    return text


def _beyond(number: float, floor: float, floor_text: str, ceiling_text: str) -> str:
    return f"it is below the limit of {floor_text}" if number < floor else f"it is above the limit of {ceiling_text}"
