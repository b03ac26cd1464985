"""What the parts of the cache's layer share, and the one place where the cache's own troubles end."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from hotplate.cache import service
from hotplate.cache.counters import ERRORS
from hotplate.cache.entry import Entry, decode
from hotplate.cache.flight import Lead
from hotplate.cache.http.profile import Profile, Rule, rfc, safe
from hotplate.cache.http.routes import Routes
from hotplate.cache.key import Key
from hotplate.cache.service import Cache
from hotplate.cache.stores.base import Store, Token
from hotplate.errors import HotplateError
from hotplate.gateway.caching.fanout import Fanout
from hotplate.gateway.caching.markers import Markers
from hotplate.gateway.caching.measures import Measures
from hotplate.gateway.caching.ready import Ready
from hotplate.gateway.compressing import Compressor
from hotplate.gateway.metering import Metering
from hotplate.gateway.wsgi.host import Background
from hotplate.settings import Settings

_log = logging.getLogger("hotplate.cache")
_NOBODYS = bytes(32)  # a key

WantCoding = Callable[[Key, Ready, tuple[bytes, ...]], None]
RuleOf = Callable[[bytes], Rule | None]


def _want_nothing(_key: Key, _ready: Ready, _codings: tuple[bytes, ...]) -> None:
    """Make no copies."""


def _no_rule(_path: bytes) -> Rule | None:
    return None


class Troubles:
    """Logs each kind of the cache's own errors once.

    Args:
        count: told of each.
    """

    def __init__(self, count: Callable[[int], None] = lambda _index: None) -> None:
        self._count = count
        self.seen: dict[tuple[str, type[BaseException]], int] = {}

    def tell(self, what: str, error: BaseException) -> None:
        """Note that `what` went wrong; the request it was for goes on without the cache."""
        kind = (what, type(error))
        count = self.seen[kind] = self.seen.get(kind, 0) + 1
        self._count(ERRORS)
        if count == 1:
            _log.error("The cache could not %s; requests go on without it. Said once per kind.", what, exc_info=error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """What the parts of the layer share.

    Args:
        cache: store, memory and flights of this process.
        host: moves requests, and takes work in the background.
        metering: counts what runs in the background as well.
        profile: how bold the cache is.
        rule_of: what the operator says of a path.
        largest: bytes of a body above which it is not kept.
        tells_misses: whether what was not answered from cache says so in Cache-Status, too.
        want_coding: has a stored response compressed in the background.
        compressor: compresses what the app sends on its way to the client, and knows which copies are wanted.
        clock: wall-clock seconds.
        ticks: monotonic seconds.
        draw: random numbers from 0 to 1.
        keys: of URLs asked for lately, by scheme, host, path and query.
        troubles: where the cache's own errors end.
        markers: of what could not be kept.
        fanout: of URLs with variants.
        publics: digests of URLs whose response was for everyone, so that visitors with cookies may wait for it.
        measures: what is told on the command line and cannot be a counter.
    """

    cache: Cache
    host: Background
    metering: Metering
    profile: Profile = field(default_factory=safe)
    rule_of: RuleOf = _no_rule
    largest: int = 4 * 1024**2
    tells_misses: bool = False
    want_coding: WantCoding = _want_nothing
    compressor: Compressor = field(default_factory=lambda: Compressor((), 0))
    clock: Callable[[], float] = time.time
    ticks: Callable[[], float] = time.monotonic
    draw: Callable[[], float] = random.random
    publics: set[bytes] = field(default_factory=set)
    measures: Measures = field(default_factory=lambda: Measures(""))
    troubles: Troubles = field(default_factory=Troubles)
    markers: Markers = field(default_factory=lambda: Markers(time.monotonic))
    fanout: Fanout = field(default_factory=Fanout)
    keys: dict[tuple[str, bytes, bytes, bytes], Key] = field(default_factory=dict)

    def ready(self, entry: Entry) -> Ready:
        """Return an entry ready to be sent."""
        compressor = self.compressor
        return Ready(entry, smallest=max(1, compressor.smallest) if compressor.offered else 0)

    def decode(self, value: bytes, full: bytes) -> Ready | None:
        """Return what is kept in `value`, or None where it is damaged or another key's."""
        entry = decode(value, full)
        return self.ready(entry) if entry is not None else None

    def end(self, lead: Lead, outcome: object) -> None:
        """End a flight; who waits for it learns of a failure by his time-out at the latest."""
        try:
            lead.end(outcome)
        except Exception as error:  # noqa: BLE001  # see `Troubles`
            self.troubles.tell("end a flight", error)

    def token(self) -> Token | None:
        """Return the store's clock, to be taken before the app is asked."""
        return self.cache.store.now()


def opened() -> Cache | None:
    """Return this process's cache; None, and a line in the log, where it cannot be opened: a site can do without.

    Raises:
        HotplateError: a setting of the cache cannot be used.
    """
    try:
        cache = service.current()
        _use(cache.store)
        cache.counters.warm_up()
    except HotplateError:
        raise
    except Exception:  # noqa: BLE001  # a file that is broken in a way nobody thought of must not keep a site down
        _log.exception("The cache could not be opened; this worker goes on without it")
        return None
    return cache


def _use(store: Store) -> None:
    """Use a store once: its file is made and opened now, and not while the first visitor waits.

    Measured with newsdesk: the first page out of a store that a worker had to open took 3 ms instead of 2.
    """
    if store.is_slow:
        return
    store.lease(_NOBODYS, 1.0)
    token = store.look(_NOBODYS).token
    if token is not None:
        store.put(_NOBODYS, b"", token, (), 1.0)
        store.look(_NOBODYS)
    store.release(_NOBODYS)
    store.drop((_NOBODYS,))


def kit_of(settings: Settings, cache: Cache, host: Background, metering: Metering, compressor: Compressor) -> Kit:
    """Return the kit that the settings ask for."""
    routes = Routes(settings.cache_routes)
    return Kit(
        cache=cache,
        host=host,
        metering=metering,
        profile=profile_of(settings),
        rule_of=routes.find if routes else _no_rule,
        largest=settings.cache_largest,
        tells_misses=settings.cache_status,
        compressor=compressor,
        measures=Measures(cache.folder),
        troubles=Troubles(cache.counters.add),
    )


def profile_of(settings: Settings) -> Profile:
    """Return the profile that the settings ask for."""
    make = rfc if settings.cache_profile == "rfc" else safe
    return make(
        ignored_cookies=tuple(name.encode("latin-1") for name in settings.cache_ignore_cookies),
        hosts=frozenset(host.encode("latin-1") for host in settings.cache_hosts),
    )
