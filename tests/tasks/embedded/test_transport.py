"""What kombu promises, kept by the embedded broker, without an event loop: scripts, `celery inspect`, web workers."""

import os
import socket
import threading
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from kombu.exceptions import EncodeError, OperationalError

from hotplate.errors import HotplateError
from hotplate.tasks.embedded import url
from hotplate.tasks.embedded.file import Store
from hotplate.tasks.embedded.sweep import sweep
from hotplate.tasks.embedded.transport import Transport
from tests.tasks.embedded import children
from tests.tasks.embedded.kombus import Connection, Exchange, Queue


class Inbox:
    """A consumer that keeps what it gets."""

    def __init__(self, connection: Any, queues: list[Any], *, prefetch: int = 0, no_ack: bool = False) -> None:
        self.connection = connection
        self.messages: list[Any] = []
        self.consumer = connection.Consumer(queues, callbacks=[self._keep], no_ack=no_ack)
        if prefetch:
            self.consumer.qos(prefetch_count=prefetch)
        self.consumer.consume()

    def _keep(self, _body: object, message: Any) -> None:
        self.messages.append(message)

    def get(self, count: int = 1, timeout: float = 10) -> list[Any]:
        """Bodies of the next `count` messages."""
        before = len(self.messages)
        for _ in range(count):
            self.connection.drain_events(timeout=timeout)
        return [message.payload for message in self.messages[before:]]

    def is_empty(self) -> bool:
        """Whether nothing more comes at once."""
        try:
            self.connection.drain_events(timeout=0)
        except TimeoutError:
            return True
        return False


def another(connection: Any) -> Any:
    """A second connection to the same broker."""
    return connection.clone()


def send(connection: Any, *bodies: object, **options: Any) -> None:
    """Sends to the queue q."""
    for body in bodies:
        connection.Producer().publish(body, routing_key="q", serializer="json", **options)


def test_what_is_sent_arrives_in_its_order(connection: Any) -> None:
    """First in, first out, whoever sent it, with body, headers and properties as they were."""
    inbox = Inbox(connection, [Queue("q")])
    send(another(connection), {"a": [1, None, "ü"]}, 2, headers={"h": "x"}, correlation_id="c")
    assert inbox.get(2) == [{"a": [1, None, "ü"]}, 2]
    assert (inbox.messages[0].headers["h"], inbox.messages[0].properties["correlation_id"]) == ("x", "c")


@pytest.mark.parametrize("body", [b"\x00\xff" * 3, "text"])
def test_bodies_of_bytes_and_of_text_arrive_as_they_were(connection: Any, body: bytes | str) -> None:
    """Nothing is base64 in the file, and nothing is guessed."""
    inbox = Inbox(connection, [Queue("q")])
    connection.Producer().publish(body, routing_key="q")
    assert inbox.get() == [body]


def test_the_higher_priority_comes_first(connection: Any) -> None:
    """9 before 0, and in their order within one priority; what is beyond is cut."""
    inbox = Inbox(connection, [Queue("q")])
    for priority in (0, 5, 9, 5, None, 12):
        send(connection, priority, priority=priority)
    assert inbox.get(6) == [9, 12, 5, 5, 0, None]


def test_several_queues_are_read_in_turn(connection: Any) -> None:
    """A long queue does not keep a short one waiting."""
    inbox = Inbox(connection, [Queue("long"), Queue("short")], prefetch=4)
    for number in range(6):
        connection.Producer().publish(f"long {number}", routing_key="long")
    connection.Producer().publish("short", routing_key="short")
    assert "short" in inbox.get(2)


def test_an_acknowledged_message_is_gone(connection: Any, store: Store) -> None:
    """At once where there is no event loop: no later drain or close is needed."""
    inbox = Inbox(connection, [Queue("q")])
    send(connection, 1)
    inbox.get()
    assert store.counts()["q"].taken == 1
    inbox.messages[0].ack()
    assert store.counts()["q"][:3] == (0, 0, 0)


