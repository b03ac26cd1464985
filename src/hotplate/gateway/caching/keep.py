"""Decides what becomes of an app's response, and stores it: the two ears of a `Capture`."""

from __future__ import annotations

from collections.abc import Awaitable
from enum import Enum

from msgspec.structs import replace

from hotplate.cache.counters import REFUSED, REVALIDATED, STALE, STORED
from hotplate.cache.current import Answering, ViewRule
from hotplate.cache.entry import Entry, encode
from hotplate.cache.flight import Lead, Nothing
from hotplate.cache.http.conditional import unchanged
from hotplate.cache.http.profile import Rule
from hotplate.cache.http.status import forwarded
from hotplate.cache.key import Key, variant
from hotplate.cache.policy import Reason, Refused, Response, finish, freshen, judge, keep_seconds
from hotplate.cache.stores.base import Token
from hotplate.gateway.caching.capture import Capture, Fate, Fields
from hotplate.gateway.caching.find import Place, slots_of
from hotplate.gateway.caching.kit import Kit
from hotplate.gateway.caching.ready import Ready
from hotplate.gateway.caching.send import answer_with
from hotplate.gateway.caching.visit import Visit

# RFC 5861, section 4, names these; a timed-out app answers 504 here, too.
_ERRORS = frozenset((500, 502, 503, 504))
_MOST_LISTED = 4  # combinations of request fields by which one URL's responses differ
_DAY = 86400.0
_MOST_PUBLICS = 8192  # some 100 bytes each
_OF_ONE_REQUEST = frozenset((Reason.PARTIAL, Reason.CONDITIONAL, Reason.BODY))


class Outcome(Enum):
    """What a flight ended with."""

    STORED = 1  # look for it
    REFUSED = 2  # ask the app yourself


