"""No two requests that differ share a key; what invalidates a URL reaches all that is stored for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.cache import key
from hotplate.cache.key import Url, primary, same_origin, slot_of, tag_of, variant

PARTS = st.tuples(
    st.sampled_from(["http", "https"]),
    st.binary(max_size=12).map(bytes.lower),
    st.binary(max_size=12),
    st.binary(max_size=12),
    st.binary(max_size=6),
    st.binary(max_size=6),
)
Parts = tuple[str, bytes, bytes, bytes, bytes, bytes]
# Values that begin or end like the lengths in a key.
AWKWARD = st.one_of(st.binary(max_size=10), st.text("\0\1\2\4ab", max_size=12).map(str.encode))
VARIANTS = st.dictionaries(st.sampled_from([b"a", b"b", b"cookie", b"accept"]), AWKWARD, max_size=3)


def home(parts: Parts) -> Parts:
    """Return the parts with the default port left out, as the key has them."""
    scheme, host, *others = parts
    port = b":80" if scheme == "http" else b":443"
    return (scheme, host.removesuffix(port), *others)  # type: ignore[return-value]  # four are left of six


@given(PARTS, PARTS)
def test_urls_share_a_key_only_where_they_are_the_same(one: Parts, other: Parts) -> None:
    """However the parts meet, they stay apart."""
    first, second = primary(*one), primary(*other)
    assert (first.full == second.full) == (home(one) == home(other))
    assert (first.digest == second.digest) == (first.full == second.full)


@given(AWKWARD, AWKWARD, AWKWARD, AWKWARD, AWKWARD, AWKWARD)
def test_bytes_do_not_wander_between_the_parts(
    path: bytes, query: bytes, release: bytes, extra: bytes, more: bytes, rest: bytes
) -> None:
    """What ends one part and begins the next makes a difference."""
    at = primary("http", b"a", path + more, query + rest, release, extra)
    assert at != primary("http", b"a", path, more + query + rest, release, extra) or not more
    assert at != primary("http", b"a", path + more, query, rest + release, extra) or not rest
    swapped = primary("http", b"a", path + more, query + rest, extra, release)
    assert (at == swapped) == (release == extra)


@given(VARIANTS, VARIANTS, st.booleans())
def test_variants_share_a_key_only_where_the_fields_match(
    one: dict[bytes, bytes], other: dict[bytes, bytes], loose: bool
) -> None:
    """A field that is absent is not one that is empty, and values do not run into each other."""
    vary = (b"a", b"b")
    url = primary("http", b"a", b"/", b"", b"")
    first = variant(url, vary, list(one.items()), loose=loose)
    second = variant(url, vary, list(other.items()), loose=loose)
    ignored = b" \t," if loose else b" \t"
    plain = [{name: value.translate(None, ignored) for name, value in fields.items()} for fields in (one, other)]
    if any(plain[0].get(name) != plain[1].get(name) for name in vary):
        assert first != second
    if all(one.get(name) == other.get(name) for name in vary):
        assert first == second


@given(VARIANTS, AWKWARD, AWKWARD)
def test_no_variant_has_the_key_of_a_url(fields: dict[bytes, bytes], release: bytes, extra: bytes) -> None:
    """Whatever a client sends, it does not reach the entry of another URL."""
    url = primary("http", b"a", b"/", b"", b"")
    found = variant(url, (b"a",), list(fields.items()))
    assert found.full[0] != primary("http", b"a", b"/", b"", release, extra).full[0]
    assert found.full != url.full


def test_without_vary_the_url_is_the_key() -> None:
    """A response that depends on nothing else needs no second key."""
    url = primary("http", b"a", b"/", b"", b"")
    assert variant(url, (), [(b"a", b"1")]) is url


@given(PARTS, VARIANTS)
def test_one_tag_for_all_of_a_url(parts: Parts, fields: dict[bytes, bytes]) -> None:
    """Variants, versions of the code and forged prefixes of one URL are invalidated together, in one slot."""
    url = primary(*parts)
    tag = tag_of(Url(*parts[:4]))
    assert tag == url.tag == variant(url, (b"a",), list(fields.items())).tag
    assert slot_of(tag) == url.slot
    assert 0 <= url.slot < 65536


@given(PARTS)
def test_sizes(parts: Parts) -> None:
    """Digests have the length that stores are made for."""
    url = primary(*parts)
    assert (len(url.digest), len(url.url), len(url.tag)) == (32, 24, 52)
    assert len(variant(url, (b"a",), []).digest) == 32


@given(st.text(max_size=60))
def test_every_tag_has_a_slot(tag: str) -> None:
    """Any text is a tag, one that looks like a URL's as well."""
    for text in (tag, "url:" + tag, "url:" + "z" * 48, "url:" + "ä" * 48):
        assert 0 <= slot_of(text) < 65536


