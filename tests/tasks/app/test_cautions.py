"""What would turn out later is said at the start, with what to type."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import celery
import pytest

from hotplate.tasks import brokers, found
from hotplate.tasks.app import make as make_app
from hotplate.tasks.cautions import cautions
from tests.tasks.app.conftest import Make


def told(app: celery.Celery, **environ: str) -> list[str]:
    """Return what is said of an app."""
    what = found.find(SimpleNamespace(extensions={"celery": app}))
    assert what is not None
    return list(cautions(found.complete(what, environ)))


def with_task(app: celery.Celery, name: str, *, shared: bool = False) -> celery.Celery:
    """Give an app a task."""

    @app.task(name=name, shared=shared)
    def work() -> None: ...

    return app


def test_a_redis_that_nobody_can_speak_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """REDIS_URL alone is no reason not to start; that it is not used is said."""
    monkeypatch.setattr(brokers, "installed", lambda name: name != "redis")
    monkeypatch.setenv("REDIS_URL", "redis://cache")
    assert told(make_app("shop", "fail", {})) == [
        "REDIS_URL is set, but redis-py is not installed: pip install 'hotplate[redis]' to share tasks there."
    ]
    environ = {"REDIS_URL": "redis://cache", "HOTPLATE_TASKS_DIR": str(tmp_path)}
    assert "pip install" in told(celery.Celery("theirs"), **environ)[0]


@pytest.mark.parametrize(
    ("conf", "environ", "is_told"),
    [
        ({}, {}, True),
        ({}, {"REDIS_URL": "redis://cache"}, False),
        ({}, {"CELERY_RESULT_BACKEND": "rpc://"}, False),
        ({"result_backend": "db+sqlite:///x"}, {}, False),
        ({"result_backend": "hotplate:////var/shop.sqlite"}, {"REDIS_URL": "redis://cache"}, True),
    ],
)
def test_results_that_other_machines_do_not_see(
    monkeypatch: pytest.MonkeyPatch, conf: dict[str, str], environ: dict[str, str], is_told: bool
) -> None:
    """Tasks in RabbitMQ are everybody's, results in a file are one machine's: chords across machines never end."""
    monkeypatch.setenv("CELERY_BROKER_URL", "amqp://app:hunter2@queue//")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    said = told(make_app("shop", "fail", conf))
    assert bool(said) == is_told
    for text in said:
        assert "export CELERY_RESULT_BACKEND=" in text
        assert "hunter2" not in text


def test_an_app_that_keeps_no_results_is_left_in_peace(tmp_path: Path) -> None:
    """Nor is one whose tasks and results are both in the file of this machine."""
    assert told(celery.Celery("theirs", broker="amqp://queue//")) == []
    assert told(celery.Celery("theirs"), HOTPLATE_TASKS_DIR=str(tmp_path)) == []


def test_another_app_is_told_with_how_to_run_it(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the module that has it; without one, by what such a name looks like."""
    module: Any = ModuleType("shop_mails")
    module.mails = with_task(celery.Celery("mails"), "mails.send")
    app = with_task(make(), "shop.work")
    (said,) = told(app)
    assert said.endswith("hotplate tasks run MODULE:NAME --name NAME")
    monkeypatch.setitem(sys.modules, "shop_mails", module)
    (said,) = told(app)
    assert "another Celery app, mails," in said
    assert said.endswith("Type: hotplate tasks run shop_mails:mails --name mails")


def test_the_same_app_made_twice_is_no_other_one(make: Make) -> None:
    """Factories do so; and Celery's own `task` gives a task to every app there is."""
    with_task(make(), "shop.work")
    celery.Celery("empty", broker="memory://")
    shared = with_task(celery.Celery("shared", broker="memory://"), "shared.work", shared=True)
    assert told(with_task(make(), "shop.work")) == []
    shared.conf.broker_url = "amqp://elsewhere//"  # then nobody takes what it sends there
    assert len(told(with_task(make(), "shop.work"))) == 1
