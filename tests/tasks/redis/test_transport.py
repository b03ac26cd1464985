"""What is taken from Redis is written down in the same step, and comes back when its taker is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
import redis

from hotplate.tasks.redis import scripts
from hotplate.tasks.redis.owners import Owner
from tests.support.brokers import Broker
from tests.support.waiting import wait_until
from tests.tasks.redis.conftest import Open
from tests.tasks.redis.sides import TASKS, Connection, keys, owners, queue, taken, waiting

pytestmark = pytest.mark.redis

# A consumer that is killed when Redis has answered and nothing of the answer has been read.
KILLED_THERE = """
import os, sys, kombu
from kombu.transport.redis import Channel as Kombus
from hotplate.tasks.redis.channel import Channel as Ours
def killed(self, **options):
    os.kill(os.getpid(), 9)
Kombus._brpop_read = Ours._brpop_read = killed
connection = kombu.Connection(sys.argv[1], transport=sys.argv[2])
with connection.Consumer([kombu.Queue("tasks", kombu.Exchange("tasks"), routing_key="tasks")], accept=["json"]):
    connection.drain_events(timeout=20)
"""


def killed_there(url: str, transport: str) -> None:
    """Run that consumer."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", KILLED_THERE, url, transport], check=False, env=environ)
    assert done.returncode == -signal.SIGKILL


def test_a_taker_killed_before_it_knows_loses_nothing(side: Open, client: redis.Redis, redis_url: str) -> None:
    """A message that Redis has handed out to somebody who is killed before reading it comes back at the next look."""
    side().send("precious")
    killed_there(redis_url, "hotplate.tasks.redis:Transport")
    assert (waiting(client), taken(client)) == (0, 1)
    (message,) = side().take()
    assert message.payload == "precious"
    assert message.delivery_info["redelivered"] is True


def test_kombus_own_transport_loses_it(side: Open, client: redis.Redis, redis_url: str) -> None:
    """The same kill, at the same point, with the transport that this one replaces: the reason why it does."""
    side().send("precious")
    killed_there(redis_url, "redis")
    assert (waiting(client), taken(client), client.exists("unacked")) == (0, 0, 0)


def test_a_message_is_the_takers_until_it_is_acknowledged(side: Open, client: redis.Redis) -> None:
    """Taken, it is written down under its taker's name; acknowledged, it is gone; rejected, it waits again."""
    side().send(1, 2, 3)
    worker = side()
    one, two, three = worker.take(3)
    assert [message.payload for message in (one, two, three)] == [1, 2, 3]
    assert not any(message.delivery_info["redelivered"] for message in (one, two, three))
    assert client.hlen(f"{scripts.TAKEN}{worker.owner}") == 3
    one.ack()
    two.reject()
    three.requeue()
    assert (waiting(client), taken(client)) == (1, 0)
    (again,) = side().take()
    assert (again.payload, again.delivery_info["redelivered"]) == (3, True)


def test_who_leaves_gives_back_in_the_old_order(side: Open, client: redis.Redis) -> None:
    """An orderly end gives everything back at once, as it was, and leaves no owner behind."""
    side().send({"empty": [], "large": 2**60}, *range(1, 12))
    worker = side()
    worker.take(12)
    worker.look()
    assert owners(client) == {worker.owner}
    worker.connection.close()
    assert (waiting(client), taken(client), owners(client)) == (12, 0, set())
    assert [message.payload for message in side().take(12)] == [{"empty": [], "large": 2**60}, *range(1, 12)]


def test_urgent_messages_are_taken_first(side: Open) -> None:
    """9 is the highest priority; what has none is the least urgent."""
    sender = side()
    for priority in (0, 3, 9, 6):
        sender.send(priority, priority=priority)
    sender.send("none")
    assert [message.payload for message in side().take(5)] == [9, 6, 3, 0, "none"]


def test_a_successor_gets_its_predecessors_messages_at_once(side: Open, client: redis.Redis) -> None:
    """Who takes the place of a process on a machine that is gone needs not wait."""
    side().send("left behind")
    gone = Owner("shop-0@web", "web/of/yesterday", 17, "4711", "c0ffee")
    keys = [scripts.OWNERS, f"{scripts.TAKEN}{gone}", "tasks\x06\x16wake", "tasks"]
    scripts.run(client, scripts.TAKE, keys, [str(gone), "1", 1, 1])
    side(hotplate_owner="shop-1@web").look()
    assert taken(client) == 1
    (message,) = side(hotplate_owner="shop-0@web").take()
    assert message.payload == "left behind"


