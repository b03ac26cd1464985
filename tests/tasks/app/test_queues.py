"""Workers take from every queue into which their own app sends, as far as that can be told."""

from __future__ import annotations

import re
from typing import Any

import celery
import pytest
from kombu import common

from hotplate.errors import ExitCode, HotplateError
from hotplate.tasks import queues
from hotplate.tasks.worker.loose import Exchange, Queue
from tests.tasks.app.conftest import Make

Broadcast: Any = common.Broadcast


def route(name: str, *_: Any, **__: Any) -> dict[str, str]:
    """Send by what only the moment of sending tells."""
    return {"queue": name[-1]}


class Old:
    """A router as they were before Celery 4."""

    def route_for_task(self, *_: Any) -> None:
        """Send nowhere in particular."""


def app(make: Make, **conf: Any) -> celery.Celery:
    """Return an app with three tasks, one of which names its queue."""
    made = make(**conf)

    @made.task(name="shop.mail", queue="mail")
    def mail() -> None: ...

    @made.task(name="shop.add")
    def add() -> None: ...

    @made.task(name="reports.make")
    def report() -> None: ...

    return made


@pytest.mark.parametrize(
    ("conf", "names"),
    [
        ({}, ["celery", "mail"]),
        ({"task_default_queue": "shop"}, ["shop", "mail"]),
        ({"task_routes": {"shop.add": {"queue": "sums"}}}, ["celery", "mail", "sums"]),
        ({"task_routes": {"shop.add": "sums", "reports.*": "slow"}}, ["celery", "mail", "sums", "slow"]),
        ({"task_routes": [{"shop.add": "sums"}, {"*": {"queue": "rest"}}]}, ["celery", "rest", "mail", "sums"]),
        ({"task_routes": ([("shop.add", {"queue": "sums"}), (re.compile("rep.*"), "slow")],)}, None),
        ({"task_routes": {"shop.add": {"queue": Queue("sums")}}}, ["celery", "mail", "sums"]),
        ({"task_routes": {"shop.mail": "unused", "of.others": "theirs"}}, ["celery", "mail"]),
        ({"task_routes": {"shop.add": {"priority": 3}}}, ["celery", "mail"]),
        ({"task_queues": [Queue("big"), Queue("small")]}, ["celery", "big", "small", "mail"]),
        ({"task_queues": [Broadcast("all")]}, ["celery", "all", "mail"]),
        ({"task_queues": [Queue("mail")], "task_create_missing_queues": False}, ["mail"]),
    ],
)
def test_queues_of_an_app(make: Make, conf: dict[str, Any], names: list[str] | None) -> None:
    """The default one, those of its settings, and those that its own tasks and the routes they go by name."""
    taken = queues.taken(app(make, **conf))
    wanted = names or ["celery", "mail", "sums", "slow"]
    assert (taken.names[0], set(taken.names)) == (wanted[0], set(wanted))
    assert taken.routers == ()


@pytest.mark.parametrize(
    ("routes", "names"),
    [(route, ("route",)), ("site.routers.route", ("site.routers.route",)), ([{"shop.add": "sums"}, Old()], ("Old",))],
)
def test_functions_are_named(make: Make, routes: Any, names: tuple[str, ...]) -> None:
    """Where they send to is not known before; they are not imported or called for it."""
    taken = queues.taken(app(make, task_routes=routes))
    assert taken.routers == names
    assert set(taken.names) - {"sums"} == {"celery", "mail"}


def test_where_they_are_is_where_they_are_sent(make: Make) -> None:
    """What Celery would do with each task is what we have understood of its routes."""
    exchange = Exchange("topics", "topic")
    made = app(
        make,
        task_queues=[Queue("celery"), Queue("feeds", exchange, "feeds.#")],
        task_routes=[{"shop.*": {"queue": "feeds", "routing_key": "feeds.shop"}}, {"reports.*": "slow"}],
    )
    names = queues.taken(made).names
    for task in made.tasks.values():
        options = {"queue": task.queue} if getattr(task, "queue", None) else {}
        sent = made.amqp.router.route(options, task.name)
        assert sent["queue"].name in names


def test_a_queue_that_is_not_made_is_refused(make: Make) -> None:
    """Where its user said that only those of task_queues exist."""
    made = app(make, task_queues=[Queue("mail")], task_create_missing_queues=False)
    queues.refuse_unknown(made, ("mail",))
    with pytest.raises(HotplateError, match="take tasks from the queue slow") as refused:
        queues.refuse_unknown(made, ("mail", "slow"))
    assert refused.value.code is ExitCode.USAGE
    queues.refuse_unknown(app(make), ("anything",))
