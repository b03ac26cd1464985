"""How bold the cache is: two profiles, and the rules that an operator gives for routes."""

from __future__ import annotations

import msgspec

from hotplate.cache.http.directives import MOST_SECONDS

# Statuses whose caching is understood here, and that say the same to the next one who asks.
_SAFE_STATUSES = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})
UNDERSTOOD = _SAFE_STATUSES | {302, 303, 307, 400, 401, 403, 500, 502, 503, 504}


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What is allowed; the defaults are those of `safe`.

    Args:
        name: `safe` or `rfc`.
        statuses: that are stored when their freshness is explicit; None for every final status.
        shares_cookies: whether requests with cookies are like others, and responses that set some are stored.
        heuristic: freshness of a response that does not say any, as a part of the time since it was last modified
            (RFC 9111, section 4.2.2); 0 for none.
        heuristic_most: seconds that this is at most.
        heeds_client: whether the request's no-cache, max-age, min-fresh, max-stale and `Pragma: no-cache` count;
            where they do, everybody can send every request on to the app.
        keeps_stale: whether a response is stored only to be revalidated: `no-cache`, or stale on arrival.
        must_understand: whether `must-understand` can lift `no-store` (RFC 9111, section 5.2.2.3), a field
            `private="..."` can be left out instead of the response, and CDN-Cache-Control lifts them, too.
        shares_authorized: whether `must-revalidate` is enough to share the response to a request with credentials, as
            RFC 9111, section 3.5 has it; those who write it are seldom aware of that.
        loose_vary: whether request fields match in spite of white space after commas, or the order of languages;
            apps look at both.
        implied_vary: request fields that a response depends on unless the app says that it is for everyone: some apps
            choose the language and leave Vary out.
        counts_delay: whether the time the app took counts as age (RFC 9111, section 4.2.3), where it sent no Age: it
            does where the app asks another server.
        beta: how eager early refresh is (Vattani et al. 2015); 0 for none.
        keep: seconds that a stale response with a validator is kept for revalidation.
        marker: seconds for which it is remembered that a URL's response cannot be stored (Varnish: 120).
        marker_error: the same for server errors.
        ignored_cookies: names of cookies that do not count; `*` is any text.
        hosts: whose responses may be stored, lower case; empty for all: they have entries of their own.
        targets: names of targeted fields that are obeyed, the first one found counts (RFC 9213, section 2.2).
    """

    name: str = "safe"
    statuses: frozenset[int] | None = _SAFE_STATUSES
    shares_cookies: bool = False
    heuristic: float = 0.0
    heuristic_most: float = 7 * 86400.0
    heeds_client: bool = False
    keeps_stale: bool = False
    must_understand: bool = False
    shares_authorized: bool = False
    loose_vary: bool = False
    implied_vary: tuple[bytes, ...] = (b"accept", b"accept-language")
    counts_delay: bool = False
    beta: float = 1.0
    keep: float = 3600.0
    marker: float = 120.0
    marker_error: float = 1.0
    ignored_cookies: tuple[bytes, ...] = ()
    hosts: frozenset[bytes] = frozenset()
    targets: tuple[bytes, ...] = (b"cdn-cache-control",)


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator, or `@hotplate.cached` on a view, says of a response: it is for everyone.

    The app's own no-store, private, no-cache, Set-Cookie and Vary still count, and so do its s-maxage and
    CDN-Cache-Control.

    Args:
        ttl: seconds it is fresh, from when it was stored.
        swr: seconds after that in which it may be served while it is refreshed.
        sie: seconds after that in which it may be served in place of an error.
        tags: what it can be invalidated by.
        vary: request fields it depends on besides those of its own Vary, lower case.
        is_default: whether the response's own max-age and Expires come first; else they are for browsers only.
    """

    ttl: float
    swr: float = 0.0
    sie: float = 0.0
    tags: tuple[str, ...] = ()
    vary: tuple[bytes, ...] = ()
    is_default: bool = False

    def seconds(self) -> tuple[float, float, float]:
        """Return ttl, swr and sie within the bounds that all lifetimes have."""
        return _bounded(self.ttl), _bounded(self.swr), _bounded(self.sie)


def safe(*, ignored_cookies: tuple[bytes, ...] = (), hosts: frozenset[bytes] = frozenset()) -> Profile:
    """Return the default profile: nothing is shared that could be one person's, unless the app says so.

    Args:
        ignored_cookies: names of cookies that do not make a request personal; `*` is any text.
        hosts: whose responses may be stored, lower case, default port left out; empty for all.

    Example:
        >>> safe().shares_cookies
        False
    """
    return Profile(ignored_cookies=ignored_cookies, hosts=hosts)


def rfc(*, ignored_cookies: tuple[bytes, ...] = (), hosts: frozenset[bytes] = frozenset()) -> Profile:
    """Return the profile that does all that RFC 9111 allows a shared cache.

    Args:
        ignored_cookies: as in `safe`, though cookies do not count here.
        hosts: as in `safe`.

    Example:
        >>> rfc().heuristic
        0.1
    """
    return Profile(
        name="rfc",
        statuses=None,
        shares_cookies=True,
        heuristic=0.1,
        heeds_client=True,
        keeps_stale=True,
        must_understand=True,
        shares_authorized=True,
        loose_vary=True,
        implied_vary=(),
        counts_delay=True,
        ignored_cookies=ignored_cookies,
        hosts=hosts,
    )


def _bounded(seconds: float) -> float:
    return min(float(MOST_SECONDS), seconds) if seconds > 0 else 0.0  # NaN is not above 0