class Keeper:
    """Sees to one response of the app.

    Args:
        kit: what the parts share.
        visit: the request it answers.
        place: where its response belongs, and what is stale there; that is what the app was asked about.
        lead: the flight that ends with it, None for none.
        on_error: whether the stale one may be served in place of an error.
        is_ours: whether nobody waits for the response: it is only to be stored.

    Attributes:
        answering: what the app says of the response while it makes it.
        must_ask_again: whether the client has no answer yet: the app's 304 was about another response than ours.
        is_told: whether the outcome is known.
        has_body: whether the request turned out to have one, which is no part of the key.
        capture: that tells of the response.
        extra: fields that the client is to get besides the app's.
    """

    def __init__(
        self, kit: Kit, visit: Visit, place: Place, lead: Lead | None, *, on_error: bool, is_ours: bool = False
    ) -> None:
        self._kit = kit
        self._visit = visit
        self._place = place
        self._lead = lead
        self._on_error = on_error
        self._is_ours = is_ours
        self._token: Token | None = kit.token()
        self._began = kit.ticks()
        self._response: Response | None = None
        self._entry: Entry | None = None
        self._then: bytes = b""
        self.answering = Answering(visit.scope)
        self.must_ask_again = False
        self.is_told = False
        self.has_body = False
        self.capture: Capture | None = None
        self.extra: Fields = []

    # ---------------------------------------------------------------- what a capture tells

    def begun(self, status: int, fields: Fields) -> Fate:
        """Decide what becomes of a response that has started."""
        try:
            return self._begun(status, fields)
        except Exception as error:  # noqa: BLE001  # see `Troubles`
            self._kit.troubles.tell("judge a response", error)
            self.end(Outcome.REFUSED)
            return Fate.PASS

    def over(self, body: bytes | None) -> Awaitable[None] | None:
        """Store a response that has come to its end; None where it is not as announced, or too large."""
        exchange = self._visit.scope.get("hotplate.exchange")
        if exchange is not None and exchange.abandoned:
            body = None  # the time-out has answered, and what comes after it is nobody's
        try:
            return self._over(body)
        except Exception as error:  # noqa: BLE001  # see `Troubles`
            self._kit.troubles.tell("store a response", error)
            self.end(Outcome.REFUSED)
            self.must_ask_again = self.capture is not None and self.capture.fate is Fate.HOLD
            return None

    @property
    def is_in_vain(self) -> bool:
        """Whether nothing of the response will be kept."""
        return self.is_told or (self.capture is not None and bool(self.capture.spoilt))

    def end(self, outcome: Outcome) -> None:
        """Tell those who wait, once."""
        self.is_told = True
        if self._lead is not None:
            self._kit.end(self._lead, outcome)

    def failed(self) -> Awaitable[None] | None:
        """Return what answers the client although the app has failed; None where nothing can."""
        capture, stale = self.capture, self._place.ready
        if capture is not None and capture.started:
            return self.over(None) if capture.fate is Fate.HOLD and not capture.ended else None
        if stale is None or not self._on_error or not self.may_serve_stale():
            return None
        self.refuse(Refused(Reason.STATUS, self._kit.profile.marker_error))
        return self.send_stale(500)

    def broken_off(self) -> None:
        """See to it that nobody waits for what does not come; somebody else may try."""
        if not self.is_told and not self.must_ask_again and self._lead is not None:
            self._kit.end(self._lead, Nothing.ENDED)

    # ---------------------------------------------------------------- decisions

    def _begun(self, status: int, fields: Fields) -> Fate:
        kit, visit, stale = self._kit, self._visit, self._place.ready
        now = kit.clock()
        response = Response(status, fields, now, kit.ticks() - self._began, tuple(self.answering.tags))
        self._response = response
        if status == 304 and stale is not None:
            return Fate.HOLD
        if status in _ERRORS and stale is not None and self._on_error and self.may_serve_stale():
            return Fate.HOLD
        judged = Refused(Reason.BODY) if self.has_body else judge(visit.passage, response, kit.profile, self._rule())
        if isinstance(judged, Refused):
            self.refuse(judged)
            self._tell(forwarded("miss" if stale is None else "stale", detail=judged.reason.value))
            return Fate.PASS
        self._entry = judged
        if self._token is None:
            self.end(Outcome.REFUSED)
            return Fate.PASS
        self._tell(forwarded("uri-miss" if stale is None else "stale", stored=True))
        if visit.asked is not None and not self._is_ours and unchanged(judged, visit.asked, now) is not None:
            return Fate.HOLD  # its conditions were kept from the app, so the 304 is ours to give
        return Fate.KEEP

    def _rule(self) -> Rule | None:
        rule = self.answering.rule
        return of_view(rule) if rule is not None else self._kit.rule_of(self._visit.raw_path)

    def _over(self, body: bytes | None) -> Awaitable[None] | None:
        response, stale = self._response, self._place.ready
        if response is None:
            return None
        if self._entry is not None:
            return self._whole(self._entry, body)
        if stale is None or (self._is_ours and response.status != 304):
            self.end(Outcome.REFUSED)
            return None
        if response.status == 304:
            return self._freshen(stale, response)
        self.refuse(Refused(Reason.STATUS, self._kit.profile.marker_error))
        return self.send_stale(response.status)

    def _whole(self, entry: Entry, body: bytes | None) -> Awaitable[None] | None:
        finished = finish(entry, b"", body) if body is not None else Refused(Reason.LENGTH, self._kit.profile.marker)
        if isinstance(finished, Refused):
            self.refuse(finished)
            ready = self._kit.ready(
                entry
            )  # without its body; enough for a 304, which is all that can be wanted of it here
        else:
            ready = self.store(finished)
        if self._visit.asked is None or self._is_ours or unchanged(entry, self._visit.asked, self._kit.clock()) is None:
            return None
        return self._answer(ready, forwarded("uri-miss", stored=isinstance(finished, Entry)))

    def _freshen(self, stale: Ready, response: Response) -> Awaitable[None] | None:
        kit, visit = self._kit, self._visit
        tags = tuple(self.answering.tags)
        freshened = freshen(stale.entry, response._replace(tags=tags), visit.passage, kit.profile, self._rule())
        if freshened.entry is None:
            self.must_ask_again = True
            return None
        if freshened.refused is not None:
            self._kit.cache.shelf.forget(self._place.key.digest)
            self.refuse(freshened.refused)
            ready = self._kit.ready(freshened.entry)
        else:
            ready = self.store(freshened.entry)
        kit.cache.counters.add(REVALIDATED)
        if self._is_ours:
            return None
        return self._answer(ready, forwarded("stale", status=304, stored=freshened.refused is None))

    # ---------------------------------------------------------------- acts

    def store(self, entry: Entry) -> Ready:
        """Store a response, and tell those who wait."""
        kit, visit = self._kit, self._visit
        key = visit.key
        if entry.vary:
            key = variant(visit.key, entry.vary, visit.headers, loose=kit.profile.loose_vary)
        visit.at = key
        ready = self._kit.ready(replace(entry, full=key.full))
        try:
            self._put(key, ready)
        except Exception as error:  # noqa: BLE001  # see `Troubles`; it can still be answered with
            kit.troubles.tell("store a response", error)
            self.end(Outcome.REFUSED)
        else:
            self.end(Outcome.STORED)
        return ready

    def _put(self, key: Key, ready: Ready) -> None:
        kit, visit, entry = self._kit, self._visit, ready.entry
        seconds = keep_seconds(entry, kit.profile, kit.clock())
        slots = slots_of(visit.key, entry.tags)
        kit.cache.shelf.keep(key.digest, ready, encode(entry), self._token, slots, seconds)
        kit.cache.counters.add(STORED)
        kit.markers.kept(visit.marker, visit.path)
        if entry.explicit:
            if len(kit.publics) >= _MOST_PUBLICS:
                kit.publics.clear()
            kit.publics.add(visit.key.digest)
        if entry.vary:
            self._list(entry.vary, seconds)
            gone = kit.fanout.add(visit.key.digest, key.digest)
            if gone is not None:
                kit.cache.shelf.forget(gone)

    def _list(self, vary: tuple[bytes, ...], seconds: float) -> None:
        """See to it that responses which depend on `vary` are found."""
        kit, key = self._kit, self._visit.key
        listed: Ready | None = kit.cache.shelf.peek(key.digest)
        now = kit.clock()
        variants: tuple[tuple[bytes, ...], ...] = ()
        if listed is not None and listed.is_list:
            variants = listed.entry.variants
            if variants[0] == vary and listed.entry.received + listed.entry.lifetime >= now + seconds:
                return
        variants = (vary, *(other for other in variants if other != vary))[:_MOST_LISTED]
        lifetime = max(seconds, _DAY)
        entry = Entry(key.full, received=now, lifetime=lifetime, variants=variants)
        kit.cache.shelf.keep(key.digest, kit.ready(entry), encode(entry), self._token, (key.slot,), lifetime)

    def refuse(self, refused: Refused) -> None:
        """Remember that the response could not be stored, and tell those who wait."""
        kit, visit = self._kit, self._visit
        seconds = refused.seconds
        if not seconds and visit.passage.is_personal and refused.reason not in _OF_ONE_REQUEST:
            # Marks only what other persons ask for; the policy has no marker for it, as it knows of one kind only.
            failed = self._response is not None and self._response.status >= 500
            seconds = kit.profile.marker_error if failed else kit.profile.marker
        key = self._place.key
        kit.cache.counters.add(REFUSED)
        kit.measures.refused(refused.reason.value)
        if seconds:
            name = visit.marker if key is visit.key else key.digest
            kit.markers.refused(name, visit.path, refused.reason.value, seconds)
        stale, response = self._place.ready, self._response
        if self._is_ours and stale is not None and response is not None and response.status < 500:
            kit.cache.shelf.forget(key.digest)  # the app has another answer now, which is for each to ask for
        self.end(Outcome.REFUSED)

    def may_serve_stale(self) -> bool:
        """Whether what is stored has not been invalidated meanwhile: such is never served."""
        place = self._place
        if place.ready is None or place.token is None:
            return False
        return self._kit.cache.store.valid(place.token, slots_of(self._visit.key, place.ready.entry.tags))

    def send_stale(self, status: int) -> Awaitable[None] | None:
        """Return what sends the stale response in place of an error; None where nobody waits."""
        stale = self._place.ready
        if stale is None or self._is_ours:
            return None
        self._kit.cache.counters.add(STALE)
        self._visit.at = self._place.key
        return self._answer(stale, forwarded("stale", status=status, detail="stale-if-error"))

    async def _answer(self, ready: Ready, told: bytes) -> None:
        try:
            await answer_with(self._kit, self._visit, ready, told)
        except Exception as error:
            if self._visit.has_sent:
                raise
            self._kit.troubles.tell("answer a request", error)
            self.must_ask_again = True

    def _tell(self, value: bytes) -> None:
        if self._kit.tells_misses:
            self.extra.append((b"cache-status", value))


def of_view(rule: ViewRule) -> Rule:
    """Return what `@hotplate.cached` on a view says as a rule of the policy."""
    vary = tuple(name.encode("latin-1") for name in rule.vary)
    return Rule(ttl=rule.ttl, swr=rule.swr, tags=rule.tags, vary=vary)
