"""It is Celery, with better defaults below whatever its user says."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import celery
import flask
import pytest
from celery import Task, shared_task
from celery.app.defaults import SETTING_KEYS
from flask import g

import hotplate
from hotplate.errors import ExitCode, HotplateError
from hotplate.tasks import defaults
from hotplate.tasks.app import Surrounded
from hotplate.tasks.app import make as make_app
from tests.tasks.app.conftest import Make, Run

MEMORY = {"broker_url": "memory://", "result_backend": "cache+memory://"}


def test_every_default_has_a_reason_and_is_a_setting() -> None:
    """No row is a typing error, and none repeats what Celery does by itself."""
    plain = celery.Celery(set_as_current=False)
    for row in defaults.DEFAULTS:
        assert row.reason.endswith(".")
        assert row.name in SETTING_KEYS or row.name in defaults.OURS
        known = plain.conf.get(row.name)
        assert row.value != known or row.name in {
            "task_serializer", "result_serializer", "worker_send_task_events", "enable_utc",
            "worker_prefetch_multiplier", "worker_cancel_long_running_tasks_on_connection_loss",
        }  # fmt: skip


@pytest.mark.parametrize("name", [row.name for row in defaults.DEFAULTS if not row.only])
def test_defaults_hold(name: str) -> None:
    """On every broker."""
    app = make_app("shop", "fail", {})
    assert app.conf[name] == {row.name: row.value for row in defaults.DEFAULTS if not row.only}[name]


def test_the_embedded_broker_is_there_without_a_word(tmp_path: Path) -> None:
    """Messages and results in one file."""
    app = make_app("shop", "fail", {})
    assert app.conf.broker_url == app.conf.result_backend == f"hotplate:///{tmp_path / 'state' / 'shop.sqlite'}"


def test_a_redis_gets_the_transport_that_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Named in the environment or by the app."""
    by_app = make_app("shop", "fail", {"broker_url": "redis://cache"})
    monkeypatch.setenv("REDIS_URL", "redis://cache/1")
    by_environment = make_app("shop", "fail", {})
    for app, url in ((by_app, "redis://cache"), (by_environment, "redis://cache/1")):
        assert app.conf.broker_url == app.conf.result_backend == url
        assert app.conf.broker_transport == "hotplate.tasks.redis:Transport"
        assert app.connection_for_read().transport_cls == "hotplate.tasks.redis:Transport"


def test_a_broker_in_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Celery has it, even over the app's own."""
    monkeypatch.setenv("CELERY_BROKER_URL", "amqp://queue//")
    app = make_app("shop", "fail", {"broker_url": "redis://cache"})
    assert app.conf.broker_url == "amqp://queue//"
    assert app.broker().kind == "amqp"
    assert app.broker().origin == "CELERY_BROKER_URL"
    assert app.conf.broker_transport is None
    assert app.conf.broker_transport_options == {"confirm_publish": True}


class _Object:
    task_time_limit = 30
    broker_url = "memory://"


def _by_update(app: Any) -> None:
    app.conf.update(task_time_limit=30)


def _by_attribute(app: Any) -> None:
    app.conf.task_time_limit = 30


def _by_object(app: Any) -> None:
    app.config_from_object(_Object)


def _by_old_names(app: Any) -> None:
    app.config_from_object({"CELERYD_TASK_TIME_LIMIT": 30})


def _by_namespace(app: Any) -> None:
    app.config_from_object({"SHOP_TASK_TIME_LIMIT": 30}, namespace="SHOP")


_EARLY = [(each, False) for each in (_by_update, _by_attribute, _by_object, _by_old_names, _by_namespace)]


# The others are read by Celery when its configuration is first needed, and not again.
@pytest.mark.parametrize(("set_it", "late"), [*_EARLY, (_by_update, True), (_by_attribute, True)])
def test_whatever_the_user_sets_wins(set_it: Any, late: bool) -> None:
    """In each of Celery's ways, early or late."""
    app = make_app("shop", "fail", {})
    if late:
        assert app.conf.task_acks_late
    set_it(app)
    assert app.conf.task_time_limit == 30
    assert app.conf.task_acks_late


