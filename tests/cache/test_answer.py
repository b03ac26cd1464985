"""What a stored response answers."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.cache.entry import Entry, Fields
from hotplate.cache.http.answer import Conditions, Prepared, answer, conditions, prepare
from hotplate.cache.http.dates import write as http_date

NOW = 1_700_000_000.0
MODIFIED = NOW - 5000
BODY = b"0123456789"
STORED: Fields = [
    (b"content-type", b"text/plain"),
    (b"content-length", b"10"),
    (b"etag", b'"x"'),
    (b"last-modified", http_date(MODIFIED)),
    (b"cache-control", b"max-age=60"),
    (b"date", http_date(NOW)),
    (b"content-language", b"en"),
    (b"x-other", b"1"),
]


def stored(fields: Fields = STORED, **others: object) -> Prepared:
    """Return a stored 200 of 10 bytes, fresh for a minute, with brotli and gzip variants where asked for."""
    variants = others.pop("variants", None)
    values: dict[str, object] = {
        "status": 200,
        "body": BODY,
        "received": NOW,
        "lifetime": 60.0,
        "date": NOW,
        "etag": next((value for name, value in fields if name == b"etag"), b""),
        "modified": MODIFIED if any(name == b"last-modified" for name, _ in fields) else 0.0,
        **others,
    }
    entry = Entry(b"key", fields=tuple(fields), **values)  # type: ignore[arg-type]  # checked by the tests that give them
    return prepare(entry, variants)  # type: ignore[arg-type]  # the same


def ask(prepared: Prepared, *fields: tuple[bytes, bytes], **options: object) -> tuple[int, dict[bytes, bytes], bytes]:
    """Return the answer to a request with `fields`; no name comes twice."""
    method, coding = str(options.get("method", "GET")), options.get("coding", b"")
    now = options.get("now", NOW)
    assert isinstance(coding, bytes)
    assert isinstance(now, float)
    code, sent, body = answer(prepared, method, conditions(fields), coding, now)
    assert len({name for name, _ in sent}) == len(sent)
    return code, dict(sent), body


def test_a_hit_is_the_stored_response() -> None:
    """With its age, its length, and what the cache says of it."""
    code, fields, body = ask(stored(), now=NOW + 7.9)
    assert (code, body) == (200, BODY)
    assert fields == {**dict(STORED), b"age": b"7", b"cache-status": b"hotplate; hit; ttl=53"}


def test_the_body_is_not_copied() -> None:
    """A megabyte costs what a byte does."""
    prepared = stored()
    assert answer(prepared, "GET", None, b"", NOW)[2] is prepared.entry.body


def test_an_answer_may_be_changed() -> None:
    """Its list of fields is its own."""
    prepared = stored()
    answer(prepared, "GET", None, b"", NOW)[1].clear()
    assert ask(prepared)[1][b"etag"] == b'"x"'


@given(st.floats(0, 1e6), st.floats(0, 1e5), st.floats(-1e5, 1e9), st.floats(0, 1e6))
def test_age(received: float, age: float, passed: float, lifetime: float) -> None:
    """Age is what it had when it came and the time since (RFC 9111, section 4.2.3), never less, and a whole number."""
    prepared = stored(received=received, age=age, lifetime=lifetime)
    fields = ask(prepared, now=received + passed)[1]
    told = int(fields[b"age"])
    assert told >= int(age)
    assert abs(told - min(2**31, age + max(0.0, passed))) <= 1
    assert fields[b"cache-status"] == b"hotplate; hit; ttl=%d" % (int(lifetime) - told)


def test_an_age_of_the_origin_is_not_sent_twice() -> None:
    """The field is made here; what a cache before us said is in the entry's age."""
    fields = ask(stored([*STORED, (b"age", b"30")], age=30.0), now=NOW + 1)[1]
    assert fields[b"age"] == b"31"


def test_a_response_without_a_date_gets_one() -> None:
    """That of its arrival (RFC 9110, section 6.6.1)."""
    fields = ask(stored([], date=0.0))[1]
    assert fields[b"date"] == formatdate(NOW, usegmt=True).encode()


def test_head_has_the_fields_and_no_body() -> None:
    """Its Content-Length is that of the body it does not send (RFC 9110, section 9.3.2)."""
    code, fields, body = ask(stored(), method="HEAD")
    assert (code, fields[b"content-length"], body) == (200, b"10", b"")


@pytest.mark.parametrize("code", [204, 304])
def test_what_has_no_content_has_no_length(code: int) -> None:
    """RFC 9110, section 8.6."""
    _, fields, body = ask(stored([], status=code, body=b""))
    assert b"content-length" not in fields
    assert body == b""


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e300, -5.0])
@pytest.mark.parametrize("name", ["received", "age", "lifetime", "date", "modified"])
def test_no_number_in_a_store_is_an_error(name: str, bad: float) -> None:
    """A poisoned entry is old, or young, but is answered with."""
    prepared = stored([], **{name: bad})
    for field in ((b"x", b""), (b"if-modified-since", http_date(NOW)), (b"range", b"bytes=0-1")):
        assert ask(prepared, field)[0] in {200, 206, 304}


