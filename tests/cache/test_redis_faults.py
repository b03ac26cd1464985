"""Whatever befalls Redis, requests go on, nothing old is served, and the store heals by itself."""

from __future__ import annotations

import logging
import random
import threading

import pytest

from hotplate.cache.stores.base import Look
from tests.cache.redis_control import (
    HASTY,
    KEY,
    NOTHING,
    OTHER,
    Begin,
    answered,
    kept,
    lines,
    token_of,
    up_again,
)
from tests.support.waiting import wait_until

pytestmark = pytest.mark.redis


def test_a_frozen_server_is_noticed_once_and_then_costs_nothing(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    """The first look ends with nothing; later ones are answered before they return; one line down, one line up."""
    caplog.set_level(logging.INFO, "hotplate.cache")
    server = begin()
    store = server.store(HASTY)
    kept(server.store(), KEY, b"page", (1,))
    with server.frozen():
        assert store.look(KEY) == NOTHING
        wait_until(lambda: not store.state().is_up, what="it is known to be down")
        told: list[Look] = []
        store.look_soon(KEY, told.append)
        assert told == [NOTHING]
        assert store.look(KEY) == NOTHING
        assert store.lease(KEY, 5)
        store.put(KEY, b"lost", token_of(Look(None, (1, 1))), (), 60)  # type: ignore[arg-type]  # any token will do
        store.drop([KEY])
        store.release(KEY)
        assert store.now() is None
        assert store.state().faults > 0
    up_again(store)
    assert answered(store, KEY).value == b"page"
    assert [line.partition(": ")[0].rpartition(" ")[2] for line in lines(caplog)][:1] == ["used"]
    assert len([line for line in lines(caplog) if "is not used" in line]) == 1
    assert len([line for line in lines(caplog) if "answers again" in line]) == 1


def test_a_frozen_server_is_noticed_without_asking_it(begin: Begin) -> None:
    """A process that asks nothing knows that the server is down before its next request finds out."""
    server = begin()
    store = server.store(HASTY)
    with server.frozen():
        wait_until(lambda: not store.state().is_up, what="it is known to be down")
    up_again(store)


def test_everybody_who_asks_a_frozen_server_is_told_once(begin: Begin) -> None:
    """Each of many look-ups under way ends, exactly once, while the server is still frozen."""
    server = begin()
    store = server.store(HASTY)
    told: list[int] = []
    with server.frozen():
        for number in range(300):
            store.look_soon(KEY, lambda _, number=number: told.append(number))  # type: ignore[misc]  # mypy: lambda default
        wait_until(lambda: len(told) == 300, what="all were told")
    up_again(store)
    assert sorted(told) == list(range(300))


def test_an_invalidation_of_a_frozen_server_is_made_up_for(begin: Begin) -> None:
    """What was invalidated while Redis could not be told is not served by anybody after it can."""
    server = begin()
    one, other = server.store(HASTY), server.store()
    token = kept(other, KEY, b"old", (7,))
    kept(other, OTHER, b"unconcerned", (8,))
    with server.frozen():
        one.bump([7])
        assert not one.valid(token, (7,))
    wait_until(lambda: other.look(KEY).value is None, what="the debt is paid")
    up_again(one)
    assert one.look(KEY).value is None
    assert not one.valid(token, (7,))
    wait_until(lambda: not other.valid(token, (7,)), what="the other was told")
    wait_until(lambda: one.look(OTHER).value == b"unconcerned", what="the rest is still there")


def test_a_clearing_of_a_server_that_is_gone_is_made_up_for(begin: Begin) -> None:
    """The same of clearing everything, and of more than can be remembered one by one."""
    server = begin()
    store = server.store(HASTY)
    for forget in (store.clear, lambda: store.bump(range(50_000))):
        token = kept(server.store(), KEY, b"old", (1,))
        with server.frozen():
            forget()
        up_again(store)
        look = answered(store, KEY)
        assert look.value is None
        assert not store.valid(token, (1,))
        assert token_of(look) > token or token_of(look).epoch != token.epoch


def test_a_server_killed_and_restarted_has_forgotten_and_so_have_we(begin: Begin) -> None:
    """After kill -9 without persistence what was begun before is refused, in Redis and in memory."""
    server = begin()
    store = server.store()
    token = kept(store, KEY, b"old", (1,))
    server.kill()
    wait_until(lambda: not store.state().is_up and store.now() is None, what="it is known to be down")
    assert not store.valid(token, (1,))
    server.restart()
    up_again(store)
    store.put(KEY, b"late", token, (1,), 60)
    assert store.look(KEY).value is None
    kept(store, KEY, b"new", (1,))


@pytest.mark.parametrize("is_watched", [True, False], ids=["by one who was there", "by one who was not"])
def test_a_server_restarted_from_an_old_snapshot_serves_nothing_old(begin: Begin, is_watched: bool) -> None:
    """A snapshot may lack the latest invalidations, so a restart begins a new epoch, whoever comes first."""
    server = begin(dbfilename="dump.rdb")
    store = server.store()
    token = kept(store, KEY, b"old", (1,))
    server.client.save()
    store.bump([1])
    if not is_watched:
        store.close()
    server.kill()
    server.restart()
    assert server.keys(":e:"), "the snapshot has the old entry"
    if is_watched:
        up_again(store)
    else:
        store = server.store()
    assert not store.valid(token, (1,))
    assert store.look(KEY).value is None


def test_a_server_restarted_from_its_log_of_writes_serves_nothing_old(begin: Begin) -> None:
    """The same with an append-only file, which may lack the last second."""
    server = begin(appendonly="yes", appendfsync="everysec")
    store = server.store()
    kept(store, KEY, b"old", (1,))
    store.bump([1])
    server.kill()
    server.restart()
    up_again(store)
    assert store.look(KEY).value is None
    kept(store, KEY, b"new", (1,))


def test_flushing_everything_empties_memory_too(begin: Begin) -> None:
    """After FLUSHALL nothing of before is believed by anybody, nor taken."""
    server = begin()
    one, other = server.store(), server.store()
    token = kept(one, KEY, b"old", (1,))
    server.client.flushall()
    wait_until(lambda: not one.valid(token, (1,)) and not other.valid(token, (1,)), what="both were told")
    one.put(KEY, b"late", token, (1,), 60)
    assert one.look(KEY).value is None
    kept(other, KEY, b"new", (1,))
    up_again(one)
    assert one.look(KEY).value == b"new"


def test_the_clock_evicted_is_everything_invalidated(begin: Begin) -> None:
    """Losing the clock's key alone, as eviction may, ends what was kept with it."""
    server = begin()
    store = server.store()
    token = kept(store, KEY, b"old", (1,))
    (clock,) = server.keys(":clock")
    server.client.delete(clock)
    assert store.look(KEY).value is None
    wait_until(lambda: not store.valid(token, (1,)), what="it was told")
    kept(store, KEY, b"new", (1,))


def test_a_full_server_that_may_not_evict_still_hears_invalidations(
    begin: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    """With noeviction nothing new is kept, which is told once; bumps, clearings and leases work."""
    server = begin(**{"maxmemory-policy": "noeviction"})
    store = server.store()
    kept(store, KEY, b"old", (1,))
    server.client.config_set("maxmemory", 1)
    for _ in range(3):
        store.put(OTHER, b"no room", token_of(store.look(OTHER)), (2,), 60)
    assert store.look(OTHER).value is None
    assert len([line for line in lines(caplog) if "is full" in line]) == 1
    assert store.lease(OTHER, 60)
    assert not store.lease(OTHER, 60)
    assert store.look(KEY).value == b"old"
    store.bump([1])
    assert store.look(KEY).value is None
    store.clear()
    assert store.state().is_up
    up_again(server.store())
    assert "full" in store.state().detail


def test_a_server_that_evicts_what_it_likes_serves_nothing_old(begin: Begin) -> None:
    """With allkeys-lru and a third of the memory needed, each value found is the latest."""
    server = begin(**{"maxmemory-policy": "allkeys-lru"})
    store = server.store()
    server.client.config_set("maxmemory", int(server.client.info("memory")["used_memory"]) + 3_000_000)
    versions = dict.fromkeys(range(100), 0)
    found, rng = 0, random.Random(7)
    for turn in range(3000):
        thing = rng.randrange(100)
        look = store.look(b"%32d" % thing)
        if look.value is not None:
            found += 1
            assert look.value.split(b" ")[0] == b"%d" % versions[thing]
        elif look.token is not None:
            store.put(b"%32d" % thing, b"%d " % versions[thing] + bytes(100_000), look.token, (thing,), 60)
        if turn % 11 == 0:
            versions[thing] += 1
            store.bump([thing])
    assert found
    assert store.state().is_up


def test_connections_that_are_cut_are_made_again(begin: Begin) -> None:
    """After CLIENT KILL of all, memory is not believed until everything missed is known."""
    server = begin()
    one, other = server.store(), server.store()
    token = kept(one, KEY, b"old", (1,))
    for _ in range(5):
        server.say("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        other.bump([1])
        wait_until(lambda: other.now() and one.now(), what="both know the clock")
        assert not other.valid(token, (1,))
        wait_until(lambda token=token: not one.valid(token, (1,)), what="the other was told")  # type: ignore[misc]  # mypy: lambda default
        up_again(one)
        up_again(other)
        wait_until(lambda: one.look(KEY).token is not None, what="it answers")
        token = kept(one, KEY, b"old", (1,))


def test_a_server_that_is_busy_for_long_is_left_alone(begin: Begin) -> None:
    """While a script of somebody keeps it busy nobody waits; afterwards all is as it was."""
    server = begin()
    store = server.store(HASTY)
    kept(server.store(), KEY, b"page", (1,))
    busy = """
        local start = redis.call('TIME')
        repeat local now = redis.call('TIME') until (now[1] - start[1]) * 1000000 + now[2] - start[2] > 300000
    """
    somebody = threading.Thread(target=server.say, args=("EVAL", busy, 0))
    somebody.start()
    wait_until(lambda: store.look(KEY) == NOTHING, what="nobody waits")
    somebody.join()
    up_again(store)
    wait_until(lambda: store.look(KEY).value == b"page", what="it is as it was")


def test_scripts_that_are_flushed_are_sent_again(begin: Begin) -> None:
    """SCRIPT FLUSH costs nothing but a round trip."""
    server = begin()
    store = server.store()
    token = kept(store, KEY, b"page", (1,))
    server.client.script_flush()
    assert store.look(KEY).value == b"page"
    server.client.script_flush()
    store.bump([1])
    assert not store.valid(token, (1,))
    server.client.script_flush()
    assert store.lease(KEY, 5)
    assert store.state().faults == 0


@pytest.mark.parametrize("poison", ["text", "list", "no frame", "cut off", "another's", "no meta", "odd meta"])
def test_what_somebody_has_damaged_is_nothing(begin: Begin, poison: str) -> None:
    """An entry of another type, or whose bytes are not as they were put, is a miss, and is replaced."""
    server = begin()
    store = server.store()
    kept(store, OTHER, b"other", (1,))
    kept(store, KEY, b"page", (1,))
    (entry,) = server.keys(KEY.hex())
    (other,) = server.keys(OTHER.hex())
    frame = server.client.hget(entry, "v")
    assert isinstance(frame, bytes)
    if poison == "text":
        server.client.set(entry, "x")
    elif poison == "list":
        server.client.delete(entry)
        server.client.rpush(entry, "x")
    elif poison == "another's":
        server.client.hset(entry, "v", frame[:-1] + b"x")
    elif poison == "no meta":
        server.client.hdel(entry, "m")
    elif poison == "odd meta":
        server.client.hset(entry, "m", "1 2 x \x00 y")
    else:
        server.client.hset(entry, "v", "x" if poison == "no frame" else frame[:-2])
    assert store.look(KEY).value is None
    assert store.look(OTHER).value == b"other"
    kept(store, KEY, b"new", (1,))
    assert store.state().is_up
    assert other


@pytest.mark.parametrize("which", [":clock", ":members", ":heard"])
def test_a_clock_that_somebody_has_overwritten_is_made_anew(begin: Begin, which: str) -> None:
    """Garbage in place of the clock, or of who follows it, ends in a new clock and no error."""
    server = begin()
    store = server.store()
    token = kept(store, KEY, b"old", (1,))
    (name,) = server.keys(which)
    server.client.set(name, "garbage")
    store.bump([1])
    wait_until(lambda: store.look(KEY).token is not None, what="it answers")
    assert store.look(KEY).value is None
    wait_until(lambda: not store.valid(token, (1,)), what="it is known")
    kept(store, KEY, b"new", (1,))
    wait_until(lambda: server.client.type(name) != b"string", what="it is as it was")
