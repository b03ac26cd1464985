"""What the user of a Celery app should know before it turns out: a sentence each, with what to type."""

from __future__ import annotations

from collections.abc import Iterator

from hotplate.tasks import brokers, configured
from hotplate.tasks.found import Found, Other


def cautions(found: Found) -> Iterator[str]:
    """Yield what is to be told when the processes of an app start.

    Args:
        found: the app, its broker settings complete.
    """
    if found.broker.advice:
        yield found.broker.advice
    if _are_lost_elsewhere(found):
        yield (
            f"Tasks go by {found.broker.shown}, but their results into a file of this machine: other machines never see"
            " them, so that get() and chords wait for ever. Type: export CELERY_RESULT_BACKEND=redis://host:6379/0"
        )
    yield from map(_unserved, found.others)


def _are_lost_elsewhere(found: Found) -> bool:
    """Whether other machines may share the tasks and cannot see their results."""
    url = configured.text(found.app.conf.result_backend)
    if found.broker.kind == "embedded" or not url:
        return False
    return not brokers.results({"CELERY_RESULT_BACKEND": url}, found.broker, found.name).shared


def _unserved(other: Other) -> str:
    target = other.target or "MODULE:NAME"
    name = target.rpartition(":")[2]
    return (
        f"There is another Celery app, {other.name}, whose tasks are not run here."
        f" Type: hotplate tasks run {target} --name {name}"
    )
