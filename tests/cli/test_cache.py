"""What explain, purge and stats say, over a store that holds what workers would have put there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from hotplate.cache import journal, measured, service
from hotplate.cache.counters import HITS, MISSES, NAMES, STALE, Counters
from hotplate.cache.entry import Entry, encode
from hotplate.cache.key import primary, slot_of, variant
from hotplate.cache.measured import Suggestion
from hotplate.cli import cache_explain, cache_purge, cache_reach, cache_stats, cache_words
from hotplate.cli.cache_explain import Explanation
from hotplate.cli.cache_reach import Reached
from hotplate.errors import ExitCode, HotplateError
from hotplate.settings import Settings
from hotplate.supervisor.report import StatusReport, Totals

NOW = 1_700_000_000.0
PAGE = "http://a.example/page"
TOTALS = Totals(
    requests=0, in_flight=0, errors=0, timeouts=0, refused=0, queued=0, connections=0, private=0, restarts=0
)


def report(folder: Path) -> StatusReport:
    """Return what an instance would say that listens on one address."""
    return StatusReport(
        state="serving", healthy=True, name="default", folder=str(folder), target="", app="", pid=1, uptime=1.0,
        binds=("http://127.0.0.1:8000",), generation=1, generation_pid=1, preloaded=True, slots=1, workers_why="",
        steering="", totals=TOTALS, workers=(), cache=str(folder),
    )  # fmt: skip


Reach = Callable[..., Reached]


@pytest.fixture
def reached(tmp_path: Path) -> Iterator[Reach]:
    """Reach an instance with some settings."""

    def reach(**settings: object) -> Reached:
        made = msgspec.convert(settings, Settings)
        cache = service.open_with(made, str(tmp_path), "r1")
        return Reached(report(tmp_path), made, tmp_path, ("r1", "r0"), cache)

    yield reach
    service.close()


def put(reached: Reached, entry: Entry, *, release: str = "r1", fields: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    """Store a response for PAGE as a worker does."""
    store = reached.cache.store
    key = primary("http", b"a.example", b"/page", b"", release.encode())
    slots = (key.slot, *map(slot_of, entry.tags))
    token = store.now()
    assert token
    if entry.vary:
        listed = Entry(key.full, received=NOW, lifetime=60.0, variants=(entry.vary,))
        store.put(key.digest, encode(listed), token, (key.slot,), 1e9)
        key = variant(key, entry.vary, fields)
    store.put(key.digest, encode(msgspec.structs.replace(entry, full=key.full)), token, slots, 1e9)


def page(**more: object) -> Entry:
    """Return a response that is fresh for a minute from NOW, and may be stale for half of one."""
    known: dict[str, object] = {"body": b"x" * 2000, "received": NOW, "lifetime": 60.0, "swr": 30.0, "tags": ("news",)}
    return Entry(b"", 200, **{**known, **more})  # type: ignore[arg-type]  # a table of many types


def explained(reached: Reached, *headers: str, after: float = 10.0, url: str = PAGE) -> Explanation:
    """Explain PAGE so many seconds after NOW."""
    return cache_explain.explain(reached, url, headers, now=NOW + after)


STATES = {
    "fresh": (page(), 10.0, "fresh", "hotplate; hit; ttl=50"),
    "stale": (page(), 70.0, "stale", "hotplate; hit; ttl=-10; detail=stale-while-revalidate"),
    "expired": (page(), 100.0, "expired", "hotplate; fwd=stale"),
    "never without asking": (page(no_cache=True), 10.0, "expired", "hotplate; fwd=stale"),
}


@pytest.mark.parametrize(("entry", "after", "state", "told"), STATES.values(), ids=STATES)
def test_what_is_stored(reached: Reach, entry: Entry, after: float, state: str, told: str) -> None:
    """Explain says what the cache would do with it now, as the policy decides."""
    instance = reached()
    put(instance, entry)
    found = explained(instance, after=after)
    assert (found.state, found.stored, found.cache_status) == (state, True, told)
    assert (found.age, found.ttl, found.size, found.tags) == (after, 60.0 - after, 2000, ("news",))
    assert found.key == f"GET {PAGE}, release r1"


def test_nothing_stored(reached: Reach) -> None:
    """A page that nobody has asked for is told to be that, and how to find out more."""
    found = explained(reached())
    assert (found.state, found.stored, found.cache_status) == ("absent", False, "hotplate; fwd=uri-miss")
    assert any("--ask" in line for line in cache_words.lines(found, NOW))


def test_for_whom(reached: Reach) -> None:
    """With a cookie only what is for everyone is answered from the cache, and explain says so."""
    instance = reached()
    put(instance, page())
    found = explained(instance, "Cookie: session=1")
    assert (found.state, found.why) == (
        "unusable",
        "the stored response is for requests without cookies and credentials",
    )
    put(instance, page(explicit=True))
    assert explained(instance, "Cookie: session=1").state == "fresh"


def test_variants(reached: Reach) -> None:
    """A page that differs by language is found by the request's language, which is part of the key."""
    instance = reached()
    put(instance, page(vary=(b"accept-language",)), fields=((b"accept-language", b"de"),))
    found = explained(instance, "Accept-Language: DE")
    assert (found.state, found.vary) == ("fresh", ("accept-language",))
    assert found.key.endswith("accept-language: DE")
    other = explained(instance, "Accept-Language: en")
    assert (other.stored, other.cache_status) == (False, "hotplate; fwd=vary-miss")
    assert other.variants == (("accept-language",),)


