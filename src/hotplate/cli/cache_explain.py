"""Why a page is, or is not, in the cache: read from the store and the journal, judged by the policy's own rules."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import msgspec

from hotplate.cache import journal
from hotplate.cache.entry import Entry, decode
from hotplate.cache.http import status
from hotplate.cache.http.profile import Profile, Rule, rfc, safe
from hotplate.cache.http.reasons import Reason
from hotplate.cache.http.routes import Routes
from hotplate.cache.journal import Invalidation
from hotplate.cache.key import Key, Url, primary, slot_of, variant
from hotplate.cache.policy import Passage, Use, Verdict, ask, keep_seconds, reuse
from hotplate.cli import cache_origins, cache_urls
from hotplate.cli.cache_probe import Judge, Probe, probe
from hotplate.settings import Settings
from hotplate.settings.records import helped

if TYPE_CHECKING:
    from hotplate.cli.cache_reach import Reached

_TO_STORE = 0.3  # seconds that a response may take into the store after it was sent
State = Literal["fresh", "stale", "expired", "unusable", "absent", "off"]
_STATES: dict[Use, State] = {
    Use.FRESH: "fresh", Use.EARLY: "fresh", Use.STALE: "stale", Use.REVALIDATE: "expired", Use.UNUSABLE: "unusable",
}  # fmt: skip


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to say of one page, for one kind of request."""

    url: Annotated[str, helped("page that was looked for")]
    key: Annotated[str, helped("what its response is stored by, in words")]
    release: Annotated[str, helped("version of the code, part of the key")]
    state: Annotated[
        State,
        helped("fresh, stale (served while refreshed), expired, unusable (for this request), absent or off (--cache)"),
    ]
    stored: Annotated[bool, helped("whether a response is stored for such a request")]
    why: Annotated[str, helped("what happens with such a request, and why")]
    cache_status: Annotated[str, helped("what Cache-Status would say (RFC 9211)")]
    request: Annotated[str, helped("what in the request itself keeps the cache away; empty for nothing")] = ""
    rule: Annotated[str, helped("rule of cache_routes for the page; empty for none")] = ""
    status: Annotated[int, helped("status of the stored response")] = 0
    stored_at: Annotated[float, helped("when it was stored, in seconds since 1970")] = 0.0
    age: Annotated[float, helped("its age in seconds")] = 0.0
    lifetime: Annotated[float, helped("seconds it is fresh, counted in its age")] = 0.0
    ttl: Annotated[float, helped("seconds it is still fresh; negative: stale for so long")] = 0.0
    stale_while_revalidate: Annotated[float, helped("seconds after that in which it is served while refreshed")] = 0.0
    stale_if_error: Annotated[float, helped("seconds after that in which it is served in place of an error")] = 0.0
    everyone: Annotated[bool, helped("whether the app said it is for all, with cookies and without")] = False
    tags: Annotated[tuple[str, ...], helped("what it can be invalidated by, besides its URL")] = ()
    vary: Annotated[tuple[str, ...], helped("request fields it depends on")] = ()
    variants: Annotated[
        tuple[tuple[str, ...], ...], helped("sets of request fields by which this page's responses are told apart")
    ] = ()
    coding: Annotated[str, helped("coding it is stored in; empty: as the app sent it")] = ""
    size: Annotated[int, helped("bytes of its body")] = 0
    cost: Annotated[float, helped("seconds the app took to make it")] = 0.0
    invalidation: Annotated[Invalidation | None, helped("the latest that reached it, of those written down")] = None
    answer: Annotated[Probe | None, helped("with --ask: what the app answers, and what becomes of it")] = None


class _Found(NamedTuple):
    """What is stored for a request.

    Args:
        key: of it.
        entry: None for nothing.
        variants: by which responses of the URL are told apart.
    """

    key: Key
    entry: Entry | None = None
    variants: tuple[tuple[bytes, ...], ...] = ()


