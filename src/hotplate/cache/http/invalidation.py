"""What a request that changes something makes invalid (RFC 9111, section 4.4; RFC 9875, section 3)."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urljoin, urlsplit

from hotplate.cache import key
from hotplate.cache.http import fields as reading
from hotplate.cache.http import structured
from hotplate.cache.key import Url

# Safe methods (RFC 9110, section 9.2.1, and the IANA registry); all others, unknown ones too, may change something.
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PRI", "PROPFIND", "QUERY", "REPORT", "SEARCH"})
_READ = frozenset({b"location", b"content-location", b"cache-group-invalidation"})


def invalidates(method: str, status: int, url: Url, fields: Iterable[tuple[bytes, bytes]]) -> tuple[str, ...]:
    """Return the tags that a response to an unsafe method makes invalid; none for a safe one or an error.

    Args:
        method: of the request.
        status: of the response; 2xx and 3xx are no errors.
        url: of the request.
        fields: of the response, with lower-case names.

    Example:
        >>> url = Url("http", b"a", b"/articles", b"")
        >>> invalidates("POST", 303, url, [(b"location", b"/articles/7")]) == (
        ...     key.tag_of(url), key.tag_of(Url("http", b"a", b"/articles/7", b"")))
        True
    """
    if method in _SAFE or not 200 <= status < 400:
        return ()
    found = reading.gathered(fields, _READ)
    targets = [target for name in (b"location", b"content-location") for target in found.get(name, ())]
    urls = [url, *(other for target in targets if (other := _resolved(url, target)) is not None)]
    groups = structured.groups(found.get(b"cache-group-invalidation", ()))
    return tuple(dict.fromkeys([*map(key.tag_of, urls), *groups]))


def _resolved(url: Url, target: bytes) -> Url | None:
    """Return where a reference leads, None where that is another origin, or nowhere.

    What another origin says is invalid would be a way to empty a cache (section 4.4).
    """
    base = f"{url.scheme}://{url.host.decode('latin-1')}{url.path.decode('latin-1')}?{url.query.decode('latin-1')}"
    try:
        parts = urlsplit(urljoin(base, target.strip().decode("latin-1")))
        host = parts.netloc.encode("latin-1")
    except ValueError:
        return None
    other = Url(parts.scheme, host, (parts.path or "/").encode("latin-1"), parts.query.encode("latin-1"))
    return other if key.same_origin(url, other) else None