def test_a_rejected_message_is_dropped_or_comes_back_as_redelivered(connection: Any, store: Store) -> None:
    """`requeue` decides; where it was in its queue, it is again."""
    inbox = Inbox(connection, [Queue("q")])
    send(connection, "first", "second")
    assert inbox.get() == ["first"]
    assert inbox.messages[0].delivery_info["redelivered"] is False
    inbox.messages[0].requeue()
    assert inbox.get() == ["first"]
    assert inbox.messages[1].delivery_info["redelivered"] is True
    inbox.messages[1].reject()
    assert inbox.get() == ["second"]
    assert store.counts()["q"][:3] == (0, 0, 1)


def test_no_more_is_taken_than_the_prefetch_limit_allows(connection: Any, store: Store) -> None:
    """What a consumer has no room for stays for others; each acknowledgement makes room for one."""
    inbox = Inbox(connection, [Queue("q")], prefetch=2)
    send(connection, *range(5))
    assert inbox.get(2) == [0, 1]
    assert inbox.is_empty()
    assert store.counts()["q"][:3] == (3, 0, 2)
    inbox.messages[0].ack()
    assert inbox.get() == [2]
    assert inbox.is_empty()


def test_without_a_limit_a_script_takes_one_at_a_time(connection: Any, store: Store) -> None:
    """What it does not ask for stays for others."""
    inbox = Inbox(connection, [Queue("q")])
    send(connection, *range(5))
    inbox.get()
    assert store.counts()["q"][:3] == (4, 0, 1)


def test_who_acknowledges_nothing_owns_nothing(connection: Any, store: Store) -> None:
    """`no_ack`: taken is gone."""
    inbox = Inbox(connection, [Queue("q")], no_ack=True)
    send(connection, 1, 2)
    assert inbox.get() == [1]
    assert store.counts()["q"][:3] == (1, 0, 0)


def test_a_closed_channel_gives_back_what_it_had(connection: Any, store: Store) -> None:
    """Handed over: redelivered. Never handed over: as new."""
    other = another(connection)
    inbox = Inbox(other, [Queue("q")], prefetch=3)
    send(connection, *range(3))
    inbox.get()
    other.close()
    assert [(one.state, one.redelivered) for one in store.peek("q")] == [
        ("ready", True),
        ("ready", False),
        ("ready", False),
    ]


def test_a_killed_consumers_messages_go_to_the_next(connection: Any, store: Store) -> None:
    """Whoever else consumes finds the lock gone, gives them back, and gets them as redelivered."""
    send(connection, 1, 2)

    def consume() -> None:
        with Connection(url(store.path)) as mine:
            Inbox(mine, [Queue("q")], prefetch=5).get()
            children.die()

    assert children.run(consume) == 9
    inbox = Inbox(connection, [Queue("q")], prefetch=5)
    assert inbox.get(2) == [1, 2]
    assert [message.delivery_info["redelivered"] for message in inbox.messages] == [True, True]


def test_waiting_ends_when_a_message_comes(connection: Any, store: Store) -> None:
    """Nobody polls: a consumer that waits for ever is woken by another process."""
    inbox = Inbox(connection, [Queue("q")])
    assert inbox.is_empty()

    def produce() -> None:
        with Connection(url(store.path)) as mine:
            send(mine, "wake up")

    transport = connection.transport
    transport._next_look = time.monotonic() + 1000  # the look that finds lost wake-ups is far away
    child = children.start(produce)
    connection.drain_events()
    assert inbox.messages[0].payload == "wake up"
    os.waitpid(child, 0)


def test_draining_gives_up_in_time(connection: Any) -> None:
    """With kombu's own error."""
    Inbox(connection, [Queue("q")])
    with pytest.raises(socket.timeout):
        connection.drain_events(timeout=0.01)


def test_one_message_can_be_fetched(connection: Any) -> None:
    """`Queue.get` returns a message or nothing, and what is not acknowledged is not lost."""
    queue = Queue("q")(connection.default_channel)
    queue.declare()
    assert queue.get() is None
    send(connection, 1)
    message = queue.get()
    assert message.payload == 1
    assert queue.get() is None
    message.requeue()
    assert queue.get(no_ack=True).payload == 1
    assert queue.get() is None


# ---------------------------------------------------------------- later


