"""Invalidation by whoever changes what was cached: by URL, by tag, everything."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote, urlsplit

from hotplate.cache import journal
from hotplate.cache.counters import INVALIDATIONS
from hotplate.cache.current import MAKING, Answering, Hooks
from hotplate.cache.key import Url, slot_of, tag_of
from hotplate.cache.service import current
from hotplate.errors import ExitCode, HotplateError

# Left as they are in a path and a query (RFC 3986, sections 3.3 and 3.4); a percent sign begins what is quoted already.
_KEPT = "/%:@!$&'()*+,;=-._~"


def invalidate(
    *,
    url: str | Iterable[str] = (),
    tag: str = "",
    tags: Iterable[str] = (),
    everything: bool = False,
) -> None:
    """Have responses and values never served again, not even while they are refreshed.

    When it returns, this holds in all processes and on all machines that share the store. Call it after the change is
    committed. With Redis it waits for the network: on an event loop, `await asyncio.to_thread(invalidate, tag="news")`.

    Args:
        url: one or several, as clients ask for them, with their queries; in a view a path will do. http and https are
            one. Every variant is meant.
        tag: what responses and values were given with `tags=`, `hotplate.cache.tag()`, a rule or Cache-Groups.
        tags: several of those.
        everything: all there is.

    Raises:
        HotplateError: nothing was named, or a URL is none.

    Example:
        >>> invalidate(url="https://www.example.com/articles/7", tag="articles")
        >>> invalidate()
        Traceback (most recent call last):
            ...
        hotplate.errors.HotplateError: Cannot invalidate: nothing was named. Give url=, tag=, tags= or everything=True.
    """
    if isinstance(tags, str):
        raise _refusal("tags is a text", "Give tag= for one tag, or a tuple of texts.")
    urls = [url] if isinstance(url, str) else list(url)
    named = [*([tag] if tag else []), *tags]
    if not urls and not named and not everything:
        raise _refusal("nothing was named", "Give url=, tag=, tags= or everything=True.")
    cache = current()
    by_url = [each for one in urls for each in _tags_of(one)]
    if everything:
        cache.store.clear()
        journal.note(cache.folder, "all")
    else:
        cache.store.bump({slot_of(each) for each in (*by_url, *named)})
        if urls:
            journal.note(cache.folder, "url", urls, tags=by_url)
        if named:
            journal.note(cache.folder, "tag", named, tags=named)
    cache.counters.add(INVALIDATIONS)


def _tags_of(url: str) -> list[str]:
    try:
        parts = urlsplit(url)
        scheme, host = parts.scheme.lower(), parts.netloc
    except ValueError:
        raise _refusal(f"{url!r} is not a URL", _WHOLE) from None
    if not scheme and not host and url.startswith("/"):
        host = _host()
    if (scheme and scheme not in {"http", "https"}) or not host or "@" in host:
        raise _refusal(f"{url!r} is not a whole URL", _WHOLE)
    path = quote(parts.path or "/", safe=_KEPT).encode()
    query = quote(parts.query, safe=_KEPT + "?").encode()
    # A proxy in front may speak https to clients and http to us, and not say so.
    name = host.encode("idna" if not host.isascii() else "ascii")
    return [tag_of(Url(each, name, path, query)) for each in ("http", "https")]


_WHOLE = "Give it as clients ask for it, such as https://www.example.com/articles/7; a path alone will do in a view."


def _host() -> str:
    """Return the host of the request that is being answered; "" where there is none."""
    thing = MAKING.get()
    while thing is not None and not isinstance(thing, Answering):
        thing = getattr(thing, "outer", None)
    fields = () if thing is None else thing.scope.get("headers", ())
    return next((value.decode("latin-1") for name, value in fields if name == b"host"), "") or Hooks.host()


def _refusal(cause: str, remedy: str) -> HotplateError:
    return HotplateError("invalidate", cause, remedy, code=ExitCode.FAILED)
