"""Requests and responses by chance: what apps and clients send, what they should not, and everything in between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from email.utils import formatdate
from functools import lru_cache
from random import Random
from typing import NamedTuple

Fields = list[tuple[bytes, bytes]]

START = 1_800_000_000  # seconds of the clock that is replaced
STEPS = (0, 0, 1, 9, 29, 31, 59, 60, 61, 90, 600, 4000)
PATHS = (b"/a", b"/b")
STATUSES = (200,) * 14 + (203, 204, 206, 300, 301, 302, 307, 308, 404, 404, 405, 410, 414, 500, 501, 503, 599)
METHODS = ("GET",) * 14 + ("HEAD", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "X-NEW")

FRESH = ("max-age=60", "max-age=60", "max-age=60", "s-maxage=60", "public", "max-age=1", "max-age=600")
DIRECTIVES = (
    *("max-age=0", 'max-age="60"', "max-age=-1", "max-age=1.5", "max-age=60s", "max-age=99999999999", "MAX-AGE=60"),
    *(
        "max-age = 60",
        "max-age='60'",
        "max-age=",
        "max-age",
        "max-age=060",
        "max-age=+60",
        "max-age=6 0",
        "max-age=0x60",
    ),
    *("s-maxage=0", 's-maxage="60"', "S-MaxAge=60", "s-maxage=x", "max-age=30", "smax-age=60", "xmax-age=60"),
    *("public", "private", 'private="x-a"', "private=x-a", 'private=""', 'Private="x-b, x-a"', "PRIVATE", "no-store"),
    *("No-Store", "no-cache", 'no-cache="x-a"', "no-cache=x-a", "no-cache=", 'no-cache=""', "NO-CACHE", "no-store=1"),
    *("must-revalidate", "proxy-revalidate", "must-understand", "immutable", "no-transform", "must-revalidate=1"),
    *("stale-while-revalidate=30", "stale-while-revalidate=0", "stale-if-error=60", "stale-while-revalidate=x"),
    *(
        "foo",
        "foo=bar",
        'foo="max-age=60"',
        'foo="a, no-store"',
        'foo="a, public"',
        "max-age=60; no-store",
        '"no-store',
    ),
    *('foo="bar, no-store', "max-age=60=60", "", " ", 'foo="\\", max-age=60"', "=", "public public", "max-age:60"),
)
SEPARATORS = (", ", ", ", ",", " , ", ",,", ",\t")
# With what it says where it is obeyed (RFC 9213); None for what is no structured field, which does not count.
TARGETED: tuple[tuple[str, str | None], ...] = (
    *(("max-age=60", "max-age=60"), ("max-age=0", "max-age=0"), ("no-store", "no-store"), ("private", "private")),
    *(("max-age=60, must-revalidate", "max-age=60, must-revalidate"), ("no-cache", "no-cache"), ("max-age=60,", None)),
    *(("", None), ("max-age=", None), ("MAX-AGE=60", None), ("max-age=60;a=b", "max-age=60"), ("a=1", "a=1")),
)
VARY = (
    "Accept-Language",
    "accept-language, X-A",
    "*",
    "Cookie",
    "Accept-Language, *",
    "",
    "X-A,,Accept-Language",
    "a b",
)
LANGUAGES = ("en", "de", "EN", "de, en", "de,en", "en, de", "de ,  en", "de;q=0.5, en", "")
WANTED = (
    *("no-cache", "max-age=0", "max-age=30", "no-store", "max-stale", "max-stale=30", "min-fresh=30", "only-if-cached"),
    *('max-age="0"', "No-Cache", "max-stale=x", "foo"),
)


class Answer(NamedTuple):
    """What the app says, should it be asked.

    Args:
        status: of the response.
        fields: as sent.
        may_confirm: whether it says 304 where it is asked with a condition.
        targeted: what its CDN-Cache-Control says in effect; None where there is none that counts.
    """

    status: int
    fields: Fields
    may_confirm: bool
    targeted: str | None


class Step(NamedTuple):
    """One request, and the answers it meets if it reaches the app: the second is for a request in the background."""

    now: int
    method: str
    path: bytes
    fields: Fields
    answers: tuple[Answer, Answer]


def sequence(seed: int) -> list[Step]:
    """Return a few requests, one after the other; the same for the same seed."""
    return list(_Maker(Random(seed)).steps())


class _Maker:
    """Makes one sequence.

    Args:
        chance: decides everything; how much out of the ordinary happens, too.
    """

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._oddity = chance.choice((0.1, 0.3, 1.0))
        self._languages = LANGUAGES if chance.random() < 0.5 else LANGUAGES[:1]

    def steps(self) -> Iterator[Step]:
        """Make the requests."""
        now = START
        for _ in range(self._chance.randint(3, 6)):
            now += self._chance.choice(STEPS)
            path = PATHS[self._odd(0.2)]
            method = self._chance.choice(METHODS) if self._odd(0.4) else "GET"
            yield Step(now, method, path, self._request(now), (self._answer(now), self._answer(now)))

    def _odd(self, part: float) -> bool:
        return self._chance.random() < part * self._oddity

    def _add(self, part: float, fields: Fields, name: bytes, values: Sequence[str]) -> None:
        if self._odd(part):
            fields.append((name, self._chance.choice(values).encode()))

    def _request(self, now: int) -> Fields:
        fields: Fields = [(b"host", b"a.example")]
        if self._chance.random() < 0.7:
            fields.append((b"accept-language", self._chance.choice(self._languages).encode()))
        self._add(0.05, fields, b"accept-language", LANGUAGES)
        self._add(0.1, fields, b"x-a", ("1", "2"))
        self._add(0.15, fields, b"cookie", ("a=1", "a=2", "a=1; b=2"))
        self._add(0.12, fields, b"authorization", ("Bearer a", "Bearer b", "Basic YTpi"))
        self._add(0.15, fields, b"cache-control", WANTED)
        self._add(0.04, fields, b"pragma", ("no-cache", "foo"))
        self._add(0.06, fields, b"range", ("bytes=0-1", "bytes=-2", "bytes=9-", "lines=1-2"))
        self._add(0.06, fields, b"if-none-match", ('"a"', 'W/"a"', "*", '"z"'))
        self._add(0.06, fields, b"if-modified-since", (date(now), date(now - 1000), "x"))
        return fields

    def _answer(self, now: int) -> Answer:
        fields: Fields = [(b"content-length", b"2"), (b"x-a", b"%d" % self._chance.randrange(100))]
        for _ in range(1 + self._odd(0.1)):
            if self._chance.random() < 0.95:
                fields.append((b"cache-control", self._control().encode()))
        if self._chance.random() < 0.5:
            fields.append((b"date", date(now).encode()))
        else:
            self._add(0.7, fields, b"date", (date(now - 30), date(now + 30), date(now - 300), "0", "yesterday"))
        expires = (date(now + 60), date(now), date(now - 60), "0", "-1", "soon", formatdate(now + 60, localtime=False))
        self._add(0.3, fields, b"expires", expires)
        self._add(0.03, fields, b"expires", expires)
        self._add(0.15, fields, b"age", ("0", "10", "59", "61", "-5", "x", "99999999999", "10, 0", "0, 70", "1.5"))
        self._add(0.02, fields, b"age", ("0", "70"))
        self._validators(now, fields)
        self._add(0.25, fields, b"vary", VARY)
        self._add(0.03, fields, b"vary", VARY)
        self._add(0.1, fields, b"set-cookie", ("a=1", "b=2"))
        self._add(0.05, fields, b"pragma", ("no-cache",))
        self._add(0.05, fields, b"location", ("/a", "/b", "http://a.example/a", "http://other.example/a"))
        self._add(0.05, fields, b"content-location", ("/a", "b", "//other.example/b"))
        self._add(0.03, fields, b"connection", ("x-a", "close"))
        targeted = None
        if self._odd(0.1):
            said, targeted = self._chance.choice(TARGETED)
            fields.append((b"cdn-cache-control", said.encode()))
        status = self._chance.choice(STATUSES) if self._odd(0.7) else 200
        return Answer(status, fields, self._chance.random() < 0.6, targeted)

    def _validators(self, now: int, fields: Fields) -> None:
        if self._chance.random() < 0.3:
            fields.append((b"etag", b'"a"'))
        else:
            self._add(0.3, fields, b"etag", ('W/"a"', '"b"', "c"))
        if self._chance.random() < 0.2:
            fields.append((b"last-modified", date(START - 1000).encode()))
        else:
            self._add(0.2, fields, b"last-modified", (date(now - 1000), date(now - 100_000), date(now + 60), "x"))

    def _control(self) -> str:
        said = [self._chance.choice(FRESH)] if self._chance.random() < 0.9 else []
        while self._odd(0.4) and len(said) < 5:
            said.append(self._chance.choice(DIRECTIVES))
        self._chance.shuffle(said)
        return self._chance.choice(SEPARATORS).join(said)


@lru_cache(maxsize=65536)
def date(seconds: int) -> str:
    """Return seconds of the clock as a field has them."""
    return formatdate(seconds, usegmt=True)