def explain(reached: Reached, text: str, headers: Sequence[str], *, now: float, ask: bool = False) -> Explanation:
    """Return what there is to say of a page.

    Args:
        reached: the instance.
        text: URL or path.
        headers: fields of the request, such as "Accept-Language: de".
        now: wall-clock seconds.
        ask: whether to have the app answer such a request.

    Raises:
        HotplateError: USAGE, no request could be like that; with `ask`, FAILED, the instance does not answer.
    """
    urls = cache_urls.read(text, cache_origins.of(reached.settings, reached.report.binds))
    places = [(url, release) for release in reached.releases for url in urls]
    looked = [(url, release, _find(reached, url, release, headers)) for url, release in places]
    url, release, found = next((each for each in looked if each[2].entry), looked[0])
    fields = cache_urls.fields(headers, url.host)
    profile = profile_of(reached.settings)
    passage = _asked(fields, url, profile)
    rule = Routes(reached.settings.cache_routes).find(url.path)
    answer = probe(reached.report.binds, url, fields, Judge(passage, profile, rule)) if ask else None
    if answer is not None:
        found, answer = _after(reached, url, release, headers, answer)
        now = max(now, found.entry.received) if found.entry else now
    explanation = _told(_of(found, passage, profile, now), reached.settings, passage)
    left = found.entry or _left(reached, found, fields, profile)
    if left is not None and found.entry is None and explanation.state == "absent" and passage.lookup:
        fate = "has expired" if keep_seconds(left, profile, now) <= 0 else "has been invalidated"
        explanation = msgspec.structs.replace(explanation, why=f"{explanation.why}; what was {fate}")
    words = [f"GET {cache_urls.show(url)}", f"release {release or '(none)'}"]
    return msgspec.structs.replace(
        explanation,
        url=cache_urls.show(url),
        key=", ".join([*words, *_varied(found, fields)]),
        release=release,
        request="" if passage.lookup and passage.store else passage.reason.text,
        rule=_rule_text(reached.settings, rule),
        variants=tuple(tuple(name.decode() for name in names) for names in found.variants),
        invalidation=_invalidation(reached, found, left, rule),
        answer=answer,
    )


def stored(reached: Reached, url: Url) -> int:
    """Return how many responses are stored for a URL that a request without further fields would be answered from."""
    return sum(_find(reached, url, release, ()).entry is not None for release in reached.releases)


def profile_of(settings: Settings) -> Profile:
    """Return how bold the instance's cache is.

    Example:
        >>> profile_of(Settings(cache_profile="rfc")).name
        'rfc'
    """
    make = rfc if settings.cache_profile == "rfc" else safe
    return make(
        ignored_cookies=tuple(name.encode("latin-1") for name in settings.cache_ignore_cookies),
        hosts=frozenset(host.encode("latin-1") for host in settings.cache_hosts),
    )


def _asked(fields: list[tuple[bytes, bytes]], url: Url, profile: Profile) -> Passage:
    return ask("GET", fields, profile, host=url.host)


def _find(reached: Reached, url: Url, release: str, headers: Sequence[str]) -> _Found:
    store, profile = reached.cache.store, profile_of(reached.settings)
    fields = cache_urls.fields(headers, url.host)
    passage = _asked(fields, url, profile)
    key = primary(url.scheme, url.host, url.path, url.query, release.encode(), passage.extra)
    entry = _look(store.look(key.digest).value, key)
    if entry is None or not entry.variants:
        return _Found(key, entry)
    for vary in entry.variants:
        inner = variant(key, vary, fields, loose=profile.loose_vary)
        found = _look(store.look(inner.digest).value, inner)
        if found is not None:
            return _Found(inner, found, entry.variants)
    return _Found(key, None, entry.variants)


def _left(reached: Reached, found: _Found, fields: list[tuple[bytes, bytes]], profile: Profile) -> Entry | None:
    """Return what was stored before it was invalidated or expired, where the store still has it lying about."""
    from hotplate.cache.stores.lmdb import LmdbStore
    from hotplate.cache.stores.lmdb_remains import remains

    store = reached.cache.store
    if not isinstance(store, LmdbStore):
        return None
    keys = [variant(found.key, vary, fields, loose=profile.loose_vary) for vary in found.variants] or [found.key]
    for key in keys:
        frame = remains(store, reached.folder, reached.settings.cache_size, key.digest)
        entry = decode(frame.payload, key.full) if frame else None
        if entry is not None and entry.status:
            return entry
    return None


def _invalidation(reached: Reached, found: _Found, left: Entry | None, rule: Rule | None) -> Invalidation | None:
    """Return the latest invalidation that reached it, or what was stored before."""
    tags = {*(left.tags if left else ()), *(rule.tags if rule else ())}
    slots = [found.key.slot, *map(slot_of, tags)]
    since = left.received if left is not None and found.entry is None else 0.0
    return next((each for each in journal.read(reached.folder) if each.reaches(slots, since)), None)


