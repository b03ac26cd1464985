"""What is typed for a page becomes the URLs that clients may have asked for; what no request can carry is refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote, urlsplit

from hotplate.cache.key import Url
from hotplate.errors import ExitCode, HotplateError

_HOST = re.compile(r"(?:[A-Za-z0-9_.-]{1,255}|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}", re.ASCII)
_LONGEST = 8190  # characters, as the longest request line
# Left as they are: what RFC 3986 allows in a path or query, and what is percent-encoded already.
_KEPT = "/%:@!$&'()*+,;=-._~"
_UNUSUAL = {"http": ":80", "https": ":443"}


def read(text: str, origins: Sequence[str]) -> list[Url]:
    """Return the URLs that `text` may mean, the likeliest first.

    Args:
        text: a whole URL, or a path, which may be of any of `origins`.
        origins: such as "http://127.0.0.1:8000".

    Raises:
        HotplateError: USAGE; no request could have such a URL.

    Example:
        >>> [show(url) for url in read("/a b?q=1", ["http://127.0.0.1:8000"])]
        ['http://127.0.0.1:8000/a%20b?q=1']
        >>> [show(url) for url in read("https://a.example/x", [])]
        ['https://a.example/x', 'http://a.example/x']
    """
    if len(text) > _LONGEST or any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise _refusal(text, "it holds control characters, or is longer than any request")
    if text.startswith("/") and not text.startswith("//"):
        return [_url(origin + text, text) for origin in origins]
    if "://" not in text:
        raise _refusal(text, "it is neither a path nor a URL with http:// or https://")
    url = _url(text, text)
    # What ends TLS in front, and is not believed, makes http of https.
    return [url, Url("http" if url.scheme == "https" else "https", url.host, url.path, url.query)]


def show(url: Url) -> str:
    """Write a URL."""
    query = f"?{url.query.decode('latin-1')}" if url.query else ""
    return f"{url.scheme}://{url.host.decode('latin-1')}{url.path.decode('latin-1')}{query}"


def fields(texts: Sequence[str], host: bytes) -> list[tuple[bytes, bytes]]:
    """Return a request's fields: the host, and those of `texts`, such as "Accept-Language: de".

    Raises:
        HotplateError: USAGE; one of them could not be sent.

    Example:
        >>> fields(["Accept-Language: de"], b"a")
        [(b'host', b'a'), (b'accept-language', b'de')]
    """
    found = [(b"host", host)]
    for text in texts:
        name, colon, value = text.partition(":")
        if not colon or not _NAME.fullmatch(name):
            raise _bad_field(text, "before the colon belongs a field's name")
        if any(ord(character) < 32 or ord(character) == 127 for character in value.strip(" \t")):
            raise _bad_field(text, "it holds control characters")
        if name.lower() == "host":
            raise _bad_field(text, "the host is that of the URL")
        try:
            found.append((name.lower().encode(), value.strip(" \t").encode("latin-1")))
        except UnicodeEncodeError:
            raise _bad_field(text, "a field cannot carry it") from None
    return found


def _url(whole: str, typed: str) -> Url:
    try:
        parts = urlsplit(whole)
        path, query = (quote(each, safe=_KEPT + extra) for each, extra in ((parts.path, ""), (parts.query, "?")))
        place = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode()
    except ValueError:  # of Unicode, too
        raise _refusal(typed, "it is no URL") from None
    if parts.scheme not in _UNUSUAL:
        raise _refusal(typed, "its scheme is neither http nor https")
    if not _HOST.fullmatch(place):
        raise _refusal(typed, "its host has another form" if place else "it has no host")
    host = place.lower().removesuffix(_UNUSUAL[parts.scheme])
    return Url(parts.scheme, host.encode(), path.encode() or b"/", query.encode())


def _refusal(text: str, cause: str) -> HotplateError:
    shown = repr(text if len(text) < 200 else f"{text[:200]}...")
    remedy = "Give it as clients ask for it, such as https://www.example.com/articles/7, or /articles/7."
    return HotplateError(f"look for {shown}", cause, remedy, code=ExitCode.USAGE)


def _bad_field(text: str, cause: str) -> HotplateError:
    shown = repr(text if len(text) < 200 else f"{text[:200]}...")
    remedy = "Give it as --header 'Accept-Language: de'."
    return HotplateError(f"send {shown}", cause, remedy, code=ExitCode.USAGE)
