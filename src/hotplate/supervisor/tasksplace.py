"""What the processes of an instance are told so that all of them find the same tasks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hotplate.settings import Settings
from hotplate.settings.table import SETTINGS

BROKER = "CELERY_BROKER_URL"  # as Celery itself, and hotplate.tasks.brokers, read it


def variables(settings: Settings, folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables by which processes that the instance starts find its tasks: flags and files are not theirs.

    Args:
        settings: of the instance.
        folder: where it was started.
        environ: what the processes inherit anyway.

    Example:
        >>> variables(Settings(broker_url="redis://cache", tasks_dir="tasks"), Path("/srv/shop"), {})
        {'HOTPLATE_TASKS_DIR': '/srv/shop/tasks', 'CELERY_BROKER_URL': 'redis://cache'}
    """
    found: dict[str, str] = {}
    if settings.tasks_dir:
        found[SETTINGS["tasks_dir"].variable] = str(folder / settings.tasks_dir)
    if settings.broker_url != environ.get(BROKER, ""):
        found[BROKER] = settings.broker_url  # "" takes back what a platform says
    return found
