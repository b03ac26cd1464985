"""`hotplate cache`: what the cache of a running instance does, why a page is in it or not, and emptying it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from hotplate.cli.cache_reach import cache_flags, reach
from hotplate.cli.parts import Command, Example, Family, Flag, Place
from hotplate.errors import ExitCode, HotplateError

if TYPE_CHECKING:
    import msgspec

_JSON = Flag(["--json", "as_json"], group="Output", is_flag=True, help="One JSON object (fields: docs/cli.md).")
_HEADER = Flag(
    ["--header", "headers"],
    group="Page",
    metavar="FIELD",
    multiple=True,
    help="Field of the request, such as 'Accept-Language: de'; may be repeated.",
)
_ASK = Flag(
    ["--ask/--no-ask", "ask"],
    group="Page",
    default=False,
    help="Ask the app once, through the instance, and say what would become of its answer. [default: no-ask]",
)
_ASKS_FOR_ALL = Flag(["--all", "everything"], group="What", is_flag=True, help="Everything that is stored.")
_TAGS = Flag(["--tag", "tags"], group="What", metavar="TAG", multiple=True, help="What has this tag; may be repeated.")


def show_stats(*, as_json: bool, **where: str | None) -> int:
    """Show what the cache has done so far; return OK.

    Raises:
        HotplateError: see `reach`.
    """
    from hotplate.cli import cache_stats

    found = cache_stats.collect(reach(**where))
    _show(found, cache_stats.lines(found), as_json=as_json)
    return int(ExitCode.OK)


def explain_url(url: str, headers: tuple[str, ...], *, ask: bool, as_json: bool, **where: str | None) -> int:
    """Explain what is stored for a page; return OK.

    Raises:
        HotplateError: USAGE, no request could have such a URL or field; see also `reach`.
    """
    from hotplate.cli import cache_explain, cache_urls, cache_words

    cache_urls.read(url, ["http://host"])  # refused before anything is looked for
    cache_urls.fields(headers, b"host")
    found = cache_explain.explain(reach(**where), url, headers, now=time.time(), ask=ask)
    _show(found, cache_words.lines(found, time.time()), as_json=as_json)
    return int(ExitCode.OK)


def purge_urls(
    urls: tuple[str, ...], tags: tuple[str, ...], *, everything: bool, as_json: bool, **where: str | None
) -> int:
    """Invalidate what is stored; return OK when that holds everywhere.

    Raises:
        HotplateError: USAGE, it is not said what; FAILED, the store does not answer; see also `reach`.
    """
    from hotplate.cli import cache_purge

    if sum(map(bool, (urls, tags, everything))) != 1:
        raise HotplateError(
            "purge the cache",
            "one contradicts the other" if everything and (urls or tags) else "it is not said what of it",
            "Give URLs, or --tag TAG, or --all.",
            code=ExitCode.USAGE,
        )
    cache_purge.check(urls, tags)
    found = cache_purge.purge(reach(**where), urls, tags)
    _show(found, cache_purge.lines(found), as_json=as_json)
    return int(ExitCode.OK)


def _show(found: msgspec.Struct, lines: Iterable[str], *, as_json: bool) -> None:
    import msgspec

    from hotplate.cli.ui import Look, clean

    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
        return
    look = Look.of(sys.stdout, os.environ)
    for place, line in enumerate(lines):
        click.echo(look.paint(clean(line), "bold") if place == 0 else clean(line), color=True)


stats = Command(
    "stats",
    show_stats,
    help="""\
Show what the cache has done.

How many requests were answered from it, the time that saved, how full the store is, and what was not kept and why. With
--cache suggest also what could be answered from it, route by route.
""",
    params=[_JSON, *cache_flags()],
    examples=(
        Example("hotplate cache stats", "the instance of this folder"),
        Example("hotplate cache stats --json | jq .hit_ratio", "for programs"),
    ),
)

purge = Command(
    "purge",
    purge_urls,
    help="""\
Take pages out of the cache, everywhere.

URL is as clients ask for it, or only its path. When the command returns, no worker answers with what was stored, not
even as stale; with Redis, no machine does. What is being made from older data meanwhile is not kept either.
""",
    params=[
        Place(["urls"], "Pages.", group="What", metavar="[URL]...", nargs=-1),
        _TAGS,
        _ASKS_FOR_ALL,
        _JSON,
        *cache_flags(),
    ],
    examples=(
        Example("hotplate cache purge https://www.example.com/articles/7", "one page"),
        Example("hotplate cache purge --tag articles --tag front", "what has one of these tags"),
        Example("hotplate cache purge --all", "everything"),
    ),
)

explain = Command(
    "explain",
    explain_url,
    help="""\
Say why a page is, or is not, in the cache.

URL is as clients ask for it, or only its path. Nothing is changed, and the app is not asked unless --ask says so.
""",
    params=[
        Place(["url"], "The page.", group="Page", metavar="URL"),
        _HEADER,
        _ASK,
        _JSON,
        *cache_flags(),
    ],
    examples=(
        Example("hotplate cache explain /articles/7", "a page of this folder's instance"),
        Example("hotplate cache explain https://www.example.com/ --ask", "why is it not kept?"),
        Example("hotplate cache explain / --header 'Accept-Language: de'", "as somebody else gets it"),
    ),
)

cache = Family(
    "cache",
    (stats, explain, purge),
    help="Look into the cache of a running instance, and empty it.",
    examples=(
        Example("hotplate cache stats", "hit ratio, time saved, how full it is"),
        Example("hotplate cache explain /articles/7", "why a page is, or is not, in it"),
        Example("hotplate cache explain /articles/7 --ask", "the same, after asking the app"),
        Example("hotplate cache purge https://www.example.com/articles/7", "take out a page"),
        Example("hotplate cache purge --tag articles", "take out what has a tag"),
        Example("hotplate cache purge --all", "take out everything"),
    ),
)
