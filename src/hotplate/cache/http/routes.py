"""Rules that an operator gives for routes: `/articles/* ttl=60s swr=30s tags=articles,front`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hotplate.cache.http.directives import MOST_SECONDS
from hotplate.cache.http.profile import Rule
from hotplate.errors import ExitCode, HotplateError
from hotplate.settings.refused import RefusedError
from hotplate.settings.units import parse_duration

_HINT = "Write it as in '/articles/* ttl=60s swr=30s sie=10m tags=articles,front vary=accept-language'."
_NAME = re.compile(r"[!#$%&'+\-.^_`|~0-9A-Za-z]+", re.ASCII)
_TAG = re.compile(r"[!-+\--~]{1,256}", re.ASCII)
# Paths that proxies and apps read in more than one way match no `*` (web cache deception): dot segments and separators,
# encoded once or twice, doubled slashes, path parameters, and what no URL holds unencoded.
_AMBIGUOUS = re.compile(rb"//|;|\\|%(?:25)*(?:2f|5c|3b|00)|/(?:\.|%(?:25)*2e){1,2}(?:/|$)|[^!-~]", re.IGNORECASE)
_OPTIONS = frozenset({"ttl", "swr", "sie", "tags", "vary"})


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
                # Without a `*` the operator has named this very path.
                return None if pattern.flags & re.DOTALL and _AMBIGUOUS.search(path) else rule
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
    path, *options = text.split() or [""]
    if not path.startswith("/") or not path.isascii() or "?" in path or "#" in path:
        raise _refusal(text, "it does not begin with a path, which has no query and is percent-encoded")
    values: dict[str, str] = {}
    for option in options:
        name, _, value = option.partition("=")
        if name not in _OPTIONS:
            raise _refusal(text, f"{option!r} is none of its options")
        if name in values:
            raise _refusal(text, f"{name} stands there twice")
        values[name] = value
    ttl = _seconds(text, "ttl", values.get("ttl", "0"))
    if not ttl:
        raise _refusal(text, "it does not say how long: ttl is missing, or 0")
    rule = Rule(
        ttl=ttl,
        swr=_seconds(text, "swr", values.get("swr", "0")),
        sie=_seconds(text, "sie", values.get("sie", "0")),
        tags=_members(text, "tags", values, _TAG),
        vary=tuple(sorted({name.lower().encode() for name in _members(text, "vary", values, _NAME)})),
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


def _seconds(rule: str, name: str, text: str) -> float:
    try:
        seconds = parse_duration(text)
    except RefusedError:
        raise _refusal(rule, f"'{name}={text}' is not a duration") from None
    if seconds > MOST_SECONDS:
        raise _refusal(rule, f"'{name}={text}' is longer than any cache keeps a page")
    return seconds


def _members(rule: str, name: str, values: dict[str, str], form: re.Pattern[str]) -> tuple[str, ...]:
    if name not in values:
        return ()
    members = tuple(dict.fromkeys(values[name].split(",")))
    if not all(form.fullmatch(member) for member in members):
        raise _refusal(rule, f"'{name}={values[name]}' is not a list of names")
    return members


def _refusal(rule: str, cause: str) -> HotplateError:
    return HotplateError(f"use the cache's rule {rule!r}", cause, _HINT, code=ExitCode.USAGE)