def test_an_answer_that_is_lost_loses_no_message(side: Open, client: redis.Redis) -> None:
    """When the connection breaks after Redis has handed out a message, the message goes back to the queue."""
    worker = side()
    worker.look()
    with pytest.raises(TimeoutError):
        worker.connection.drain_events(timeout=0.01)
    side().send("in between")
    # Woken, it asks; the answer is on its way when the connection is cut.
    while not taken(client):
        worker.transport.cycle.on_poll_start()
        if worker.channel._in_poll and not worker.channel._asked:
            with pytest.raises(Exception):  # noqa: B017  kombu's Empty: nothing came, so it will ask
                worker.channel._brpop_read()
    worker.channel.client.connection.disconnect()
    worker.look()
    (message,) = worker.take()
    assert (message.payload, message.delivery_info["redelivered"]) == ("in between", True)
    assert (waiting(client), taken(client)) == (0, 1)


def test_a_question_asked_twice_is_answered_once(side: Open, client: redis.Redis) -> None:
    """A client that repeats a command whose answer it missed gets the same message, and no other is lost."""
    worker = side()
    worker.send(1, 2)
    request = worker.channel._take(["tasks"], "tag")
    answers = [scripts.run(client, *request) for _ in range(2)]
    assert answers[0] == answers[1]
    assert (waiting(client), taken(client)) == (1, 1)


def test_what_was_done_while_redis_was_away_is_not_done_again(side: Open, restartable: Broker) -> None:
    """An acknowledgement that could not be told is told before anything is given back."""
    worker = side(restartable.url)
    side(restartable.url).send("done", "open")
    done, _ = worker.take(2)
    worker.look()
    restartable.kill()
    with pytest.raises(redis.ConnectionError):
        done.ack()
    worker.connection.close()
    restartable.start()
    (message,) = side(restartable.url).take()
    assert message.payload == "open"
    with redis.Redis.from_url(restartable.url) as client:
        assert (waiting(client), taken(client)) == (0, 1)


def test_everybody_who_waits_is_woken(side: Open) -> None:
    """As many idle workers begin as there are messages, at once, also when messages come in one go."""
    workers = [side() for _ in range(3)]
    for worker in workers:
        worker.listen(prefetch=1)
        with pytest.raises(TimeoutError):
            worker.connection.drain_events(timeout=0.02)
    sender = side()
    sender.send(*range(3))
    began = time.monotonic()
    assert {worker.take()[0].payload for worker in workers} == {0, 1, 2}
    assert time.monotonic() - began < 20


def test_what_needs_no_acknowledgement_is_not_written_down(side: Open, client: redis.Redis) -> None:
    """Answers to control commands belong to nobody once they are delivered."""
    side().send("answer")
    reader = side()
    (message,) = reader.take(no_ack=True)
    assert message.payload == "answer"
    reader.look()
    assert (waiting(client), taken(client), owners(client)) == (0, 0, set())


def test_a_message_can_be_fetched_by_hand(side: Open, client: redis.Redis) -> None:
    """Fetching one message, or none, keeps the same promises."""
    worker = side()
    worker.send("one")
    message = queue(worker.channel).get()
    assert (message.payload, taken(client)) == ("one", 1)
    assert queue(worker.channel).get() is None
    message.ack()
    assert taken(client) == 0


def test_every_key_has_the_prefix(side: Open, client: redis.Redis) -> None:
    """Applications that share a Redis by a key prefix share nothing else."""
    worker = side(global_keyprefix="shop:")
    worker.send("ours")
    (message,) = worker.take()
    worker.look()
    message.requeue()
    assert {key.partition(":")[0] for key in keys(client)} == {"shop"}
    assert side().channel.queue_declare("tasks").message_count == 0
    (again,) = side(global_keyprefix="shop:").take()
    again.ack()
    assert again.payload == "ours"
    worker.connection.close()
    worker = side(global_keyprefix="shop:")
    worker.send("old")
    queue(worker.channel).delete()
    worker.connection.close()
    assert not [key for key in keys(client) if "tasks" in key and "binding" not in key]


