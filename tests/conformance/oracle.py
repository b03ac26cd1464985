"""May this stored response be used for this request? As hishel, another implementation of RFC 9111, has it.

Where the two differ, the RFC decides. Hishel is asked about the same thing in words it knows; each translation names
the section that lets us:

- HEAD is answered from a stored GET, which hishel does not do (RFC 9110, section 9.3.2).
- A range is answered from a complete stored response, which hishel sends on (RFC 9110, section 14.2; RFC 9111, 3.3).
- CDN-Cache-Control, unknown to hishel, takes the place of Cache-Control and Expires (RFC 9213, section 2.2).
- Request fields match if only white space, or the case of language tags, differs (RFC 9111, section 4.1).
- Staleness that is allowed, which hishel knows as a switch only, is counted here (RFC 5861; RFC 9111, 5.2.1.2).
- Directives of requests are advice (RFC 9111, section 5.2.1): the safe profile does not take it, and where the app
  answers with an error, a stored response may be sent in its place (section 4.3.3).
- must-understand lifts no-store (RFC 9111, section 5.2.2.3).
- A lifetime that is no number is there all the same, and counts as 0 (RFC 9111, section 4.2.1).
- A directive without arguments that has one all the same is that directive (RFC 9111, section 5.2).
- A 304 with a weak entity tag is about the response that has it, too (RFC 9111, section 4.3.4).
- no-cache="..." forbids sending the fields it names, as private="..." does, and nothing else (section 5.2.2.4). Without
  quotes it means the same (section 5.2), and the directive after it is no part of it.

And hishel is lenient where the RFC is not: it takes no account of Age and counts none from a missing or broken Date;
both are computed here (RFC 9111, section 4.2.3).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any
from uuid import UUID

from hishel import CacheMiss, CacheOptions, FromCache, IdleClient, NeedRevalidation, NeedToBeUpdated, StoreAndUse
from hishel import Entry as Stored
from hishel import Headers as Lines
from hishel import Request as Asked
from hishel import Response as Answered
from hishel._core import _spec as spec
from hishel._core._headers import parse_cache_control
from hishel._utils import parse_date

from tests.conformance.engine import How, Origin, Used
from tests.conformance.sequences import Answer, Fields, Step, date

SHARED = CacheOptions(shared=True)
STALE = CacheOptions(shared=True, allow_stale=True)
UNDERSTOOD = {200, 203, 204, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 410, 414, 500, 501, 502, 503, 504}
control_of = lru_cache(65536)(parse_cache_control)  # it reads letter by letter, and the same for every decision
_ID = UUID(int=0)
_ARGUED = re.compile(r"(?<![\w\"-])(must-revalidate|no-store)=\w+", re.IGNORECASE)
_UNDERSTANDING = re.compile(r"(?<![\w\"-])must-understand", re.IGNORECASE)
_LIFTED = re.compile(r"\"?(?:no-store|must-understand)", re.IGNORECASE)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_LIFETIME = re.compile(r"(?<![\w\"-])(?:max-age|s-maxage)(?![\w-])", re.IGNORECASE)
_QUALIFIED = re.compile(r'(?<![\w"-])(?:private|no-cache)=(?:"([\w, -]+)"|([\w-]+))(?=[\s,]|$)', re.IGNORECASE)


class Clock:
    """Takes the place of the `time` module in hishel."""

    def __init__(self) -> None:
        self.now = 0

    def time(self) -> float:
        """Return what it was set to."""
        return float(self.now)


class Oracle:
    """Judges every use of a stored response.

    Args:
        heeds_client: whether our profile obeys directives of requests.
    """

    def __init__(self, *, heeds_client: bool) -> None:
        self._heeds_client = heeds_client
        self.clock = Clock()

    def objection(self, step: Step, used: Used) -> str:
        """Return why `used` was wrong for `step`; empty where it was right."""
        origin = used.origin
        stored = self._stored(origin)
        if stored is None:
            return "hishel would not have stored it"
        if not self._heeds_client and (objection := _too_personal(step, used, stored)):
            return objection
        if used.how is How.CONFIRMED:
            return self._withheld(used, stored)
        control = control_of(stored.response.headers.get("cache-control"))
        allowance = self._allowance(step, used, control)
        age = current_age(origin, step.now)
        self.clock.now = step.now
        lifetime = spec.get_freshness_lifetime(stored.response, is_cache_shared=True)
        lifetime = max(0, lifetime or 0)  # nothing is stale before it is made
        if age - allowance >= lifetime:
            return f"its age is {age} s and it is fresh for {lifetime} s and {allowance} s more"
        if used.age < age - 1:
            return f"it says its age is {used.age} s, and it is {age} s"
        state = IdleClient(options=STALE if allowance else SHARED).next(self._asked(step, used), [_alike(stored, step)])
        if not isinstance(state, FromCache):
            return f"hishel says {type(state).__name__}"
        return self._withheld(used, stored)

    def _stored(self, origin: Origin) -> Stored | None:
        self.clock.now = origin.now
        asked = Asked("GET", "http://a.example/", lines(origin.fields))
        targeted = origin.answer.targeted
        state = CacheMiss(options=SHARED, request=asked).next(answered(origin.answer, origin.now, targeted))
        if not isinstance(state, StoreAndUse):
            return None
        entry = Stored(_ID, asked, state.response)
        for answer, now in origin.confirmed:
            self.clock.now = now
            if any(name == b"cdn-cache-control" for name, _ in answer.fields):
                targeted = answer.targeted
            confirmation = answered(answer, now, targeted)
            if confirmation.headers.get("etag", "").startswith("W/"):
                strong = confirmation.headers.pop("etag").removeprefix("W/")
                confirmation.headers["etag"] = strong
            found = NeedRevalidation(
                options=SHARED, request=asked, revalidating_entries=[entry], original_request=asked
            ).next(confirmation)
            if not isinstance(found, NeedToBeUpdated):
                return None
            entry = found.updating_entries[0]
        return entry

    def _asked(self, step: Step, used: Used) -> Asked:
        heeds = self._heeds_client and used.how is not How.ERROR
        left_out = {b"range"} if heeds else {b"range", b"cache-control"}
        return Asked("GET", "http://a.example/", lines([field for field in step.fields if field[0] not in left_out]))

    def _allowance(self, step: Step, used: Used, control: Any) -> int:
        """Return seconds of staleness that are allowed; none under a directive that forbids any (section 4.2.4)."""
        if control.must_revalidate or control.proxy_revalidate or control.no_cache or control.s_maxage is not None:
            return 0
        if used.how is How.ERROR:
            return control.stale_if_error or 0
        if used.how is not How.STALE:
            return 0
        wanted = control_of(lines(step.fields).get("cache-control")).max_stale if self._heeds_client else 0
        if wanted is True:
            return 2**31
        return max(control.stale_while_revalidate or 0, wanted or 0)

    def _withheld(self, used: Used, stored: Stored) -> str:
        """Say which fields were sent that are for one user only, or not to be used again (section 5.2.2)."""
        control = control_of(stored.response.headers.get("cache-control"))
        names = [*_listed(control.private), *_listed(control.no_cache)]
        sent = {name.decode() for name, _ in used.entry.fields}
        found = sorted(sent.intersection(names))
        return f"it is sent with {found}" if found and used.how is not How.CONFIRMED else ""


def _too_personal(step: Step, used: Used, stored: Stored) -> str:
    """Say what was shared without a word that it is for everyone: the promise of the safe profile.

    What a 304 confirms is an answer to this very request.
    """
    first = answered(used.origin.answer, used.origin.now, used.origin.answer.targeted)
    if _is_personal(used.origin.fields) and not _is_for_everyone(first, used.origin.answer):
        return "it was stored from a request with a cookie or credentials, and nothing said that it is for everyone"
    latest = next((answer for answer, _ in reversed(used.origin.confirmed) if answer.targeted), used.origin.answer)
    if _is_personal(step.fields) and used.how is not How.CONFIRMED and not _is_for_everyone(stored.response, latest):
        return "it was used for a request with a cookie or credentials, and nothing says that it is for everyone"
    return ""


def _is_personal(fields: Fields) -> bool:
    return any(name in {b"cookie", b"authorization"} for name, _ in fields)


def _is_for_everyone(response: Answered, answer: Answer) -> bool:
    control = control_of(response.headers.get("cache-control"))
    return bool(control.public or control.s_maxage is not None or answer.targeted)


def _listed(value: object) -> list[str]:
    return [name.strip().lower() for name in value] if isinstance(value, list) else []


def current_age(origin: Origin, now: int) -> int:
    """Return the age by RFC 9111, section 4.2.3, of a response or of the 304 that confirmed it last."""
    answer, then = origin.confirmed[-1] if origin.confirmed else (origin.answer, origin.now)
    found = lines(answer.fields)
    said = found.get("age", "").split(",")[0].strip()
    age = min(int(said), 2**31) if said.isdecimal() else 0
    then_said = parse_date(found.get("date", ""))
    return max(age, then - then_said if then_said is not None else 0) + now - then


def lines(fields: Fields) -> Lines:
    """Return fields as hishel has them."""
    found: dict[str, list[str]] = {}
    for name, value in fields:
        found.setdefault(name.decode(), []).append(value.decode())
    return Lines(dict(found.items()))


def answered(answer: Answer, now: int, targeted: str | None) -> Answered:
    """Return a response as hishel is to see it."""
    found = lines(answer.fields)
    said = found.get("cache-control", "")
    if targeted is not None:
        said = targeted
        found.pop("expires", None)
    said = _QUALIFIED.sub(r'private="\1\2"', said)
    said = _ARGUED.sub(r"\1", said)
    if _UNDERSTANDING.search(said) and answer.status in UNDERSTOOD:
        said = _LIFTED.sub("", said)
    control = control_of(said)
    if control.max_age is None and control.s_maxage is None and _LIFETIME.search(_QUOTED.sub("", said)):
        said += ", max-age=0"
    if said:
        found.pop("cache-control", None)
        found["cache-control"] = said
    if parse_date(found.get("date", "")) is None:
        found.pop("date", None)
        found["date"] = date(now)
    return Answered(answer.status, found)


def _alike(stored: Stored, step: Step) -> Stored:
    """Return `stored` as if its request had had fields letter by letter like those of `step` that mean the same."""
    asked, asks = stored.request.headers, lines(step.fields)
    found = {name: asks.get_list(name) or [] for name in asks if name == "accept-language"}
    theirs, ours = asked.get("accept-language"), asks.get("accept-language")
    if theirs is None or ours is None or _evened(theirs) != _evened(ours):
        return stored
    return Stored(_ID, Asked("GET", stored.request.url, Lines({**_plain(asked), **found})), stored.response)


def _plain(found: Lines) -> dict[str, str | list[str]]:
    return {name: found.get_list(name) or [] for name in found}


def _evened(value: str) -> list[str]:
    return sorted(part for part in "".join(value.lower().split()).split(",") if part)
