"""The Celery app of a web app is found wherever it was made; what its user has set stays as it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import celery
import flask
import pytest
from celery import shared_task

import hotplate
from hotplate.errors import ExitCode, HotplateError
from hotplate.tasks import found
from tests.tasks.app.conftest import Make


def _module(**held: Any) -> ModuleType:
    module = ModuleType("site")
    vars(module).update(held)
    return module


def _foreign(name: str = "theirs", **conf: Any) -> celery.Celery:
    app = celery.Celery(name)
    app.conf.update(conf)

    @app.task(name=f"{name}.work", shared=False)
    def work() -> None: ...

    return app


def test_an_app_without_celery_imports_none() -> None:
    """Looking costs such an app nothing."""
    code = "import sys; from hotplate.tasks import found; print(found.find(object()), 'celery' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["None", "False"]


def test_ours_by_flasks_extensions() -> None:
    """Made at the top of a module or in a factory."""
    web = flask.Flask("shop")
    app = hotplate.tasks.celery(web, broker_url="memory://")

    @app.task
    def work() -> None: ...

    what = found.find(web)
    assert what is not None
    assert (what.app, what.name, what.ours, what.tasks) == (app, "shop", True, (work.name,))
    assert (what.schedule, what.queues, what.broker.kind, what.others) == (False, ("celery",), "other", ())


@pytest.mark.parametrize("where", ["extension", "state", "module", "celery_app", "any name", "anywhere", "current"])
def test_theirs_wherever_it_is(where: str) -> None:
    """Where documentation keeps it, and where nobody does."""
    app = _foreign()
    web: object = SimpleNamespace()
    modules = []
    if where == "extension":
        web = SimpleNamespace(extensions={"celery": app})
    elif where == "state":
        web = SimpleNamespace(state=SimpleNamespace(celery=app))
    elif where == "current":
        app.set_default()
    elif where != "anywhere":
        modules = [_module(**{where.replace(" ", "_").replace("module", "celery"): app, "celery_module": celery})]
    what = found.find(web, modules)
    assert what is not None
    assert (what.app, what.ours, what.tasks) == (app, False, ("theirs.work",))


def test_the_nearest_of_several() -> None:
    """The web app's own before the others, which are named."""
    other, app = _foreign("other"), _foreign()
    other.set_default()
    what = found.find(SimpleNamespace(extensions={"celery": app}))
    assert what is not None
    assert (what.app, [other.name for other in what.others]) == (app, ["other"])


def test_an_app_that_celery_made_by_itself_is_none() -> None:
    """Whoever touches `current_app` without having one gets one; it counts only with tasks."""
    assert celery.current_app.main == "default"
    assert found.find(object()) is None

    @shared_task(name="shared.work")
    def work() -> None: ...

    celery.current_app.finalize()
    celery.current_app.tasks.register(work._get_current_object())
    what = found.find(object())
    assert what is not None
    assert "shared.work" in what.tasks


def test_a_schedule_is_seen(make: Make) -> None:
    """However it was written."""
    app = make()

    @app.on_after_finalize.connect
    def plan(sender: Any, **_: Any) -> None:
        sender.add_periodic_task(60, work.s(), name="minutely")

    @app.task
    def work() -> None: ...

    what = found.find(SimpleNamespace(extensions={"celery": app}))
    assert what is not None
    assert what.schedule
    foreign = found.find(SimpleNamespace(extensions={"celery": _foreign(beat_scheduler="elsewhere:Scheduler")}))
    assert foreign is not None
    assert foreign.schedule


def test_modules_of_tasks_are_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the app includes counts as its tasks."""
    (tmp_path / "more_tasks.py").write_text("from celery import shared_task\n@shared_task\ndef more(): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    what = found.find(SimpleNamespace(extensions={"celery": _foreign(include=["more_tasks"])}))
    assert what is not None
    assert what.tasks == ("more_tasks.more", "theirs.work")


def test_a_module_that_fails_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, and their traceback below it."""
    (tmp_path / "broken_tasks.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(HotplateError, match="ZeroDivisionError") as failed:
        found.find(SimpleNamespace(extensions={"celery": _foreign(include=["broken_tasks"])}))
    assert failed.value.code is ExitCode.APP_IMPORT_FAILED
    assert "broken_tasks.py" in failed.value.detail


def _complete(app: celery.Celery, environ: dict[str, str]) -> found.Found:
    what = found.find(SimpleNamespace(extensions={"celery": app}))
    assert what is not None
    return found.complete(what, environ)


def test_a_missing_broker_is_filled_in(tmp_path: Path) -> None:
    """With one that is there, and a place for results."""
    app = _foreign()
    what = _complete(app, {"HOTPLATE_TASKS_DIR": str(tmp_path)})
    assert app.conf.broker_url == app.conf.result_backend == f"hotplate:///{tmp_path / 'theirs.sqlite'}"
    assert what.broker.kind == "embedded"
    app = _foreign()
    _complete(app, {"REDIS_URL": "redis://cache"})
    assert (app.conf.broker_url, app.conf.broker_transport) == ("redis://cache", "hotplate.tasks.redis:Transport")
    assert not app.conf.task_acks_late


@pytest.mark.parametrize(
    "conf",
    [
        {"broker_url": "amqp://queue//"},
        {"broker_url": "redis://cache", "result_backend": "rpc://"},
        {"broker_transport": "memory"},
        {"broker_read_url": "amqp://a//", "broker_write_url": "amqp://b//"},
    ],
)
def test_a_broker_that_was_set_stays(conf: dict[str, str]) -> None:
    """And nothing else is touched: results that its user did not want are not begun to be kept."""
    app = _foreign(**conf)
    _complete(app, {"REDIS_URL": "redis://cache"})
    assert {name: app.conf[name] for name in conf} == conf
    assert app.conf.result_backend == conf.get("result_backend")


def test_results_that_were_set_stay(tmp_path: Path) -> None:
    """Where only the broker is missing."""
    app = _foreign(result_backend="rpc://")
    _complete(app, {"HOTPLATE_TASKS_DIR": str(tmp_path)})
    assert app.conf.result_backend == "rpc://"
    assert app.conf.broker_url.startswith("hotplate:")


def test_without_celery_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra, in the words of pip."""
    monkeypatch.setattr(hotplate.tasks, "installed", lambda _: False)
    for name in ("celery", "accepted", "progress"):
        vars(hotplate.tasks).pop(name, None)
        with pytest.raises(HotplateError, match=r"pip install 'hotplate\[tasks\]'") as refused:
            getattr(hotplate.tasks, name)
        assert refused.value.code is ExitCode.MISSING_EXTRA
    with pytest.raises(AttributeError):
        hotplate.tasks.nothing  # noqa: B018  # looking is what is refused
