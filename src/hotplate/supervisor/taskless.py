"""The errors for apps that cannot run tasks where tasks are to be run; for the master too, which knows no app."""

from __future__ import annotations

from hotplate.errors import ExitCode, HotplateError


def idle(celery: str) -> HotplateError:
    """Return the error for a Celery app without a task where tasks are to be run."""
    return HotplateError(
        "run tasks",
        f"the Celery app {celery} has none of its own",
        "Import the modules that have them (include=[...], autodiscover_tasks()), or give --task-workers for others'.",
        code=ExitCode.ATTRIBUTE_MISSING,
    )


def nothing(app: str) -> HotplateError:
    """Return the error for an app without tasks where tasks are to be run."""
    return HotplateError(
        "run tasks",
        f"{app} has no Celery app",
        "Make one in its module, such as celery = hotplate.tasks.celery(app), or name the app that has it.",
        code=ExitCode.ATTRIBUTE_MISSING,
    )