def test_another_release(reached: Reach) -> None:
    """While two versions serve, what the older one has stored is found as that one's."""
    instance = reached()
    put(instance, page(), release="r0")
    found = explained(instance)
    assert (found.stored, found.release) == (True, "r0")


def test_a_marker_tells_why(reached: Reach) -> None:
    """What is remembered of a response that could not be kept is told in words."""
    instance = reached()
    put(instance, page(refused="set-cookie"))
    found = explained(instance)
    assert (found.stored, found.why) == (False, "the response sets a cookie")


REQUESTS = {
    "a host that is not kept": ({"cache_hosts": ("b.example",)}, (), "its host is not among those"),
    "a request that overrides its method": ({}, ("X-HTTP-Method-Override: DELETE",), "another method"),
}


@pytest.mark.parametrize(("settings", "headers", "words"), REQUESTS.values(), ids=REQUESTS)
def test_requests_that_keep_the_cache_away(
    reached: Reach, settings: dict[str, object], headers: tuple[str, ...], words: str
) -> None:
    """Where the request decides, explain says what in it does."""
    found = explained(reached(**settings), *headers)
    assert words in found.request
    assert words in found.why
    assert "bypass" in found.cache_status


def test_modes(reached: Reach) -> None:
    """Switched off, or only measuring, nothing is answered from the cache, and explain says which."""
    assert explained(reached(cache="off")).state == "off"
    instance = reached(cache="suggest")
    put(instance, page())
    assert "only measures" in explained(instance).why


def test_rules_are_told(reached: Reach) -> None:
    """The first rule that the page falls under is shown as it was written."""
    instance = reached(cache_routes=("/other ttl=1s", "/p* ttl=5s tags=x", "/page ttl=9s"))
    assert explained(instance).rule == "/p* ttl=5s tags=x"
    assert explained(instance, url="http://a.example/none").rule == ""


def test_what_removed_it(reached: Reach) -> None:
    """The latest invalidation that reached the page is named, with who did it; others are not."""
    instance = reached()
    put(instance, page())
    journal.note(instance.folder, "tag", ["news"], tags=["news"], by="pid 7 (celery)", now=NOW + 5)
    journal.note(instance.folder, "tag", ["sports"], tags=["sports"], by="pid 8", now=NOW + 6)
    found = explained(instance)
    assert found.invalidation
    assert (found.invalidation.what, found.invalidation.by) == ("news", "pid 7 (celery)")
    put(instance, page(received=NOW + 7))
    text = "\n".join(cache_words.lines(explained(instance), NOW + 10))
    assert "5 s ago" in text
    assert "tag news, by pid 7 (celery); stored again since" in text


def test_what_removed_a_page_that_is_gone(reached: Reach) -> None:
    """The tags of what was stored are still known, so who invalidated one of them is; an older one is not blamed."""
    instance = reached()
    put(instance, page(vary=(b"accept",)))
    journal.note(instance.folder, "tag", ["news"], tags=["news"], by="before", now=NOW - 5)
    instance.cache.store.bump([slot_of("news")])
    assert explained(instance).invalidation is None
    journal.note(instance.folder, "tag", ["news"], tags=["news"], by="after", now=NOW + 5)
    found = explained(instance)
    assert found.invalidation
    assert (found.stored, found.invalidation.by) == (False, "after")
    assert "has been invalidated" in found.why


