"""`hotplate tasks run`: run tasks, and serve nothing."""

from __future__ import annotations

from hotplate.cli.parts import Command, Example
from hotplate.cli.run import parameter, run_app
from hotplate.settings.options import options

_HELP = """\
Run an app's tasks until Ctrl-C, without web workers and listeners.

For machines beside those that serve: they share the broker (CELERY_BROKER_URL or REDIS_URL). TARGET is found as
`hotplate run` finds it, and so are variables and hotplate.toml. `hotplate run` by itself runs tasks, too.

Ctrl-C and SIGTERM let tasks finish for --grace, give back what is not done by then, and exit with 0; a second one ends
at once. SIGHUP reloads.
"""
_EXAMPLES = (
    Example("hotplate tasks run shop:app", "run the tasks of the Celery app in shop.py"),
    Example("hotplate tasks run --task-workers 8 --grace 5m", "decide by yourself"),
    Example("hotplate tasks run --task-workers 0 --beat on", "only send what is scheduled"),
)
_NAMES = {
    "target", "name", "preload", "boot_timeout", "timeout", "grace", "release", "log_format",
}  # fmt: skip


def run_tasks(**flags: object) -> int:
    """Run tasks; return the exit status.

    Raises:
        HotplateError: it cannot start.
    """
    return run_app(only="tasks", **flags)


run = Command(
    "run",
    run_tasks,
    help=_HELP,
    params=[parameter(each) for each in options() if each.group == "Tasks" or each.dest in _NAMES],
    examples=_EXAMPLES,
)
