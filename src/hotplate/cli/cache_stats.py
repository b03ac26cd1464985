"""What the cache has done so far, from what its processes count, and how its store is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from hotplate.cache import counters, journal, measured
from hotplate.cache.http.reasons import Reason
from hotplate.cache.measured import Suggestion
from hotplate.cache.stores.base import StoreState
from hotplate.settings.records import helped
from hotplate.settings.units import show_age, show_size_roughly

if TYPE_CHECKING:
    from hotplate.cli.cache_reach import Reached

_SHOWN = 20  # routes
_TOLD = 3  # reasons


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """What the cache of an instance has done since it started, all its workers together."""

    mode: Annotated[str, helped("off, headers or suggest (--cache)")]
    profile: Annotated[str, helped("safe or rfc (--cache-profile)")]
    hit_ratio: Annotated[float | None, helped("part of the requests that were answered from the cache; null: none yet")]
    hits: Annotated[int, helped("answered from what is stored, fresh")]
    stale: Annotated[int, helped("answered from what is stored, and refreshed in the background")]
    revalidated: Annotated[int, helped("the app was only asked whether it had changed")]
    collapsed: Annotated[int, helped("waited for another request's answer")]
    misses: Annotated[int, helped("the app was asked")]
    bypassed: Annotated[int, helped("none of the cache's business, such as POST")]
    stored: Annotated[int, helped("responses stored")]
    refused: Annotated[int, helped("responses that may not be stored")]
    early: Annotated[int, helped("refreshed before they expired")]
    not_modified: Annotated[int, helped("answers 304 out of the cache")]
    invalidations: Annotated[int, helped("invalidations, by whomever")]
    errors: Annotated[int, helped("faults of the cache itself; requests went on without it")]
    bytes_served: Annotated[int, helped("bytes of bodies out of the cache")]
    seconds_saved: Annotated[float, helped("time the app would have taken for what came out of the cache")]
    function_hits: Annotated[int, helped("calls of @hotplate.cached functions that were not executed")]
    function_misses: Annotated[int, helped("calls that were")]
    suggested_hits: Annotated[int, helped("--cache suggest: requests that could have been answered from the cache")]
    suggested_mismatches: Annotated[int, helped("of these, how many the app answered differently")]
    store: Annotated[StoreState, helped("kind, entries, used and limit in bytes, is_up, detail, evicted, faults")]
    releases: Annotated[tuple[str, ...], helped("versions of the code that serve now")]
    last_invalidation: Annotated[journal.Invalidation | None, helped("when, kind, what, by")]
    reasons: Annotated[dict[str, int], helped("why responses were not kept, by code, the most frequent first")]
    suggestions: Annotated[tuple[Suggestion, ...], helped("--cache suggest: route by route")]


def collect(reached: Reached) -> Stats:
    """Return what the cache of an instance has done."""
    counted = counters.read(reached.folder) or dict.fromkeys(counters.NAMES, 0)
    seen = measured.read(reached.folder)
    fields = {name: counted.get(name, 0) for name in Stats.__struct_fields__ if name in counted}
    return Stats(
        mode=reached.settings.cache,
        profile=reached.settings.cache_profile,
        hit_ratio=hit_ratio(counted),
        seconds_saved=counted.get("microseconds_saved", 0) / 1e6,
        store=reached.cache.store.state(),
        releases=reached.releases,
        last_invalidation=next(iter(journal.read(reached.folder)), None),
        reasons=seen.reasons,
        suggestions=seen.routes,
        **fields,
    )


def brief(folder: Path) -> str:
    """Return one line about an instance's cache without asking a network; "" where nothing is known of it.

    Args:
        folder: where the instance's processes meet.
    """
    from hotplate.supervisor import cachefolder

    note = cachefolder.note(folder)
    if note is None or note.settings.cache == "off":
        return "off" if note else ""
    ratio = hit_ratio(counters.read(folder) or {})
    told = "nothing asked for yet" if ratio is None else f"{ratio * 100:.1f} % hits"
    return f"{note.settings.cache}, {told}, {note.redis or _store(_local(folder, note.settings.cache_size))}"


def _local(folder: Path, size: int) -> StoreState:
    from hotplate.cache.stores.lmdb import LmdbStore

    store = LmdbStore(folder, size)
    try:
        return store.state()
    finally:
        store.close()


def hit_ratio(counted: dict[str, int]) -> float | None:
    """Return the part of requests that did not have the app make their answer; None where there was none.

    Those that the cache has nothing to do with are not among them.

    Example:
        >>> hit_ratio({"hits": 8, "stale": 1, "misses": 1, "bypassed": 90})
        0.9
    """
    answered = sum(counted.get(name, 0) for name in ("hits", "stale", "revalidated", "collapsed"))
    asked = answered + counted.get("misses", 0)
    return round(answered / asked, 4) if asked else None


def lines(found: Stats) -> Iterator[str]:
    """Yield what is shown."""
    yield f"Cache: {summary(found)}"
    yield ""
    answered = [
        f"{found.hits} fresh", f"{found.stale} stale", f"{found.revalidated} unchanged", f"{found.collapsed} waited",
    ]  # fmt: skip
    functions = f"{found.function_hits} of {found.function_hits + found.function_misses} calls"
    facts = {
        "Answered": ", ".join(answered),
        "Asked": f"{found.misses} of the app; {found.bypassed} passed by",
        "Saved": f"{show_age(found.seconds_saved)} of the app's time, {show_size_roughly(found.bytes_served)} served",
        "Kept": f"{found.stored} responses stored, {found.refused} refused, {found.early} refreshed early",
        "Functions": functions if found.function_hits + found.function_misses else "",
        "Store": _store(found.store),
        "Release": ", ".join(found.releases),
        "Invalidated": _invalidated(found),
        "Not kept": _reasons(found.reasons),
        "Faults": f"{found.errors}; the log says which" if found.errors else "",
    }
    yield from (f"  {label:<12} {fact}" for label, fact in facts.items() if fact)
    if found.mode == "suggest":
        yield ""
        yield from _suggested(found)


def summary(found: Stats) -> str:
    """Return one line: mode, hit ratio, store.

    Where nothing was asked for yet, there is no ratio.
    """
    if found.mode == "off":
        return "off"
    ratio = "nothing asked for yet" if found.hit_ratio is None else f"{found.hit_ratio * 100:.1f} % hits"
    profile = "" if found.profile == "safe" else f", profile {found.profile}"
    return f"{found.mode}{profile}, {ratio}, {_store(found.store)}"


def _store(state: StoreState) -> str:
    if not state.is_up:
        return f"{state.kind} is down ({state.detail})"
    used = "" if state.used < 0 else f" {show_size_roughly(state.used)}"
    limit = f" of {show_size_roughly(state.limit)}" if state.limit else ""
    entries = "" if state.entries < 0 else f", {state.entries} entries"
    where = {"lmdb": "this machine's store", "redis": f"Redis {state.detail}"}.get(state.kind, "this process's memory")
    evicted = f", {state.evicted} evicted" if state.evicted else ""
    return f"{where}{':' if used else ''}{used}{limit}{entries}{evicted}"


def _invalidated(found: Stats) -> str:
    last = found.last_invalidation
    times = "once" if found.invalidations == 1 else f"{found.invalidations} times"
    return f"{times}, last {last.what or 'everything'} by {last.by}" if last else times if found.invalidations else ""


def _reasons(counted: dict[str, int]) -> str:
    words = {reason.value: reason.text for reason in Reason}
    return "; ".join(f"{count} x {words.get(code, code)}" for code, count in list(counted.items())[:_TOLD])


def _suggested(found: Stats) -> Iterator[str]:
    from hotplate.cli.table import aligned

    if not found.suggestions:
        yield "  Nothing measured yet: suggestions come with requests."
        return
    rows = [
        (each.route, str(each.requests), f"{100 * each.hits / max(1, each.requests):.0f} %",
         show_age(each.seconds_saved), str(each.mismatches), each.rule or each.why)
        for each in found.suggestions[:_SHOWN]
    ]  # fmt: skip
    head = ("route", "requests", "could hit", "saves", "mismatches", "rule for --cache-routes, or why not")
    yield from aligned([head, *rows], left=[0, 5])
