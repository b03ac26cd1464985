"""`hotplate reload`, `hotplate stop` and `hotplate scale`: orders to a running instance."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import click

from hotplate.cli.parts import Command, Example, Flag, Place
from hotplate.cli.reach import instance, instance_flags
from hotplate.errors import ExitCode, HotplateError

if TYPE_CHECKING:
    from pathlib import Path

    from hotplate.supervisor.control import Done, Order

_PATIENCE = 10.0  # seconds, for what is answered at once
_AMOUNT = re.compile(r"([+-]?)([0-9]{1,4})", re.ASCII)


def reload_app(name: str | None, folder: str | None) -> int:
    """Have the new code taken in; return OK when it serves.

    Raises:
        HotplateError: NOT_RUNNING, or why the new version did not come up.
    """
    from hotplate.settings.units import show_duration_roughly
    from hotplate.supervisor import control
    from hotplate.supervisor.words import serving

    where = instance(name, folder)
    done = _ordered(*where, control.Reload(), "Reloading")
    if isinstance(done, control.ReloadDone):
        click.echo(
            f"Reloaded: generation {done.generation} {serving(done.workers)}"
            f" after {show_duration_roughly(done.seconds)}"
        )
    return int(ExitCode.OK)


def stop_app(name: str | None, folder: str | None, *, wait: bool) -> int:
    """Have it stop; return OK when nothing is left, or with `wait` false at once.

    Raises:
        HotplateError: NOT_RUNNING.
    """
    from hotplate.supervisor import control

    done = _ordered(*instance(name, folder), control.Stop(wait=wait), "Stopping")
    if isinstance(done, control.StopDone):
        click.echo(f"{'Stopped' if done.ended else 'Stopping'} (master, pid {done.pid})")
    return int(ExitCode.OK)


def scale_app(amount: str, name: str | None, folder: str | None) -> int:
    """Add or remove workers; return OK when the new ones serve.

    Raises:
        HotplateError: NOT_RUNNING, USAGE, or why a worker did not come up.
    """
    from hotplate.supervisor import control

    found = _AMOUNT.fullmatch(amount)
    if found is None:
        raise HotplateError(
            f"scale by {amount!r}",
            "it is not a number",
            "Give +1 for one worker more, -1 for one less, or 4 for four.",
            code=ExitCode.USAGE,
        )
    where = instance(name, folder)
    by = int(amount)
    if not found[1]:
        report = control.ask(*where, control.Status(), patience=_PATIENCE)
        by -= getattr(report, "slots", 0)
    done = _ordered(*where, control.Scale(by=by), "Scaling")
    if isinstance(done, control.ScaleDone):
        click.echo(f"Workers: {done.workers}")
    return int(ExitCode.OK)


def _ordered(folder: Path, name: str, order: Order, doing: str) -> Done:
    """Give an order and wait for its end, which a terminal is told."""
    from hotplate.cli.scribe import Scribe
    from hotplate.cli.ui import Look
    from hotplate.supervisor import control

    look = Look.of(sys.stderr, os.environ)
    try:
        if not look.terminal:
            return control.ask(folder, name, order)
        with Scribe(sys.stderr, look) as scribe:
            scribe.waiting(doing)
            return control.ask(folder, name, order)
    except KeyboardInterrupt:
        after_ctrl_c = "\n" if look.terminal else ""
        click.echo(f"{after_ctrl_c}Not waited for: {doing.lower()} goes on (see `hotplate status`)", err=True)
        raise click.exceptions.Exit(int(ExitCode.INTERRUPTED)) from None


reload = Command(
    "reload",
    reload_app,
    help="""\
Take in new code without losing a request.

It is imported beside the old, and takes over worker by worker. Returns when the new version serves everywhere. When it
does not come up, the old one goes on serving, the reason is shown, and the exit status is 13.
""",
    params=instance_flags(),
    examples=(
        Example("git pull && hotplate reload", "deploy"),
        Example("hotplate reload --folder /srv/shop --name blue", "another instance"),
    ),
)

stop = Command(
    "stop",
    stop_app,
    help="""\
Stop a running instance.

Requests in flight may finish for --grace. Returns when nothing of the instance is left.
""",
    params=[
        Flag(
            ["--wait/--no-wait"],
            group="Waiting",
            default=True,
            help="Return when it has ended, or at once. [default: wait]",
        ),
        *instance_flags(),
    ],
    examples=(
        Example("hotplate stop", "the instance of this folder"),
        Example("hotplate stop --no-wait", "do not wait for requests that finish"),
    ),
)

scale = Command(
    "scale",
    scale_app,
    help="""\
Add or remove workers while they serve.

AMOUNT is +N or -N for so many more or fewer, or N for so many. Returns when the new ones are warm. The next start has
the number that --workers says again.
""",
    params=[
        Place(["amount"], "+N, -N or N.", group="Amount", metavar="AMOUNT"),
        *instance_flags(),
    ],
    examples=(
        Example("hotplate scale +1", "one worker more"),
        Example("hotplate scale -2", "two fewer"),
        Example("hotplate scale 4", "four"),
    ),
    settings={"ignore_unknown_options": True},  # -2 is an amount
)