def test_what_nobody_can_read_is_put_aside(side: Open, client: redis.Redis) -> None:
    """Something else in the list harms no message behind it, and is kept as it was."""
    worker = side()
    worker.send("fine")
    for strange in (b"\xff\x00", b"[]", b"{}", b'{"properties": 3}', b"null"):
        client.rpush("tasks", strange)
    (message,) = worker.take()
    assert message.payload == "fine"
    assert set(client.lrange(scripts.UNREADABLE, 0, -1)) == {b"\xff\x00", b"[]", b"{}", b'{"properties": 3}', b"null"}
    assert taken(client) == 1


def test_a_full_redis_refuses_what_is_new_and_loses_nothing(side: Open, client: redis.Redis) -> None:
    """Without memory, sending fails clearly, while taking, giving back and acknowledging go on."""
    worker, sender = side(), side()
    sender.send(1, 2)
    worker.listen()
    client.config_set("maxmemory", 1)
    try:
        with pytest.raises(redis.ResponseError, match="maxmemory"):
            sender.send("too much")
        one, two = worker.take(2)
        worker.look()
        one.requeue()
        two.ack()
        (again,) = worker.take()
        again.ack()
    finally:
        client.config_set("maxmemory", 0)
    assert (waiting(client), taken(client)) == (0, 0)


def test_a_redis_that_throws_tasks_away_is_reported(
    side: Open, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever takes tasks from a Redis that evicts keys is told, with what to type."""
    client.config_set("maxmemory", "1gb")
    try:
        side().look()
        assert "maxmemory-policy" not in caplog.text
        client.config_set("maxmemory-policy", "allkeys-lru")
        side().look(2)
    finally:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 0)
    assert caplog.text.count("config set maxmemory-policy noeviction") == 1


def test_dead_addresses_are_noticed(side: Open) -> None:
    """No command waits for ever for a machine that is gone without a word, unless that is asked for."""
    parameters = side().channel.client.connection_pool.connection_kwargs
    assert (parameters["socket_timeout"], parameters["socket_connect_timeout"]) == (30, 5)
    assert side(socket_timeout=7).channel.client.connection_pool.connection_kwargs["socket_timeout"] == 7


def test_messages_of_kombus_own_producers_are_taken(side: Open, redis_url: str, client: redis.Redis) -> None:
    """Producers elsewhere may still use Kombu's transport; theirs are taken within a second, ours can be by theirs."""
    worker = side()
    worker.listen()
    with pytest.raises(TimeoutError):
        worker.connection.drain_events(timeout=0.02)
    with Connection(redis_url) as theirs:
        theirs.Producer().publish("theirs", exchange=TASKS.exchange, routing_key="tasks", declare=[TASKS])
        (message,) = worker.take()
        message.requeue()
        worker.connection.close()
        got = queue(theirs.default_channel).get()
        assert got.payload == "theirs"
        got.ack()


def test_an_inherited_channel_gives_nothing_back(side: Open, client: redis.Redis) -> None:
    """A process that was forked from a worker, and ends, does not give back what its parent is running."""
    side().send("running")
    worker = side()
    worker.take()
    child = os.fork()
    if child == 0:
        worker.connection.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert (waiting(client), taken(client)) == (0, 1)


def test_a_worker_that_lost_its_connection_goes_on(side: Open, client: redis.Redis) -> None:
    """After its connections were cut, a consumer receives again."""
    worker = side()
    worker.listen()
    with pytest.raises(TimeoutError):
        worker.connection.drain_events(timeout=0.02)
    for each in client.client_list():
        if each["id"] != str(client.client_id()):
            client.client_kill_filter(_id=each["id"])
    side().send("later")

    def received() -> object:
        try:
            return worker.take()[0].payload
        except worker.connection.connection_errors:
            return None

    assert wait_until(received, what="it receives again") == "later"


def test_several_addresses_keep_the_transport(side: Open, redis_url: str) -> None:
    """A connection that goes on at the next address goes on with this transport."""
    worker = side(f"redis://127.0.0.1:1/0;{redis_url}")
    worker.connection.ensure_connection(max_retries=3, interval_start=0, interval_step=0)
    assert type(worker.transport).__module__.startswith("hotplate.")
    worker.send("there")
    assert worker.take()[0].payload == "there"