def test_purging_a_url(reached: Reach) -> None:
    """A purged page is gone, with all its variants and in all releases, and explain knows who did it."""
    instance = reached()
    put(instance, page())
    put(instance, page(), release="r0")
    purged = cache_purge.purge(instance, [PAGE], [])
    assert (purged.kind, purged.entries, purged.what) == ("url", 2, (PAGE, PAGE.replace("http", "https")))
    found = explained(instance)
    assert not found.stored
    assert found.invalidation
    assert found.invalidation.by == "hotplate cache purge"
    assert "2 responses were stored" in next(cache_purge.lines(purged))


def test_purging_tags_and_everything(reached: Reach) -> None:
    """What has the tag is gone and the rest is not; then the rest."""
    instance = reached()
    put(instance, page())
    cache_purge.purge(instance, [], ["sports"])
    assert explained(instance).stored
    purged = cache_purge.purge(instance, [], ["news", "front"])
    assert (purged.kind, purged.what) == ("tag", ("news", "front"))
    assert not explained(instance).stored
    put(instance, page())
    assert cache_purge.purge(instance, [], []).kind == "all"
    assert not explained(instance).stored
    assert instance.cache.counters.totals()["invalidations"] == 3


def test_stats(reached: Reach, tmp_path: Path) -> None:
    """The ratio is of those whom the cache could have answered; counts and store are shown."""
    instance = reached()
    counters = Counters(tmp_path)
    for index, amount in ((HITS, 8), (STALE, 1), (MISSES, 1)):
        counters.add(index, amount)
    put(instance, page())
    found = cache_stats.collect(instance)
    assert (found.hit_ratio, found.hits, found.misses, found.store.entries) == (0.9, 8, 1, 1)
    lines = list(cache_stats.lines(found))
    assert lines[0].startswith("Cache: headers, 90.0 % hits, this machine's store: ")
    assert json.loads(msgspec.json.encode(found))["store"]["kind"] == "lmdb"


def test_stats_of_nothing(reached: Reach) -> None:
    """Before anything was asked for there is no ratio, and no division by it."""
    found = cache_stats.collect(reached(cache_profile="rfc"))
    assert found.hit_ratio is None
    assert "nothing asked for yet" in next(cache_stats.lines(found))
    assert cache_stats.hit_ratio(dict.fromkeys(NAMES, 0)) is None


def test_suggestions(reached: Reach, tmp_path: Path) -> None:
    """What the layer has measured is shown route by route, the most worthwhile first, and why things are not kept."""
    instance = reached(cache="suggest")
    assert "Nothing measured yet" in list(cache_stats.lines(cache_stats.collect(instance)))[-1]
    routes = [
        Suggestion(route="/a", requests=10, hits=5, seconds_saved=0.5, why="sets a cookie"),
        Suggestion(route="/b", requests=10, hits=9, seconds_saved=2.5, rule="/b ttl=60s"),
    ]
    measured.write(tmp_path, routes, {"set-cookie": 5})
    assert [each.route for each in cache_stats.collect(instance).suggestions] == ["/b", "/a"]
    text = "\n".join(cache_stats.lines(cache_stats.collect(instance)))
    assert "/b ttl=60s" in text
    assert "5 x the response sets a cookie" in text


@pytest.mark.parametrize(
    ("flag", "shown", "url"),
    [
        (None, "redis://cache", "redis://cache"),
        ("redis://:pw@cache", "redis://:...@cache", "redis://:pw@cache"),
        ("redis://other", "redis://cache", ""),
        (None, "redis://:...@cache", ""),
    ],
)
def test_the_redis_of_the_instance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: str | None, shown: str, url: str
) -> None:
    """The instance's note has no password, so it comes from this shell; another server's is refused."""
    monkeypatch.delenv("REDIS_URL", raising=False)
    if url:
        assert cache_reach._redis_url(flag, shown, tmp_path) == url
        return
    with pytest.raises(HotplateError) as refused:
        cache_reach._redis_url(flag, shown, tmp_path)
    assert refused.value.code is ExitCode.USAGE
    assert "REDIS_URL" in str(refused.value)
