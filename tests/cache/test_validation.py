"""How a stored response is asked after, and what a 304 makes of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.cache.entry import Entry
from hotplate.cache.http import dates
from hotplate.cache.http.asking import PLAIN, ask
from hotplate.cache.http.freshness import Response
from hotplate.cache.http.profile import Rule, rfc, safe
from hotplate.cache.http.reasons import Reason
from hotplate.cache.http.storing import Refused, finish, judge
from hotplate.cache.http.validation import Freshened, freshen, revalidation_fields

NOW = 1_795_000_000.0
SAFE, RFC = safe(), rfc()
Fields = list[tuple[bytes, bytes]]
OLD = dates.write(NOW - 1000)


def stored(*fields: tuple[bytes, bytes], rule: Rule | None = None) -> Entry:
    """Return what is kept of a response with these fields, besides max-age=60."""
    sent = [(b"cache-control", b"max-age=60"), *fields]
    found = judge(PLAIN, Response(200, sent, NOW, 0.5), RFC, rule)
    assert isinstance(found, Entry)
    whole = finish(found, b"key", b"hello")
    assert isinstance(whole, Entry)
    return whole


def fresh(entry: Entry, fields: Fields, later: float = 100.0) -> Freshened:
    """Return what a 304 with these fields makes of it."""
    return freshen(entry, Response(304, fields, NOW + later), PLAIN, RFC)


def value(entry: Entry | None, name: bytes) -> list[bytes]:
    """Return the lines of a field."""
    assert entry is not None
    return [line for field, line in entry.fields if field == name]


def test_asking() -> None:
    """With the validators there are, letter by letter; what is no date is none."""
    both = stored((b"etag", b'W/"x"'), (b"last-modified", b"Sun Nov  6 08:49:37 1994"))
    assert revalidation_fields(both) == [
        (b"if-none-match", b'W/"x"'),
        (b"if-modified-since", b"Sun Nov  6 08:49:37 1994"),
    ]
    assert revalidation_fields(stored()) == []
    assert revalidation_fields(stored((b"last-modified", b"yesterday"))) == []


def test_a_304_makes_it_fresh_again() -> None:
    """It counts from now, with the stored body, and is as dear as it was."""
    entry = stored((b"etag", b'"x"'), (b"a", b"1"))
    found = fresh(entry, [(b"etag", b'"x"')])
    assert found.refused is None
    assert found.entry is not None
    again = found.entry
    assert (again.received, again.age, again.lifetime, again.body, again.full) == (NOW + 100, 0, 60, b"hello", b"key")
    assert again.cost == 0.5
    assert value(again, b"a") == [b"1"]
    assert value(again, b"date") == [dates.write(NOW + 100)]


UPDATES: list[tuple[tuple[bytes, bytes], tuple[bytes, bytes], bytes]] = [
    # stored, in the 304, what remains
    ((b"test-header", b"a"), (b"Test-Header", b"b"), b"b"),
    ((b"content-foo", b"a"), (b"content-foo", b"b"), b"b"),
    ((b"content-type", b"text/plain"), (b"content-type", b"text/html"), b"text/html"),
    ((b"expires", OLD), (b"expires", dates.write(NOW)), dates.write(NOW)),
    ((b"content-length", b"5"), (b"content-length", b"0"), b"5"),
    ((b"content-encoding", b"br"), (b"content-encoding", b"gzip"), b"br"),
    ((b"content-range", b"a"), (b"content-range", b"b"), b"a"),
]


@pytest.mark.parametrize(("before", "sent", "after"), UPDATES, ids=repr)
def test_fields_of_the_304_replace_stored_ones(
    before: tuple[bytes, bytes], sent: tuple[bytes, bytes], after: bytes
) -> None:
    """All but those that describe the stored body (RFC 9111, section 3.2)."""
    found = fresh(stored((b"etag", b'"x"'), before), [sent])
    assert value(found.entry, before[0]) == [after]


def test_lines_are_replaced_together() -> None:
    """Two stored lines and one new one make one; fields of the connection do not arrive."""
    entry = stored((b"etag", b'"x"'), (b"a", b"1"), (b"a", b"2"))
    found = fresh(entry, [(b"a", b"3"), (b"connection", b"b"), (b"b", b"1"), (b"keep-alive", b"1")])
    assert value(found.entry, b"a") == [b"3"]
    assert value(found.entry, b"b") == value(found.entry, b"keep-alive") == []


def test_freshness_is_that_of_the_304() -> None:
    """Its Cache-Control counts from now on, and so do its Age and the tags of both."""
    entry = stored((b"etag", b'"x"'), (b"cache-groups", b'"one"'))
    fields = [(b"cache-control", b"max-age=3600"), (b"age", b"5"), (b"cache-groups", b'"two"')]
    found = fresh(entry, fields).entry
    assert found is not None
    assert (found.lifetime, found.age) == (3600, 5)
    assert set(found.tags) == {"one", "two"}


OTHERS = [
    (b'"x"', b'"x"', True),
    (b'W/"x"', b'"x"', True),
    (b'"x"', b'W/"x"', True),
    (b'"x"', b'"y"', False),
    (b'W/"x"', b'W/"y"', False),
    (b'"x"', b"", False),
]


@pytest.mark.parametrize(("held", "sent", "is_ours"), OTHERS, ids=repr)
def test_a_304_about_another_response(held: bytes, sent: bytes, is_ours: bool) -> None:
    """A tag that is not the stored one's means that something else is there now (RFC 9111, section 4.3.4)."""
    found = fresh(stored((b"etag", held)), [(b"etag", sent)])
    assert (found.entry is not None) is is_ours