def test_keywords_win_over_the_web_apps_configuration() -> None:
    """And that over ours."""
    web = flask.Flask("shop")
    web.config["CELERY"] = {"task_time_limit": 30, "task_acks_late": False, **MEMORY}
    web.config["CELERY_TIMEZONE"] = "Europe/Berlin"
    app = hotplate.tasks.celery(web, task_time_limit=20)
    conf = app.conf
    assert (conf.task_time_limit, conf.task_acks_late, conf.timezone) == (20, False, "Europe/Berlin")


def test_flasks_configuration_may_come_later() -> None:
    """It is read when it is needed."""
    web = flask.Flask("shop")
    app = hotplate.tasks.celery(web)
    web.config.from_mapping(CELERY={"task_default_queue": "mail", **MEMORY})
    assert app.conf.task_default_queue == "mail"
    assert app.conf.broker_url == "memory://"


def test_a_setting_that_does_not_exist_is_refused() -> None:
    """With the one that was meant."""
    with pytest.raises(HotplateError, match="Did you mean task_time_limit") as refused:
        hotplate.tasks.celery(name="shop", task_timelimit=5)
    assert refused.value.code is ExitCode.USAGE
    with pytest.raises(HotplateError, match="without_broker"):
        hotplate.tasks.celery(name="shop", without_broker="wait")  # type: ignore[arg-type]  # what is refused
    with pytest.raises(HotplateError, match="object"):
        hotplate.tasks.celery(object())


@pytest.mark.parametrize(
    ("conf", "limits", "expected"),
    [
        ({}, {}, (3600, 3660)),
        ({"task_time_limit": 60}, {}, (None, 60)),
        ({"task_soft_time_limit": 7200}, {}, (7200, 7260)),
        ({}, {"time_limit": 60}, (None, 60)),
        ({}, {"soft_time_limit": 7200}, (7200, 7260)),
        ({}, {"soft_time_limit": 10}, (10, 3660)),
        ({"task_time_limit": 60}, {"soft_time_limit": 10}, (10, 60)),
    ],
)
def test_limits_of_ones_own_move_ours(make: Make, conf: dict[str, int], limits: dict[str, int], expected: Any) -> None:
    """Celery refuses a task whose soft limit is above its hard one, and nobody knows that one of them is ours."""
    app = make(**conf)

    @app.task(**limits)
    def work() -> None: ...

    assert (work.soft_time_limit, work.time_limit) == expected
    work.delay()


def test_it_is_celery(make: Make, run: Run) -> None:
    """Tasks, retries, chains and names are Celery's."""
    app = make()
    assert isinstance(app, celery.Celery)

    @app.task(bind=True, max_retries=1)
    def work(self: Any) -> str:
        return str(self.request.id)

    identity, state, result = run(work)
    assert (state, result) == ("SUCCESS", identity)
    assert work.name == "tests.tasks.app.test_app.work"
    assert pickle.loads(pickle.dumps(app)).main == "shop"  # noqa: S301  # our own bytes


def test_a_task_class_keeps_its_own_request_and_strategy(make: Make) -> None:
    """Ours stand where the user's class has Celery's; what it names itself is its user's choice."""
    app = make()

    class Plain(Task):
        """Says nothing of how it is received."""

    class Watched(Plain):
        """Has a request of its own, as Celery's documentation shows."""

        Request = "site.requests:Watched"

    class Sampled(Watched):
        """Has both."""

        Strategy = "site.strategies:sampled"

    def work() -> None: ...

    made = {base: app.task(base=base, name=base.__name__)(work) for base in (Plain, Watched, Sampled)}
    ours = (Surrounded.Request, Surrounded.Strategy)
    assert (made[Plain].Request, made[Plain].Strategy) == ours
    assert (made[Watched].Request, made[Watched].Strategy) == ("site.requests:Watched", ours[1])
    assert (made[Sampled].Request, made[Sampled].Strategy) == ("site.requests:Watched", "site.strategies:sampled")
    assert all(isinstance(task, Surrounded) for task in (app.tasks[each.__name__] for each in made))


# ---------------------------------------------------------------- Flask's context


@pytest.fixture
def web() -> flask.Flask:
    """A Flask app."""
    web = flask.Flask("shop")
    web.config["CELERY"] = MEMORY
    return web


