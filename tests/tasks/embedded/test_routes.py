"""Queues and exchanges, which every process knows."""

from typing import Any

import pytest

from hotplate.tasks.embedded import url
from hotplate.tasks.embedded.file import Store
from hotplate.tasks.embedded.sweep import sweep
from tests.tasks.embedded import children
from tests.tasks.embedded.inbox import Inbox, another, send
from tests.tasks.embedded.kombus import Connection, Exchange, Queue


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
    send(connection, 4, headers={"eta": "2999-01-01T00:00:00+00:00"})
    message = queue.get()
    assert queue.queue_declare(passive=True).message_count == 2
    assert queue.purge() == 3
    assert store.counts()["q"][:3] == (0, 0, 1)
    message.ack()
    queue.delete()
    assert store.counts() == {}