SAME = [
    ("http", b"A.Example", "http", b"a.example"),
    ("http", b"a:80", "http", b"a"),
    ("https", b"a:443", "https", b"a"),
    ("http", b"[::1]:80", "http", b"[::1]"),
]
DIFFERENT = [
    ("http", b"a", "https", b"a"),
    ("http", b"a:443", "http", b"a"),
    ("https", b"a:80", "https", b"a"),
    ("http", b"a:8080", "http", b"a"),
    ("http", b"a.", "http", b"a"),
    ("http", b"a", "http", b"b"),
]


@pytest.mark.parametrize("pair", SAME, ids=repr)
def test_the_same_origin(pair: tuple[str, bytes, str, bytes]) -> None:
    """Case and the default port of a host make no difference."""
    one, other = Url(pair[0], pair[1], b"/", b""), Url(pair[2], pair[3], b"/", b"")
    assert same_origin(one, other)
    assert tag_of(one) == tag_of(other)


@pytest.mark.parametrize("pair", DIFFERENT, ids=repr)
def test_another_origin(pair: tuple[str, bytes, str, bytes]) -> None:
    """Scheme, name and port do."""
    one, other = Url(pair[0], pair[1], b"/", b""), Url(pair[2], pair[3], b"/", b"")
    assert not same_origin(one, other)
    assert tag_of(one) != tag_of(other)


def test_paths_are_as_they_were_sent() -> None:
    """The app sees them like that, too: nothing is decoded, folded or sorted."""
    paths = [b"/a", b"/A", b"/%61", b"/a/", b"/a//", b"/a/.", b"/a;b", b"/a%2f", b"/a%2F"]
    assert len({primary("http", b"a", path, b"", b"").full for path in paths}) == len(paths)
    queries = [b"a=1&b=2", b"b=2&a=1", b"a=1", b"a=%31", b"A=1"]
    assert len({primary("http", b"a", b"/", query, b"").full for query in queries}) == len(queries)


def matches(name: bytes, one: list[bytes], other: list[bytes], *, loose: bool = False) -> bool:
    """Whether two requests with these lines of a field get one response."""
    url = primary("http", b"a", b"/", b"", b"")
    first, second = ([(name, line) for line in lines] for lines in (one, other))
    return variant(url, (name,), first, loose=loose) == variant(url, (name,), second, loose=loose)


MATCHING: list[tuple[bytes, list[bytes], list[bytes], bool, bool]] = [
    # field, one request, the other, whether they match in `safe`, and in `rfc`
    (b"foo", [b"1"], [b" 1\t"], True, True),
    (b"foo", [b"1, 2"], [b"1", b"2"], True, True),
    (b"foo", [b"1,2"], [b" 1, 2 "], False, True),
    (b"foo", [b'"1, 2"'], [b'"1,2"'], False, False),
    (b"foo", [b"a"], [b"A"], False, False),
    (b"foo", [b"1,2"], [b"2,1"], False, False),
    (b"foo", [b""], [], False, False),
    (b"accept-language", [b"en, de"], [b" eN ,   De"], True, True),
    (b"accept-language", [b"en, de"], [b"de, en"], False, True),
    (b"accept-language", [b"en;q=0.5, de"], [b"en;q=0.6, de"], False, False),
    (b"accept-encoding", [b"gzip, br"], [b"GZIP,br"], True, True),
    (b"accept-encoding", [b"gzip, br"], [b"br, gzip"], False, False),
    (b"accept", [b"text/html; q=0.5"], [b"text/html;q=0.5"], True, True),
    (b"cookie", [b"a=1; b=2"], [b"a=1", b"b=2"], True, True),
    (b"cookie", [b"a=1, 2"], [b"a=1,2"], False, False),
    (b"cookie", [b"a=1"], [b"A=1"], False, False),
    (b"authorization", [b"Basic QQ=="], [b"Basic qq=="], False, False),
]


@pytest.mark.parametrize("case", MATCHING, ids=repr)
def test_what_matches(case: tuple[bytes, list[bytes], list[bytes], bool, bool]) -> None:
    """White space, case and order are evened out only where they are known to mean nothing."""
    name, one, other, safely, loosely = case
    assert matches(name, one, other) is safely
    assert matches(name, one, other, loose=True) is loosely


@pytest.mark.parametrize("name", [b"cookie", b"authorization", b"proxy-authorization"])
def test_no_secret_is_in_a_key(name: bytes) -> None:
    """Who can read a store finds nothing to log in with."""
    found = variant(primary("http", b"a", b"/", b"", b""), (name,), [(name, b"session=hunter2")])
    assert b"hunter2" not in found.full


def test_long_values_are_not_remembered() -> None:
    """A client cannot fill the memory of evened values."""
    before = key._evened.cache_info().currsize
    matches(b"accept", [b"a" * 5000], [b"b" * 5000])
    assert key._evened.cache_info().currsize == before