def test_a_task_runs_within_the_app(web: flask.Flask, run: Run) -> None:
    """Its configuration, its extensions and a `g` of its own are there, and its teardown runs."""
    ended: list[bool] = []
    web.teardown_appcontext(lambda _: ended.append(True))
    app = hotplate.tasks.celery(web)
    web.config["GREETING"] = "hello"

    @app.task
    def greet() -> str:
        assert not hasattr(g, "seen")
        g.seen = True
        return str(flask.current_app.config["GREETING"])

    assert [run(greet)[1:] for _ in range(2)] == [("SUCCESS", "hello")] * 2
    assert ended == [True, True]


def test_a_module_that_never_left_its_context(web: flask.Flask, run: Run) -> None:
    """`app.app_context().push()` at the top of a module is common; tasks share nothing through it."""
    app = hotplate.tasks.celery(web)

    @app.task
    def work() -> bool:
        fresh = not hasattr(g, "seen")
        g.seen = True
        return fresh

    with web.app_context():
        assert [run(work)[2] for _ in range(2)] == [True, True]


def test_a_task_called_like_a_function_shares_the_callers_context(web: flask.Flask) -> None:
    """Else the end of its context would take the session from the request."""
    ended: list[bool] = []
    web.teardown_appcontext(lambda _: ended.append(True))
    app = hotplate.tasks.celery(web)

    @app.task
    def work() -> str:
        return str(g.user)

    with web.test_request_context():
        g.user = "ada"
        assert work() == "ada"
        assert work.apply().get() == "ada"
        assert not ended
    other = flask.Flask("other")
    with other.app_context(), pytest.raises(AttributeError):
        work()  # another app's context is not this one's


@pytest.mark.parametrize("way", ["base", "class", "instance", "shared"])
def test_however_a_task_was_made(web: flask.Flask, run: Run, way: str) -> None:
    """With a base class of one's own, as a class, and shared, it has the context, too."""
    app = hotplate.tasks.celery(web)

    class Base(Task):
        extra = "extra"

        def run(self, *_: Any) -> str:
            return f"{flask.current_app.name} {self.extra}"

    class Named(Base):
        name = "named"

    if way == "base":

        @app.task(base=Base, bind=True)
        def work(self: Any) -> str:
            return f"{flask.current_app.name} {self.extra}"

    elif way == "shared":

        @shared_task
        def work() -> str:
            return f"{flask.current_app.name} extra"

    else:
        work = app.register_task(Named if way == "class" else Named())
    assert run(app.tasks[work.name])[1:] == ("SUCCESS", "shop extra")


def test_a_factory_may_make_many(run: Run) -> None:
    """Each app's tasks are its own, although their names are the same; shared ones run in the latest."""

    def create_app(name: str) -> tuple[flask.Flask, Any]:
        web = flask.Flask(name)
        web.config["CELERY"] = MEMORY
        app = hotplate.tasks.celery(web)

        @app.task(name="work")
        def work() -> str:
            return f"{name} {flask.current_app.name}"

        return web, work

    @shared_task
    def shared() -> str:
        return flask.current_app.name

    made = [create_app(name) for name in ("one", "two")]
    assert [run(work)[2] for _, work in made] == ["one one", "two two"]
    assert run(shared)[2] == "two"
    assert all(web.extensions["celery"].web is web for web, _ in made)


def test_init_app_does_the_same(web: flask.Flask, run: Run) -> None:
    """For apps whose extensions are made at the top of a module."""
    app = hotplate.tasks.celery()

    @app.task
    def work() -> str:
        return flask.current_app.name

    app.init_app(web)
    assert run(work)[2] == "shop"
    assert web.extensions["celery"] is app


def test_its_name_is_flasks_or_the_callers(web: flask.Flask) -> None:
    """So that a file and the names of tasks are the same in every process."""
    assert hotplate.tasks.celery(web).main == "shop"
    assert hotplate.tasks.celery().main == __name__
    names = {"__name__": "__main__", "__file__": "/srv/site.py"}
    exec("import hotplate; made = hotplate.tasks.celery()", names)  # noqa: S102  # a script of two lines
    assert names["made"].main == "site"  # type: ignore[attr-defined]  # it is no text


def test_nothing_is_opened_before_it_is_needed(tmp_path: Path) -> None:
    """Making the app touches no disk and no network: a factory runs in tests, shells and migrations."""
    app = hotplate.tasks.celery(flask.Flask("shop"))

    @app.task
    def work() -> None: ...

    assert app.conf.broker_url.startswith("hotplate:")
    assert not (tmp_path / "state").exists()
    assert os.environ.get("CELERY_BROKER_URL") is None
