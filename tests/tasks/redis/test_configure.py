"""How an app comes by this transport, directly or by sentinels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from hotplate.tasks.redis import SENTINEL, TRANSPORT, configure
from tests.support.servers import redis_says, server_folder
from tests.support.services import Service, Spec, free_port, require, start
from tests.tasks.redis.sides import Side

pytestmark = pytest.mark.redis


@pytest.fixture
def sentinel(redis_service: Service) -> Iterator[str]:
    """Address of a sentinel that names the private Redis."""
    redis_says(redis_service.port, "FLUSHALL")
    with server_folder("sentinel") as folder:
        port = free_port()
        conf: Path = folder / "sentinel.conf"
        conf.write_text(f"port {port}\nbind 127.0.0.1\nsentinel monitor mymaster 127.0.0.1 {redis_service.port} 1\n")
        spec = Spec(
            name="sentinel",
            command=[require("redis-server", "valkey-server"), conf, "--sentinel"],
            folder=folder,
            is_ready=lambda: redis_says(port, "PING") == "+PONG",
        )
        with start(spec):
            yield f"sentinel://127.0.0.1:{port}/0"


def test_an_app_is_told_once_and_keeps_what_it_says() -> None:
    """What the app has set stays; the transport and the owner are added."""
    app = Celery("app", broker="redis://cache", set_as_current=False)
    app.conf.broker_transport_options = {"global_keyprefix": "shop:", "socket_timeout": 3}
    configure(app.conf, owner="shop-0@web1")
    options = app.conf.broker_transport_options
    assert app.conf.broker_transport == TRANSPORT
    assert (options["global_keyprefix"], options["socket_timeout"]) == ("shop:", 3)
    assert options["hotplate_owner"] == "shop-0@web1"
    other = Celery("other", broker="redis://cache", set_as_current=False)
    other.conf.broker_transport = "redis"
    configure(other.conf)
    assert other.conf.broker_transport == "redis"
    assert "hotplate_owner" not in other.conf.broker_transport_options


def test_the_owners_name_reaches_the_one_who_takes(redis_url: str) -> None:
    """What others see of a worker begins with the place it has."""
    app = Celery("app", broker=redis_url, set_as_current=False)
    configure(app.conf, owner="shop-0@web1")
    with app.connection_for_read() as connection:
        assert str(connection.transport.owner).startswith("shop-0@web1|")


def test_sentinels_lead_to_the_same_promises(sentinel: str) -> None:
    """Where sentinels say which Redis to use, messages belong to those who take them just as well."""
    app = Celery("app", broker=sentinel, set_as_current=False)
    app.conf.broker_transport_options = {"master_name": "mymaster"}
    configure(app.conf)
    assert app.conf.broker_transport == SENTINEL
    with app.connection_for_write() as sending, app.connection_for_read() as receiving:
        Side(sending).send("there")
        worker = Side(receiving)
        (message,) = worker.take()
        worker.look()
        message.requeue()
        (again,) = worker.take()
        assert (again.payload, again.delivery_info["redelivered"]) == ("there", True)
        again.ack()
