"""Our decisions put together without I/O: a cache of one process whose app is a script."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from msgspec.structs import replace

from hotplate.cache import key, policy
from hotplate.cache.entry import Entry
from hotplate.cache.http.profile import Profile
from hotplate.cache.key import Key, Url
from hotplate.cache.policy import Passage, Reason, Refused, Response, Use
from tests.conformance.sequences import Answer, Fields, Step

HOST = b"a.example"
BODY = b"ok"


class How(StrEnum):
    """Why a stored response was used."""

    FRESH = "fresh"
    STALE = "stale while it is revalidated"
    ERROR = "stale in place of an error"
    CONFIRMED = "confirmed by a 304"


class Origin(NamedTuple):
    """Where a stored response comes from, kept beside it for who judges.

    Args:
        fields: of the request it answered.
        answer: the response.
        now: when it arrived.
        confirmed: the 304s that it was freshened by, and when.
    """

    fields: Fields
    answer: Answer
    now: int
    confirmed: tuple[tuple[Answer, int], ...] = ()


class Used(NamedTuple):
    """A stored response was used."""

    how: How
    origin: Origin
    entry: Entry
    age: float


class Engine:
    """A cache.

    Args:
        profile: what is allowed.
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._kept: dict[bytes, tuple[Entry, Origin]] = {}
        self._variants: dict[bytes, list[tuple[bytes, ...]]] = {}
        self._tags: dict[str, set[bytes]] = {}

    def ask(self, step: Step) -> Used | None:
        """Answer a request; what of the cache was used for it, None where the app answered."""
        passage = policy.ask(step.method, step.fields, self._profile, host=HOST)
        primary = key.primary("http", HOST, step.path, b"", b"1", passage.extra)
        found = self._look(primary, step) if passage.lookup else None
        if found is None:
            if passage.only_if_cached:
                return None
            self._send(step, step.answers[0], passage, primary)
            return None
        entry, origin = found
        verdict = policy.reuse(entry, passage, step.now, self._profile)
        if verdict.use in {Use.FRESH, Use.EARLY}:
            return Used(How.FRESH, origin, entry, verdict.age)
        if verdict.use is Use.STALE:
            # Whose request set the refresh off still counts, as in `hotplate.gateway.caching.refresh`.
            behind = replace(passage, store=True, reason=Reason.NONE, wants=None)
            self._revalidate(step, step.answers[1], behind, primary, found)
            return Used(How.STALE, origin, entry, verdict.age)
        if passage.only_if_cached:
            return None
        if verdict.use is Use.REVALIDATE and step.method == "GET":
            return self._revalidate(step, step.answers[0], passage, primary, found, on_error=verdict.on_error)
        self._send(step, step.answers[0], passage, primary)
        return None

    def _look(self, primary: Key, step: Step) -> tuple[Entry, Origin] | None:
        for vary in self._variants.get(primary.digest, ()):
            digest = key.variant(primary, vary, step.fields, loose=self._profile.loose_vary).digest
            if digest in self._kept:
                return self._kept[digest]
        return None

    def _send(self, step: Step, answer: Answer, passage: Passage, primary: Key) -> None:
        tags = policy.invalidates(step.method, answer.status, Url("http", HOST, step.path, b""), answer.fields)
        for tag in tags:
            for digest in self._tags.pop(tag, ()):
                self._kept.pop(digest, None)
        self._store(step, answer, passage, primary)

    def _store(self, step: Step, answer: Answer, passage: Passage, primary: Key) -> None:
        judged = policy.judge(passage, Response(answer.status, answer.fields, step.now), self._profile)
        if not isinstance(judged, Refused):
            where = key.variant(primary, judged.vary, step.fields, loose=self._profile.loose_vary)
            whole = policy.finish(judged, where.full, BODY)
            if not isinstance(whole, Refused):
                self._keep(primary, whole, Origin(step.fields, answer, step.now), where)

    def _keep(self, primary: Key, entry: Entry, origin: Origin, where: Key) -> None:
        variants = self._variants.setdefault(primary.digest, [])
        if entry.vary in variants:
            variants.remove(entry.vary)
        variants.insert(0, entry.vary)
        self._kept[where.digest] = (entry, origin)
        self._tags.setdefault(primary.tag, set()).add(where.digest)

    def _revalidate(
        self,
        step: Step,
        answer: Answer,
        passage: Passage,
        primary: Key,
        found: tuple[Entry, Origin],
        *,
        on_error: bool = False,
    ) -> Used | None:
        entry, origin = found
        if answer.status >= 500 and on_error:
            return Used(How.ERROR, origin, entry, entry.age + step.now - entry.received)
        if not (policy.revalidation_fields(entry) and answer.may_confirm):
            self._store(step, answer, passage, primary)
            return None
        confirmation = answer._replace(status=304)
        response = Response(304, answer.fields, step.now)
        fresh = policy.freshen(entry, response, passage, self._profile)
        where = key.variant(primary, entry.vary, step.fields, loose=self._profile.loose_vary)
        origin = origin._replace(confirmed=(*origin.confirmed, (confirmation, step.now)))
        if fresh.entry is None:
            self._store(step, answer, passage, primary)
            return None
        if fresh.refused is None and fresh.entry.vary == entry.vary:
            self._keep(primary, fresh.entry, origin, where)
        else:
            self._kept.pop(where.digest, None)
        return Used(How.CONFIRMED, origin, fresh.entry, fresh.entry.age)
