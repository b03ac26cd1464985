"""Invalidating from the command line, as any process of the instance would."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from hotplate.cli import cache_origins, cache_urls
from hotplate.errors import ExitCode, HotplateError
from hotplate.settings.records import helped

if TYPE_CHECKING:
    from hotplate.cli.cache_reach import Reached

_LONGEST_TAG = 1000  # characters


class Purged(msgspec.Struct, frozen=True, kw_only=True):
    """What was invalidated."""

    kind: Annotated[Literal["url", "tag", "all"], helped("what was named")]
    what: Annotated[tuple[str, ...], helped("URLs or tags; for `all` nothing")]
    entries: Annotated[int, helped("responses that were stored for the URLs, or altogether; -1: not known")]
    seconds: Annotated[float, helped("until it held everywhere")]
    where: Annotated[str, helped("where that is")]


def check(urls: Sequence[str], tags: Sequence[str]) -> None:
    """Refuse what cannot be purged, before anything is looked for.

    Raises:
        HotplateError: USAGE.
    """
    for url in urls:
        cache_urls.read(url, ["http://host"])
    for tag in tags:
        if not tag.strip() or not tag.isprintable() or len(tag) > _LONGEST_TAG:
            cause = "it is empty" if not tag.strip() else "it is too long, or not printable"
            attempted = f"purge the tag {tag[:200]!r}"
            raise HotplateError(attempted, cause, "Give a tag as the app does.", code=ExitCode.USAGE)


def purge(reached: Reached, urls: Sequence[str], tags: Sequence[str]) -> Purged:
    """Invalidate URLs, or tags, or else everything; returns when that holds.

    Raises:
        HotplateError: FAILED; the store does not answer.
    """
    from hotplate.cache import journal
    from hotplate.cache.counters import INVALIDATIONS
    from hotplate.cache.key import slot_of, tag_of
    from hotplate.cli.cache_explain import stored

    store, kind = reached.cache.store, _kind(urls, tags)
    _check_up(reached)
    pages = [page for url in urls for page in cache_urls.read(url, cache_origins.of(reached.settings, _binds(reached)))]
    entries = sum(stored(reached, page) for page in pages) if urls else -1
    bumped = [tag_of(page) for page in pages] if urls else list(tags)
    began = time.perf_counter()
    if kind == "all":
        entries = store.state().entries
        store.clear()
    else:
        store.bump({slot_of(tag) for tag in bumped})
    seconds = time.perf_counter() - began
    what = tuple(dict.fromkeys(map(cache_urls.show, pages))) if urls else tuple(tags)
    reached.cache.counters.add(INVALIDATIONS)
    journal.note(reached.folder, kind, what, tags=bumped, by="hotplate cache purge")
    _check_up(reached)
    return Purged(kind=kind, what=what, entries=entries, seconds=seconds, where=reached.where)


def lines(found: Purged) -> Iterator[str]:
    """Yield what is told of it."""
    from hotplate.settings.units import show_duration_roughly

    counted = {-1: "", 0: "; nothing was stored", 1: "; one response was stored"}
    many = counted.get(found.entries, f"; {found.entries} responses were stored")
    what = {"all": "everything", "tag": "tags" if len(found.what) > 1 else "tag"}.get(found.kind, "")
    yield " ".join(filter(None, ("Purged", what, ", ".join(found.what)))) + many
    yield f"It holds {found.where}, after {show_duration_roughly(found.seconds)}"


def _kind(urls: Sequence[str], tags: Sequence[str]) -> Literal["url", "tag", "all"]:
    if urls:
        return "url"
    return "tag" if tags else "all"


def _binds(reached: Reached) -> Sequence[str]:
    return reached.report.binds


def _check_up(reached: Reached) -> None:
    state = reached.cache.store.state()
    if not state.is_up:
        raise HotplateError(
            "purge the cache",
            f"its store does not answer ({state.detail})",
            "Workers that do not reach it either answer nothing from it; purge again when it is back.",
            code=ExitCode.FAILED,
        )