def test_no_value_ends_its_line() -> None:
    """A stored field that holds a line end is left out: what is in a store is not believed."""
    fields = ask(stored([*STORED, (b"x-a", b"1\r\nset-cookie: a=b"), (b"x-b", b"\0"), (b"x\n", b"1")]))[1]
    assert not any(end in name + value for name, value in fields.items() for end in (b"\r", b"\n", b"\0"))
    assert b"x-other" in fields


# ---------------------------------------------------------------- 304


def test_a_304_has_the_fields_of_the_rfc() -> None:
    """Those a cache needs to bring its copy up to date (RFC 9110, section 15.4.5), none of the representation's."""
    code, fields, body = ask(stored(), (b"if-none-match", b'"x"'))
    assert (code, body) == (304, b"")
    assert fields == {
        b"etag": b'"x"',
        b"cache-control": b"max-age=60",
        b"date": http_date(NOW),
        b"x-other": b"1",
        b"age": b"0",
        b"cache-status": b"hotplate; hit; ttl=60",
    }


def test_a_304_without_a_tag_has_its_date() -> None:
    """Last-Modified is then the only validator there is."""
    without = [field for field in STORED if field[0] != b"etag"]
    code, fields, _ = ask(stored(without), (b"if-modified-since", http_date(MODIFIED)))
    assert (code, fields[b"last-modified"]) == (304, http_date(MODIFIED))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ([(b"if-none-match", b'"x"')], 304),
        ([(b"if-none-match", b'"y", W/"x"')], 304),
        ([(b"if-none-match", b'"y"'), (b"if-none-match", b'"x"')], 304),
        ([(b"if-none-match", b"*")], 304),
        ([(b"if-none-match", b'"y"')], 200),
        ([(b"if-none-match", b"")], 200),
        ([(b"if-none-match", b'"y"'), (b"if-modified-since", http_date(NOW))], 200),
        ([(b"if-none-match", b'"x"'), (b"if-modified-since", http_date(0))], 304),
        ([(b"if-modified-since", http_date(MODIFIED))], 304),
        ([(b"if-modified-since", http_date(MODIFIED + 1))], 304),
        ([(b"if-modified-since", http_date(MODIFIED - 1))], 200),
        ([(b"if-modified-since", b"yesterday")], 200),
        ([(b"if-modified-since", http_date(NOW)), (b"if-modified-since", http_date(NOW))], 200),
        ([(b"if-modified-since", http_date(NOW)[:-4])], 200),
        ([(b"if-match", b'"y"')], 200),
        ([(b"if-unmodified-since", http_date(0))], 200),
    ],
)
def test_conditions(method: str, fields: Fields, code: int) -> None:
    """If-None-Match comes before If-Modified-Since (RFC 9110, section 13.2.2); the others are the app's to judge."""
    assert ask(stored(), *fields, method=method)[0] == code


def test_the_three_forms_of_a_date() -> None:
    """RFC 9110, section 5.6.7 has a recipient take all of them."""
    prepared = stored(modified=784111777.0)
    for date in (b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994"):
        assert ask(prepared, (b"if-modified-since", date))[0] == 304


def test_what_was_not_modified_is_judged_by_its_date() -> None:
    """Without Last-Modified, by Date (RFC 9111, section 4.3.2)."""
    assert ask(stored([]), (b"if-modified-since", http_date(NOW)))[0] == 304
    assert ask(stored([]), (b"if-modified-since", http_date(NOW - 10)))[0] == 200


@pytest.mark.parametrize("code", [301, 404, 410])
def test_conditions_are_for_success(code: int) -> None:
    """A stored 404 stays one, whatever the client holds (RFC 9110, section 13.2.1)."""
    assert ask(stored(status=code), (b"if-none-match", b"*"))[0] == code


def test_only_the_app_judges_some_conditions() -> None:
    """RFC 9111, section 4.3.2: If-Match and If-Unmodified-Since are not for caches."""
    assert Conditions(if_match=b'"x"').for_the_app
    assert Conditions(if_unmodified_since=b"").for_the_app
    assert not Conditions(if_none_match=b'"x"', range=b"bytes=0-").for_the_app


# ---------------------------------------------------------------- ranges


def test_one_range() -> None:
    """A part, where it belongs, and the fields of the whole (RFC 9110, section 15.3.7)."""
    code, fields, body = ask(stored(), (b"range", b"bytes=2-4"))
    assert (code, body) == (206, b"234")
    assert fields[b"content-range"] == b"bytes 2-4/10"
    assert fields[b"content-length"] == b"3"
    assert (fields[b"etag"], fields[b"content-type"]) == (b'"x"', b"text/plain")


def test_several_ranges() -> None:
    """Come in one body of several parts, and Content-Range is in the parts alone."""
    code, fields, body = ask(stored(), (b"range", b"bytes=0-1,-2"))
    assert code == 206
    assert fields[b"content-type"].startswith(b"multipart/byteranges; boundary=")
    assert fields[b"content-length"] == b"%d" % len(body)
    assert b"content-range" not in fields
    assert b"content-range: bytes 0-1/10\r\n\r\n01\r\n" in body


def test_no_such_range() -> None:
    """416 says how much there is, and nothing of the rest."""
    code, fields, body = ask(stored(), (b"range", b"bytes=10-"))
    assert (code, body, fields[b"content-range"]) == (416, b"", b"bytes */10")
    assert b"etag" not in fields


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        (b'"x"', 206),
        (b'"y"', 200),
        (b'W/"x"', 200),
        (b'"x;br"', 200),
        (b"*", 200),
        (http_date(MODIFIED), 206),
        (http_date(MODIFIED + 1), 200),
        (http_date(MODIFIED - 1), 200),
        (b"nonsense", 200),
    ],
)
def test_if_range(condition: bytes, code: int) -> None:
    """A part only of the very bytes the client has the others of (RFC 9110, section 13.1.5)."""
    assert ask(stored(), (b"range", b"bytes=0-1"), (b"if-range", condition))[0] == code


