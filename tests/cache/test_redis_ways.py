"""How a Redis is reached and left: addresses, passwords, packages that are missing, and the way out."""

from __future__ import annotations

import sys

import pytest
import redis

from hotplate.cache.stores.redis import RedisStore
from hotplate.errors import ExitCode, HotplateError
from tests.cache.redis_control import HASTY, KEY, NOTHING, Begin, kept, lines, token_of
from tests.support.waiting import wait_until

pytestmark = pytest.mark.redis


def test_a_server_that_is_not_there_is_no_error(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    """A store opens without its server, says so once and without the password, and finds it when it comes."""
    server = begin()
    server.kill()
    store = server.store(HASTY, url=f"{server.url}?password=hunter2", is_up=False)
    assert store.look(KEY) == NOTHING
    wait_until(lambda: lines(caplog), what="it is told")
    assert not store.state().is_up
    assert "hunter2" not in "".join(lines(caplog)) + store.state().detail
    assert str(server.socket) in store.state().detail
    server.restart()
    server.client.config_set("requirepass", "hunter2")
    wait_until(lambda: store.state().is_up, what="it is found")
    assert len(lines(caplog)) == 1


def test_a_wrong_password_is_said_without_saying_it(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    """The reason is in the log and in the state; the password is in neither."""
    server = begin(requirepass="right")
    store = RedisStore(f"unix://:hunter2@{server.socket}", budget=HASTY)
    wait_until(lambda: "password" in store.state().detail, what="the reason is known")
    assert "hunter2" not in "".join(lines(caplog)) + store.state().detail
    store.close()


def test_where_tracking_is_not_allowed_memory_is_not_believed(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    """Without CLIENT TRACKING the store works, nothing in memory is valid, and one line says why."""
    server = begin()
    server.say("ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all", "-client")
    store = RedisStore(f"unix://app:pw@{server.socket}", budget=5)
    wait_until(lambda: store.look(KEY).token, what="it answers")
    token = kept(store, KEY, b"page", (1,))
    assert store.now() is None
    assert not store.valid(token, (1,))
    wait_until(lambda: [line for line in lines(caplog) if "tells of no invalidations" in line], what="it is told")
    store.bump([1])
    assert store.look(KEY).value is None
    store.close()


def test_without_the_package_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where redis-py is not installed the error names the extra."""
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(HotplateError, match=r"pip install 'hotplate\[redis\]'") as raised:
        RedisStore("redis://localhost")
    assert raised.value.code is ExitCode.MISSING_EXTRA


def test_an_address_of_no_known_form_is_refused_without_being_shown() -> None:
    """The error says which forms there are, and nothing of what was given."""
    with pytest.raises(HotplateError, match="rediss://") as raised:
        RedisStore("http://app:hunter2@cache")
    assert raised.value.code is ExitCode.USAGE
    assert "hunter2" not in str(raised.value)


def test_what_is_queued_is_done_before_it_closes(begin: Begin) -> None:
    """A script that puts and ends has put."""
    server = begin()
    store, other = server.store(), server.store()
    store.put(KEY, b"page", token_of(store.look(KEY)), (), 60)
    store.close()
    assert other.look(KEY).value == b"page"
    assert store.look(KEY) == NOTHING
    store.close()


def test_a_closed_store_is_waited_for_by_nobody(begin: Begin) -> None:
    """Whoever has closed is no member any more."""
    server = begin()
    store = server.store()
    (members,) = server.keys(":members")
    assert server.client.zcard(members) == 1
    store.close()
    wait_until(lambda: server.client.zcard(members) == 0, what="it has left")
    assert isinstance(server.client, redis.Redis)