FORBIDDING: dict[tuple[bytes, bytes], Reason] = {
    (b"cache-control", b"no-store"): Reason.NO_STORE,
    (b"cache-control", b"private, max-age=60"): Reason.PRIVATE,
    (b"set-cookie", b"a=b"): Reason.SET_COOKIE,
    (b"vary", b"*"): Reason.VARY_STAR,
}


@pytest.mark.parametrize(("field", "reason"), FORBIDDING.items(), ids=repr)
def test_a_304_can_end_it(field: tuple[bytes, bytes], reason: Reason) -> None:
    """It answers this request, with the new fields, and is not kept."""
    entry = stored((b"etag", b'"x"'))
    found = freshen(entry, Response(304, [field], NOW + 100), PLAIN, SAFE)
    assert isinstance(found.refused, Refused)
    assert found.refused.reason is reason
    assert value(found.entry, field[0]) == [field[1]]
    assert found.entry is not None
    assert found.entry.body == b"hello"


def test_a_request_that_may_not_be_stored_stores_nothing() -> None:
    """Its 304 answers it all the same."""
    passage = ask("GET", [(b"cache-control", b"no-store")], SAFE)
    found = freshen(stored((b"etag", b'"x"')), Response(304, [], NOW + 100), passage, SAFE)
    assert found.entry is not None
    assert found.refused == Refused(Reason.REQUEST_NO_STORE)


def test_rules_count_again() -> None:
    """What the view says of its response, it says of the refreshed one."""
    rule = Rule(ttl=30, tags=("a",))
    entry = stored((b"etag", b'"x"'), rule=rule)
    found = freshen(entry, Response(304, [], NOW + 100), PLAIN, SAFE, rule).entry
    assert found is not None
    assert (found.lifetime, found.explicit, found.tags) == (30, True, ("a",))


NAMES = st.sampled_from(
    [b"etag", b"cache-control", b"date", b"age", b"vary", b"connection", b"content-length", b"last-modified", b"a"]
)


@given(st.lists(st.tuples(NAMES, st.binary(max_size=12)), max_size=5))
def test_nothing_fails(fields: Fields) -> None:
    """Whatever a 304 says, the entry keeps its key, body and length, or is given up."""
    found = fresh(stored((b"etag", b'"x"'), (b"content-length", b"5")), fields)
    if found.entry is not None:
        assert (found.entry.full, found.entry.body, found.entry.status) == (b"key", b"hello", 200)
        assert value(found.entry, b"content-length") in ([b"5"], [])


SELECTING: list[tuple[Fields, Fields, bool]] = [
    # validators stored, those in the 304, whether it is about what is stored
    ([(b"etag", b'"x"')], [], True),
    ([(b"etag", b'"x"')], [(b"etag", b'W/"x"')], True),
    ([(b"etag", b'"x"')], [(b"etag", b'"y"')], False),
    ([(b"etag", b'"x"'), (b"last-modified", OLD)], [(b"etag", b'"x"'), (b"last-modified", dates.write(NOW))], True),
    ([(b"etag", b'"x"'), (b"last-modified", OLD)], [(b"last-modified", OLD)], True),
    ([(b"etag", b'"x"')], [(b"last-modified", OLD)], False),
    ([(b"last-modified", OLD)], [(b"last-modified", OLD)], True),
    ([(b"last-modified", OLD)], [(b"last-modified", dates.write(NOW))], False),
    ([(b"last-modified", OLD)], [(b"etag", b'"x"')], False),
]


@pytest.mark.parametrize(("kept", "told", "is_about_it"), SELECTING)
def test_a_304_updates_only_what_it_is_about(kept: Fields, told: Fields, *, is_about_it: bool) -> None:
    """By its entity tag, else by its Last-Modified; without either there is no other it could be about."""
    assert (fresh(stored(*kept), told).entry is not None) is is_about_it
