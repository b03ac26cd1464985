"""What kombu promises, kept by the embedded broker, without an event loop: scripts, `celery inspect`, web workers."""

import os
import socket
import threading
import time
from typing import Any

import pytest
from kombu.exceptions import EncodeError, OperationalError

from hotplate.errors import HotplateError
from hotplate.tasks.embedded import url
from hotplate.tasks.embedded.file import Store
from tests.tasks.embedded import children
from tests.tasks.embedded.inbox import Inbox, another, send
from tests.tasks.embedded.kombus import Connection, Queue


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
    transport.turns.next_look = time.monotonic() + 1000  # the look that finds lost wake-ups is far away
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
    connection.transport.turns.next_look = 0.0
    with pytest.raises(connection.connection_errors, match="moved away or deleted"):
        connection.drain_events(timeout=5)