def _after(reached: Reached, url: Url, release: str, headers: Sequence[str], answer: Probe) -> tuple[_Found, Probe]:
    """Return what is stored after the app was asked: only the workers know what @hotplate.cached says of a view."""
    deadline = time.monotonic() + _TO_STORE
    while True:
        found = _find(reached, url, release, headers)
        if found.entry is not None and not found.entry.refused:
            return found, msgspec.structs.replace(answer, kept=True, why="", advice="", lifetime=found.entry.lifetime)
        if time.monotonic() > deadline:
            return found, answer
        time.sleep(_TO_STORE / 20)


def _look(value: bytes | None, key: Key) -> Entry | None:
    return None if value is None else decode(value, key.full)


def _of(found: _Found, passage: Passage, profile: Profile, now: float) -> Explanation:
    empty = Explanation(url="", key="", release="", state="absent", stored=False, why="", cache_status="")
    entry = found.entry
    if entry is None:
        why = "nothing is stored"
        if found.variants:
            why = "nothing is stored for such a request; for others there is (see variants)"
        told = status.forwarded("vary-miss" if found.variants else "uri-miss")
        return msgspec.structs.replace(empty, why=why, cache_status=told.decode())
    if entry.refused:
        told = status.forwarded("bypass", detail=entry.refused)
        return msgspec.structs.replace(empty, why=_reason(entry.refused), cache_status=told.decode())
    verdict = reuse(entry, passage, now, profile)
    return msgspec.structs.replace(
        empty,
        state=_STATES[verdict.use],
        stored=True,
        why=verdict.reason.text if verdict.reason else "it is fresh",
        cache_status=_cache_status(verdict).decode(),
        status=entry.status,
        stored_at=entry.received,
        age=verdict.age,
        lifetime=entry.lifetime,
        ttl=verdict.ttl,
        stale_while_revalidate=entry.swr,
        stale_if_error=entry.sie,
        everyone=entry.explicit,
        tags=entry.tags,
        vary=tuple(name.decode("latin-1") for name in entry.vary),
        coding=entry.coding.decode("latin-1"),
        size=len(entry.body),
        cost=entry.cost,
    )


def _told(explanation: Explanation, settings: Settings, passage: Passage) -> Explanation:
    """Return it with what comes before the store: the mode, and what the request itself says."""
    if settings.cache == "off":
        return msgspec.structs.replace(explanation, state="off", why="the cache is off (--cache)", cache_status="")
    if not passage.lookup:
        told = status.forwarded("method" if passage.reason is Reason.METHOD else "bypass", detail=passage.reason.value)
        why = f"the cache keeps out of it: {passage.reason.text}"
        return msgspec.structs.replace(explanation, why=why, cache_status=told.decode())
    if settings.cache == "suggest":
        why = f"{explanation.why}; but --cache suggest answers nothing from the cache, it only measures"
        return msgspec.structs.replace(explanation, why=why)
    return explanation


def _cache_status(verdict: Verdict) -> bytes:
    if verdict.use is Use.STALE:
        return status.hit(int(verdict.ttl), "stale-while-revalidate")
    if verdict.use is Use.UNUSABLE:
        return status.forwarded("miss", detail=verdict.reason.value)
    return status.forwarded("stale") if verdict.use is Use.REVALIDATE else status.hit(int(verdict.ttl))


def _reason(code: str) -> str:
    """Return a reason's words; a code of another version is shown as it is."""
    return next((reason.text for reason in Reason if reason.value == code), code)


def _varied(found: _Found, fields: list[tuple[bytes, bytes]]) -> Iterator[str]:
    if found.entry is None:
        return
    for name in found.entry.vary:
        said = b", ".join(value for field, value in fields if field == name).decode("latin-1")
        yield f"{name.decode('latin-1')}: {said or '(none)'}"


def _rule_text(settings: Settings, rule: Rule | None) -> str:
    if rule is None:
        return ""
    return next((text for text in settings.cache_routes if Routes([text]).find(_path_of(text)) == rule), "")


def _path_of(text: str) -> bytes:
    return text.split(maxsplit=1)[0].replace("*", "x").encode("latin-1")