def at(seconds: float) -> str:
    """Celery's header for a time."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def test_a_message_is_held_until_it_is_due(connection: Any, store: Store) -> None:
    """In the broker, not in a worker's memory; by the time of day, which a test sets."""
    transport: Transport = connection.transport
    clock = [1_000_000.0]
    transport.now = lambda: clock[0]
    inbox = Inbox(connection, [Queue("q")])
    send(connection, "later", headers={"eta": at(clock[0] + 60)})
    send(connection, "now", headers={"eta": at(clock[0] - 60)})
    assert inbox.get() == ["now"]
    assert inbox.is_empty()
    assert store.counts()["q"][:3] == (0, 1, 1)
    clock[0] += 59.9
    assert inbox.is_empty()
    clock[0] += 0.2
    assert inbox.get() == ["later"]


def test_a_clock_set_back_holds_nothing_twice(connection: Any) -> None:
    """What was due once is not held again; what is not yet due waits for the new clock."""
    transport: Transport = connection.transport
    clock = [1_000_000.0]
    transport.now = lambda: clock[0]
    send(connection, 1, headers={"eta": at(clock[0] + 60)})
    inbox = Inbox(connection, [Queue("q")])
    clock[0] -= 3600
    assert inbox.is_empty()
    clock[0] += 3600 + 61
    assert inbox.get() == [1]
    clock[0] -= 3600
    inbox.messages[0].requeue()
    assert inbox.get() == [1]


def test_waiting_ends_when_a_message_is_due(connection: Any) -> None:
    """The next due message is waited for exactly, not looked for."""
    inbox = Inbox(connection, [Queue("q")])
    assert inbox.is_empty()
    connection.transport._next_look = time.monotonic() + 1000
    due = time.time() + 0.1
    send(connection, 1, headers={"eta": at(due)})
    connection.drain_events(timeout=30)
    assert time.time() >= due
    assert inbox.messages


def test_a_time_without_a_zone_is_the_workers_to_hold(connection: Any) -> None:
    """Only its app's settings say which zone is meant."""
    inbox = Inbox(connection, [Queue("q")])
    send(connection, 1, headers={"eta": "2999-01-01T00:00:00"})
    send(connection, 2, headers={"eta": "tomorrow"})
    assert inbox.get(2) == [1, 2]


# ---------------------------------------------------------------- exchanges


def test_every_consumer_of_a_fanout_gets_a_copy(connection: Any, store: Store) -> None:
    """Also those who are bound by another process; who is gone gets none, and leaves nothing behind."""
    news = Exchange("news", type="fanout")
    inboxes = [
        Inbox(another(connection), [Queue(name, exchange=news, auto_delete=True)]) for name in ("one", "two", "gone")
    ]
    inboxes.pop().connection.close()
    connection.Producer(exchange=news).publish("hello")
    assert [inbox.get() for inbox in inboxes] == [["hello"], ["hello"]]
    for inbox in inboxes:
        inbox.messages[0].ack()
        inbox.connection.close()
    assert store.counts() == {}
    connection.Producer(exchange=news).publish("nobody listens")
    assert store.counts() == {}


def test_a_dead_consumers_own_queues_go_with_it(connection: Any, store: Store) -> None:
    """Queue, copies in it, binding, and socket: nothing of a killed `celery events` stays."""
    news = Exchange("news", type="fanout")

    def listen() -> None:
        with Connection(url(store.path)) as mine:
            Inbox(mine, [Queue("mine", exchange=news, auto_delete=True)])
            mine.Producer(exchange=news).publish("hello")
            children.die()

    assert children.run(listen) == 9
    assert store.counts()["mine"].ready == 1
    sweep(store)
    assert store.counts() == {}
    assert list(store.folder.path.iterdir()) == []


def test_topics_lead_where_their_patterns_say(connection: Any) -> None:
    """`*` is one word, `#` any number of them."""
    topic = Exchange("events", type="topic")
    inbox = Inbox(connection, [Queue("workers", exchange=topic, routing_key="worker.#")])
    producer = connection.Producer(exchange=topic)
    for key in ("worker.online.now", "task.sent", "worker"):
        producer.publish(key, routing_key=key)
    assert inbox.get() == ["worker.online.now"]
    assert inbox.is_empty()


