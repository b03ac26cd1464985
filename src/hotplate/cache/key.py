"""What a stored response is found by.

Every part is preceded by its length, so no two requests share a key by the way their parts meet; the whole key is kept
with the response and compared. The digest only says where to look. The first 24 bytes of it, and the tag that
invalidates it, are of the URL alone: an invalidation reaches every variant, and every version of the code.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from struct import Struct
from zlib import crc32

import msgspec

_URL_TAG = "url:"
_url_lengths = Struct(">II").pack
_length = Struct(">I").pack
_DEFAULT_PORT = {"http": b":80", "https": b":443"}
# Lists in which white space around commas and the case of letters mean nothing (RFC 9110, section 12.5).
_LISTS = frozenset({b"accept", b"accept-charset", b"accept-encoding", b"accept-language"})
# Who can read a store shall not be able to log in with what is found there.
_SECRETS = frozenset({b"authorization", b"cookie", b"proxy-authorization"})


class Key(msgspec.Struct, frozen=True, gc=False):
    """Where a response is stored.

    Args:
        full: everything it is stored by.
        digest: 32 bytes, the key in a store.
        url: 24 bytes, the digest of the URL.
    """

    full: bytes
    digest: bytes
    url: bytes

    @property
    def tag(self) -> str:
        """What invalidates everything stored for its URL."""
        return _URL_TAG + self.url.hex()

    @property
    def slot(self) -> int:
        """The slot of `tag`."""
        return self.url[0] << 8 | self.url[1]


class Url(msgspec.Struct, frozen=True, gc=False):
    """The target of a request.

    Args:
        scheme: `http` or `https`.
        host: value of the Host field, or `:authority`.
        path: as it was sent, percent-encoded.
        query: as it was sent, without the question mark.
    """

    scheme: str
    host: bytes
    path: bytes
    query: bytes


def primary(scheme: str, host: bytes, path: bytes, query: bytes, release: bytes, extra: bytes = b"") -> Key:
    """Return the key of a URL (RFC 9111, section 2); the method is always GET.

    Args:
        scheme: `http` or `https`.
        host: value of the Host field; its case and a default port do not matter.
        path: as it was sent, percent-encoded; not normalised, for the app sees it like that, too.
        query: as it was sent, without the question mark.
        release: version of the code.
        extra: `Passage.extra` of the request.

    Example:
        >>> primary("http", b"A.example:80", b"/", b"", b"1") == primary("http", b"a.example", b"/", b"", b"1")
        True
    """
    place = _origin(scheme, host) + _url_lengths(len(path), len(query)) + path + query
    url = blake2b(place, digest_size=24).digest()
    suffix, short = _version(release) if not extra else _version_with(release, extra)
    return Key(place + suffix, url + short, url)


def variant(key: Key, vary: Iterable[bytes], fields: Iterable[tuple[bytes, bytes]], *, loose: bool = False) -> Key:
    """Return the key of the response to a request with `fields` (RFC 9111, section 4.1).

    Lines of one field are joined, and white space and case are evened out where they are known to mean nothing.

    Args:
        key: of the URL.
        vary: names of the fields the response depends on, lower case, sorted; `Entry.vary`.
        fields: of the request.
        loose: `Profile.loose_vary`: white space after commas is evened out in any field, and the order of languages.

    Example:
        >>> url = primary("http", b"a", b"/", b"", b"1")
        >>> variant(url, (b"accept-language",), [(b"accept-language", b"de,  EN")]) == variant(
        ...     url, (b"accept-language",), [(b"accept-language", b"DE"), (b"accept-language", b"en")])
        True
    """
    names = tuple(vary)
    if not names:
        return key
    values: dict[bytes, bytes] = {}
    for name, value in fields:
        if name in names:
            before = values.get(name)
            joint = b"; " if name == b"cookie" else b", "  # RFC 9113, section 8.2.3
            values[name] = value if before is None else before + joint + value
    # No URL's key begins with this byte: theirs begin with a length of four bytes.
    parts = [b"\1", _length(len(key.full)), key.full]
    for name in names:
        parts += (_length(len(name)), name)
        found = values.get(name)
        if found is None:
            parts.append(b"\0")  # absent is not the same as empty
        else:
            # Long ones are the client's to choose, and would fill the memory of the short ones.
            found = (_evened if len(found) <= 256 else _evened.__wrapped__)(name, found, loose=loose)
            parts += (b"\1", _length(len(found)), found)
    full = b"".join(parts)
    return Key(full, blake2b(full, digest_size=32).digest(), key.url)


def tag_of(url: Url) -> str:
    """Return the tag that invalidates everything stored for a URL, whatever the version of the code.

    Example:
        >>> tag_of(Url("http", b"a", b"/", b"")) == primary("http", b"a", b"/", b"", b"1").tag
        True
    """
    return primary(url.scheme, url.host, url.path, url.query, b"").tag


def same_origin(one: Url, other: Url) -> bool:
    """Whether two URLs have scheme, host and port in common.

    Example:
        >>> same_origin(Url("http", b"a:80", b"/", b""), Url("http", b"A", b"/b", b""))
        True
    """
    return _origin(one.scheme, one.host) == _origin(other.scheme, other.host)


def slot_of(tag: str) -> int:
    """Return the slot of a tag, from 0 to 65535.

    Example:
        >>> 0 <= slot_of("articles") < 65536
        True
    """
    if len(tag) == 52 and tag.startswith(_URL_TAG):
        try:
            return int.from_bytes(bytes.fromhex(tag[4:8]), "big")
        except ValueError:
            pass
    return crc32(tag.encode("utf-8", "surrogatepass")) & 0xFFFF


@lru_cache(maxsize=1024)
def _origin(scheme: str, host: bytes) -> bytes:
    host = host.lower()
    port = _DEFAULT_PORT.get(scheme, b"")
    if port and host.endswith(port):
        host = host[: -len(port)]
    return b"%b%b%b%b" % (_length(len(scheme)), scheme.encode(), _length(len(host)), host)


@lru_cache(maxsize=64)
def _version(release: bytes) -> tuple[bytes, bytes]:
    return _version_with(release, b"")


def _version_with(release: bytes, extra: bytes) -> tuple[bytes, bytes]:
    # At the end, where the lengths come last: what precedes it is the URL, whose parts have theirs in front.
    suffix = release + extra + _url_lengths(len(release), len(extra))
    return suffix, blake2b(suffix, digest_size=8).digest()


@lru_cache(maxsize=1024)
def _evened(name: bytes, value: bytes, *, loose: bool) -> bytes:
    if name in _SECRETS:
        return blake2b(value.strip(b" \t")).digest()
    if name in _LISTS:
        parts = [part.replace(b" ", b"").replace(b"\t", b"").lower() for part in value.split(b",")]
        if loose and name == b"accept-language":
            parts.sort()
        return b",".join(part for part in parts if part)
    if loose and b'"' not in value:
        return b",".join(part.strip(b" \t") for part in value.split(b","))
    return value.strip(b" \t")
