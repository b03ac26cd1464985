"""From a folder to the broker of its tasks, without importing the app: at night a model of 20 s is in nobody's way."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hotplate.cli.parts import Flag
from hotplate.cli.reach import Instance, instance, instance_flags
from hotplate.errors import ExitCode, HotplateError

if TYPE_CHECKING:
    from hotplate.tasks.brokers import Broker

_PATIENCE = 2.0  # seconds for the instance to say what it has
_IMPORT = "or import the app to learn what it says: --import"


class Reached(NamedTuple):
    """A broker, and a Celery app by which to speak to it.

    Args:
        app: Celery's.
        broker: of that app, with what named it.
        queues: names that are known.
    """

    app: Any
    broker: Broker
    queues: tuple[str, ...]


def broker_flags() -> list[Flag]:
    """Return the flags by which every command of the tasks finds the broker."""
    from hotplate.settings import SETTINGS

    shown = "Broker to look at. [default: as `hotplate run` reads it]"
    return [
        *instance_flags(),
        Flag([SETTINGS["broker_url"].flag], group="Instance", metavar="URL", help=shown),
        Flag(
            ["--queue", "queues"],
            group="Instance",
            metavar="NAME",
            multiple=True,
            help="A queue besides those that broker and workers name; may be repeated.",
        ),
        Flag(
            ["--import/--no-import", "imported"],
            group="Instance",
            default=False,
            help="Import the app to learn its broker, queues and name. [default: no-import]",
        ),
        Flag(["--app"], group="Instance", metavar="TARGET", help="Which app --import means, as for `hotplate run`."),
    ]


def reach(**flags: Any) -> Reached:  # noqa: ANN401  the values of click's flags
    """Find the broker.

    Args:
        flags: those of `broker_flags`.

    Raises:
        HotplateError: MISSING_EXTRA, Celery is not installed; NOT_RUNNING, nothing of tasks is found; USAGE, it is not
            clear what is meant; or the app cannot be imported.
    """
    from hotplate.tasks.installed import installed

    if not installed("celery"):
        raise HotplateError(
            "look at tasks", "Celery is not installed", "Type: pip install 'hotplate[tasks]'",
            code=ExitCode.MISSING_EXTRA,
        )  # fmt: skip
    from hotplate.tasks.admin import reaching

    where = instance(flags["name"], flags["folder"])
    environ = _environment(where.folder, flags["broker_url"])
    if flags["imported"] or flags["app"]:
        found = imported(where.folder, flags["app"], environ)
        return Reached(reaching.impatient(found.app), found.broker, (*found.queues, *flags["queues"]))
    broker = _broker(where, environ, flags["broker_url"])
    return Reached(reaching.application(broker, _main(broker)), broker, flags["queues"])


def _environment(folder: Path, broker_url: str | None) -> dict[str, str]:
    """Return the variables as the app's processes have them: with what flags and the settings file say about tasks."""
    from hotplate.settings.instance import one_setting

    environ = {**os.environ, "PWD": str(folder)}
    url = one_setting("broker_url", broker_url, os.environ, folder)
    tasks_dir = one_setting("tasks_dir", None, os.environ, folder)
    named = {
        "CELERY_BROKER_URL": str(url or ""),
        "HOTPLATE_TASKS_DIR": str(folder / str(tasks_dir)) if tasks_dir else "",
    }
    return environ | {name: value for name, value in named.items() if value}


def imported(folder: Path, target: str | None, environ: Mapping[str, str]) -> Any:  # noqa: ANN401  a `found.Found`
    """Import the app and return its Celery app, with a broker filled in where it names none.

    Args:
        folder: in which it is looked for.
        target: which; None to look for it as `hotplate run` does.
        environ: the variables.

    Raises:
        HotplateError: it cannot be imported, or it has no tasks.
    """
    import sys

    from hotplate.apps import discover, load
    from hotplate.settings.folder import entered
    from hotplate.settings.instance import one_setting
    from hotplate.tasks import found as finding

    os.environ.update({name: environ[name] for name in ("CELERY_BROKER_URL", "HOTPLATE_TASKS_DIR") if name in environ})
    with entered(folder):
        os.environ["PWD"] = str(folder)
        wanted = str(one_setting("target", target, os.environ, folder))
        app = load.load(discover.find(wanted, folder, os.environ).target, folder)
        found = finding.find(app.app, [sys.modules[app.module]])
        if found is None:
            raise HotplateError(
                "look at tasks",
                f"{app.name} has no Celery app",
                "Name the app that has it, or make one in its module, such as celery = hotplate.tasks.celery(app).",
                code=ExitCode.ATTRIBUTE_MISSING,
            )
        return finding.complete(found, environ)


