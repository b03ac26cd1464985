"""Rules that an operator gives for routes: `/articles/* ttl=60s swr=30s tags=articles,front`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hotplate.cache.directives import MOST_SECONDS
from hotplate.cache.profile import Rule
from hotplate.errors import ExitCode, HotplateError
from hotplate.settings.refused import RefusedError
from hotplate.settings.units import parse_duration

_HINT = "Write it as in '/articles/* ttl=60s swr=30s sie=10m tags=articles,front vary=accept-language'."
_NAME = re.compile(r"[!#$%&'+\-.^_`|~0-9A-Za-z]+", re.ASCII)
# Paths that servers and apps read in more than one way never match (web cache deception): dot segments and separators,
# encoded or not, doubled slashes, path parameters, and what no URL holds unencoded.
_AMBIGUOUS = re.compile(rb"//|;|\\|%2f|%5c|%3b|%00|/(?:\.|%2e){1,2}(?:/|$)|[^!-~]", re.IGNORECASE)


class Routes:
    """The rules, in the order in which they were given; the first that matches counts.

    Args:
        rules: as `parse_rule` reads them.

    Raises:
        HotplateError: one of them cannot be read (USAGE).

    Example:
        >>> Routes(["/articles/* ttl=60"]).find(b"/articles/7").ttl
        60.0
    """

    def __init__(self, rules: Sequence[str]) -> None:
        self._rules = [parse_rule(text) for text in rules]

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._rules)

    def find(self, path: bytes) -> Rule | None:
        """Return the rule for a path, as it was sent; None for none, and for a path that could mean another one."""
        for pattern, rule in self._rules:
            if pattern.fullmatch(path):
                return None if _AMBIGUOUS.search(path) else rule
        return None


def parse_rule(text: str) -> tuple[re.Pattern[bytes], Rule]:
    """Return what a rule is about and what it says.

    Args:
        text: a path, in which `*` is any text, and what holds for it: `ttl` (needed), `swr` and `sie` as durations,
            `tags` and `vary` as names with commas between them.

    Raises:
        HotplateError: it cannot be read (USAGE).

    Example:
        >>> parse_rule("/a/* ttl=1m tags=a,b")[1].tags
        ('a', 'b')
    """
    path, *options = text.split()
    if not path.startswith("/") or not path.isascii():
        raise _refusal(text, "it does not begin with a path")
    said = [option.partition("=") for option in options]
    names = [name for name, _, _ in said]
    unknown = [name for name in names if name not in {"ttl", "swr", "sie", "tags", "vary"}]
    if unknown:
        raise _refusal(text, f"it has no option {unknown[0]}")
    if len(set(names)) < len(names):
        raise _refusal(text, "an option stands there twice")
    values = {name: value for name, _, value in said}
    if "ttl" not in values:
        raise _refusal(text, "it does not say how long: ttl is missing")
    rule = Rule(
        ttl=_seconds(text, values["ttl"]),
        swr=_seconds(text, values.get("swr", "0")),
        sie=_seconds(text, values.get("sie", "0")),
        tags=tuple(_members(text, values.get("tags"))),
        vary=tuple(sorted(name.lower().encode() for name in _members(text, values.get("vary")))),
        is_default=True,
    )
    return _pattern(path.encode()), rule


def _pattern(path: bytes) -> re.Pattern[bytes]:
    first, *others = (re.escape(part) for part in path.split(b"*"))
    if not others:
        return re.compile(first)
    # The first place where a part fits is the right one, so a long path is not tried again and again.
    between = b"".join(b"(?>.*?%b)" % part for part in others[:-1])
    return re.compile(b"%b%b.*%b" % (first, between, others[-1]), re.DOTALL)


def _seconds(rule: str, text: str) -> float:
    try:
        seconds = parse_duration(text)
    except RefusedError:
        raise _refusal(rule, f"{text!r} is not a duration") from None
    if seconds > MOST_SECONDS:
        raise _refusal(rule, f"{text!r} is longer than any cache keeps a page")
    return seconds


def _members(rule: str, text: str | None) -> list[str]:
    if text is None:
        return []
    members = list(dict.fromkeys(text.split(",")))
    if not all(_NAME.fullmatch(member.replace(":", "")) for member in members):
        raise _refusal(rule, f"{text!r} is not a list of names")
    return members


def _refusal(rule: str, cause: str) -> HotplateError:
    return HotplateError(f"use the cache's rule {rule!r}", cause, _HINT, code=ExitCode.USAGE)