def test_a_weak_date_is_no_condition_for_a_part() -> None:
    """What was modified in the second it was sent may have been modified after it."""
    prepared = stored(date=MODIFIED)
    assert ask(prepared, (b"range", b"bytes=0-1"), (b"if-range", http_date(MODIFIED)))[0] == 200


def test_a_weak_tag_is_no_condition_for_a_part() -> None:
    """Not even against itself."""
    prepared = stored([(b"etag", b'W/"x"')])
    assert ask(prepared, (b"range", b"bytes=0-1"), (b"if-range", b'W/"x"'))[0] == 200


@pytest.mark.parametrize(
    ("prepared", "options"),
    [
        (stored(), {"method": "HEAD"}),
        (stored(status=404), {}),
        (stored([(b"accept-ranges", b"none")]), {}),
        (stored(body=b""), {}),
    ],
)
def test_where_ranges_do_not_count(prepared: Prepared, options: dict[str, object]) -> None:
    """Only a GET of a whole 200 whose app does not refuse has parts."""
    assert ask(prepared, (b"range", b"bytes=0-1"), **options)[0] == prepared.entry.status


def test_unchanged_comes_before_a_part() -> None:
    """RFC 9110, section 13.2.2: Range is looked at last."""
    assert ask(stored(), (b"if-none-match", b'"x"'), (b"range", b"bytes=0-1"))[0] == 304


# ---------------------------------------------------------------- codings

VARIANTS = {b"br": b"in br", b"gzip": b"in gzip"}


@pytest.mark.parametrize("coding", VARIANTS)
def test_a_variant_is_another_representation(coding: bytes) -> None:
    """With its own bytes, tag and length, and no digest or range of the plain ones."""
    fields = [
        *STORED,
        (b"accept-ranges", b"bytes"),
        (b"content-md5", b"x"),
        (b"repr-digest", b"x"),
        (b"vary", b"Origin"),
    ]
    _, sent, body = ask(stored(fields, variants=VARIANTS), coding=coding)
    assert body == VARIANTS[coding]
    assert sent[b"content-encoding"] == coding
    assert sent[b"etag"] == b'"x;%b"' % coding
    assert sent[b"content-length"] == b"%d" % len(body)
    assert sent[b"vary"] == b"Origin, Accept-Encoding"
    assert not {b"accept-ranges", b"content-md5", b"repr-digest"} & set(sent)


def test_the_plain_form_of_what_has_variants_varies() -> None:
    """A cache behind us must not give it to everyone; and an unknown coding gets it."""
    for coding in (b"", b"zstd"):
        _, fields, body = ask(stored(variants=VARIANTS), coding=coding)
        assert (body, fields[b"vary"], fields[b"etag"]) == (BODY, b"Accept-Encoding", b'"x"')


@pytest.mark.parametrize("mine", [b'"x"', b'"x;br"', b'"x;gzip"'])
@pytest.mark.parametrize("coding", [b"", b"br", b"gzip"])
def test_a_304_names_the_copy_the_client_has(mine: bytes, coding: bytes) -> None:
    """Whichever coding it was, it is still good."""
    code, fields, _ = ask(stored(variants=VARIANTS), (b"if-none-match", mine), coding=coding)
    assert (code, fields[b"etag"], fields[b"vary"]) == (304, mine, b"Accept-Encoding")
    assert b"content-encoding" not in fields


def test_parts_are_of_the_plain_bytes() -> None:
    """A variant is made anew at times, and then its bytes may differ under the same tag."""
    code, fields, body = ask(stored(variants=VARIANTS), (b"range", b"bytes=0-1"), coding=b"br")
    assert (code, body, fields[b"etag"]) == (206, b"01", b'"x"')
    assert b"content-encoding" not in fields


@given(st.lists(st.tuples(st.sampled_from([b"range", b"if-range", b"if-none-match"]), st.binary(max_size=30))))
def test_no_request_is_an_error(fields: Fields) -> None:
    """Whatever is asked, there is an answer that a client can read."""
    code, sent, body = answer(stored(), "GET", conditions(fields), b"", NOW)
    assert code in {200, 206, 304, 416}
    if code != 304:
        assert dict(sent)[b"content-length"] == b"%d" % len(body)