def _broker(where: Instance, environ: Mapping[str, str], flag: str | None) -> Broker:
    """Return the broker that the running instance has, or one that was started there would have.

    Args:
        where: the instance.
        environ: the variables.
        flag: what --broker-url said.
    """
    from hotplate.settings.folder import entered
    from hotplate.tasks import brokers

    told = _told(where) if flag is None else ""
    with entered(where.folder):
        if told.startswith("hotplate:"):  # an app may say itself where its file lies, which is no secret
            return _there(brokers.described(told, "embedded"))
        chosen = brokers.choose(environ, "app")
        if chosen.kind == "embedded" and not environ.get("CELERY_BROKER_URL", "").strip():
            return brokers.described(told, "the app") if _is_whole(told) else _only(where.folder, environ, told)
    if told and told != chosen.shown:
        return brokers.described(told, "the app") if _is_whole(told) else _refuse(told, chosen.shown)
    if chosen.kind == "embedded":
        _there(chosen)
    return chosen._replace(origin=_origin(flag)) if chosen.origin == "CELERY_BROKER_URL" else chosen


def _told(where: Instance) -> str:
    """Return the broker of the instance that runs there, as it shows it; "" if none runs, or it has no tasks."""
    from hotplate.supervisor import control
    from hotplate.supervisor.report import StatusReport

    try:
        report = control.ask(*where, control.Status(), patience=_PATIENCE)
    except HotplateError:
        return ""
    return report.tasks.broker if isinstance(report, StatusReport) and report.tasks else ""


def _is_whole(shown: str) -> bool:
    """Whether nothing was hidden in what an instance shows."""
    return bool(shown) and "..." not in shown and not shown.endswith(" and others")


def _refuse(told: str, here: str) -> Broker:
    raise HotplateError(
        f"look at the tasks in {told}",
        f"this shell has {here} instead",
        "Set CELERY_BROKER_URL (or REDIS_URL) as it was for `hotplate run`, or give --broker-url.",
        code=ExitCode.USAGE,
    )


def _there(broker: Broker) -> Broker:
    """Refuse to make a broker's file by looking at it."""
    from hotplate.tasks.embedded.location import location

    path = location(broker.url).path
    if not path.is_file():
        raise HotplateError(
            f"look at the tasks in {path}", "there is no such file", "Correct --broker-url.", code=ExitCode.USAGE
        )
    return broker


def _only(folder: Path, environ: Mapping[str, str], told: str) -> Broker:
    """Return the broker that is a file, of which there must be one; `told` is what a running instance says it has."""
    from hotplate.tasks import brokers, place
    from hotplate.tasks.embedded.location import url

    if told:
        return _refuse(told, "no password for it")
    home = place.folder(environ)
    files = sorted(home.glob("*.sqlite"))
    if len(files) == 1:
        return brokers.described(url(files[0]), "embedded")
    if files:
        raise HotplateError(
            f"look at the tasks of {folder}",
            f"{home} holds those of several apps: {', '.join(file.stem for file in files)}",
            f"Say which: --broker-url {url(files[0])}",
            code=ExitCode.USAGE,
        )
    raise HotplateError(
        f"look at the tasks of {folder}",
        f"none was ever sent from there: {home} is empty, and neither CELERY_BROKER_URL nor REDIS_URL is set",
        f"Go to the app's folder, name its broker (--broker-url redis://host), {_IMPORT}.",
        code=ExitCode.NOT_RUNNING,
    )


def _origin(flag: str | None) -> str:
    """Return what named the broker, in the order in which settings are read."""
    if flag is not None:
        return "--broker-url"
    named = ("HOTPLATE_BROKER_URL", "CELERY_BROKER_URL")
    return next((name for name in named if os.environ.get(name)), "hotplate.toml")


def _main(broker: Broker) -> str:
    """Return the name of the Celery app, which its file is named after: two apps must not be in one file."""
    from hotplate.tasks.embedded.location import location

    return location(broker.url).path.stem if broker.kind == "embedded" else ""