def test_a_direct_exchange_leads_to_what_is_bound_with_the_key(connection: Any) -> None:
    """Bindings are the file's: the producer need not have declared them."""
    direct = Exchange("direct", type="direct")
    inbox = Inbox(connection, [Queue("here", exchange=direct, routing_key="k")])
    producer = another(connection).Producer(exchange=direct)
    producer.publish("no", routing_key="other")
    producer.publish("yes", routing_key="k")
    assert inbox.get() == ["yes"]
    Queue("here", exchange=direct, routing_key="k")(connection.default_channel).unbind_from(direct, routing_key="k")
    producer.publish("no more", routing_key="k")
    assert inbox.is_empty()


def test_queues_can_be_counted_purged_and_deleted(connection: Any, store: Store) -> None:
    """What is taken is nobody's to purge; passive declaring tells whether there is such a queue."""
    queue = Queue("q")(connection.default_channel)
    with pytest.raises(connection.channel_errors, match="NOT_FOUND"):
        queue.queue_declare(passive=True)
    queue.declare()
    send(connection, 1, 2, 3)
    send(connection, 4, headers={"eta": at(time.time() + 600)})
    message = queue.get()
    assert queue.queue_declare(passive=True).message_count == 2
    assert queue.purge() == 3
    assert store.counts()["q"][:3] == (0, 0, 1)
    message.ack()
    queue.delete()
    assert store.counts() == {}


# ---------------------------------------------------------------- processes and threads


def test_threads_of_a_web_worker_may_send_at_once(connection: Any, store: Store) -> None:
    """Each by its own connection, as Celery's pools give them out; nothing is lost, nothing is sent twice."""

    def work(name: str) -> None:
        with another(connection) as mine:
            for number in range(20):
                send(mine, f"{name}{number}")

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    inbox = Inbox(connection, [Queue("q")], prefetch=100)
    assert sorted(inbox.get(80)) == sorted(f"{name}{number}" for name in "abcd" for number in range(20))
    assert inbox.is_empty()


def test_a_child_may_send_but_has_nothing_of_its_parents(connection: Any, store: Store) -> None:
    """A forked child that uses, acknowledges with, and closes its parent's connection takes nothing from the parent."""
    inbox = Inbox(connection, [Queue("q")], prefetch=1)
    send(connection, "parent's")
    inbox.get()

    def child() -> None:
        send(connection, "child's")
        inbox.messages[0].ack_log_error(None, ())
        connection.close()

    assert children.run(child) == 0
    assert store.counts()["q"][:3] == (1, 0, 1)
    inbox.messages[0].ack()
    assert inbox.get() == ["child's"]


# ---------------------------------------------------------------- what is refused


def test_a_header_that_no_process_could_read_is_refused(connection: Any, store: Store) -> None:
    """Before anything is written."""
    with pytest.raises(EncodeError, match="object"):
        send(connection, 1, headers={"thing": object()})
    assert store.counts() == {}


def test_a_url_that_makes_no_sense_says_so() -> None:
    """In our words, not in kombu's."""
    with (
        Connection("hotplate:////tmp/x.sqlite?fast=yes") as connection,
        pytest.raises(HotplateError, match="no option 'fast'"),
    ):
        connection.connect()


def test_another_applications_file_is_refused_at_connecting(store: Store) -> None:
    """Where the app names itself; with ?shared=yes both may use it."""
    store.claim("shop")
    options = {"application": "blog"}
    with (
        Connection(url(store.path), transport_options=options) as connection,
        pytest.raises(OperationalError, match="for blog: it is shop's"),
    ):
        connection.connect()
    with Connection(url(store.path, shared=True), transport_options=options) as connection:
        connection.connect()


def test_consumers_learn_that_the_file_was_taken_away(connection: Any, store: Store) -> None:
    """They connect again, as after a broker's restart, instead of waiting at a file that nobody else sees."""
    Inbox(connection, [Queue("q")])
    for beside in store.path.parent.glob("tasks.sqlite*"):
        if beside.is_file():
            beside.unlink()
    connection.transport._next_look = 0.0
    with pytest.raises(connection.connection_errors, match="moved away or deleted"):
        connection.drain_events(timeout=5)
