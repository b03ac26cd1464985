"""Work that takes too long for a request, as Celery tasks: whoever has a worker runs them, see the README."""

from celery import shared_task
from celery.result import AsyncResult
from flask import url_for

import hotplate.tasks
from newsdesk import newsletter
from newsdesk.models import Newsletter

# The task can be faster than the commit of the request that sent it.
SOON, TIMES = 0.5, 10  # seconds until it looks again, and how often


@shared_task(autoretry_for=(newsletter.NoEditionError,), default_retry_delay=SOON, max_retries=TIMES)
def send_edition(key: int) -> None:
    """Send an edition, or go on with it if its worker was killed."""
    from newsdesk.app import model, new_session  # the app imports this module

    try:
        newsletter.send(new_session, model, key, hotplate.tasks.progress)
    except newsletter.NoEditionError:
        raise
    except Exception:
        with new_session() as session:
            newsletter.give_up(session, key)
        raise


def hand_over(edition: Newsletter) -> None:
    """Leave an edition to a worker."""
    send_edition.apply_async((edition.id,), task_id=edition.task_id)


def sending(edition: Newsletter) -> AsyncResult:
    """What becomes of it there."""
    return send_edition.AsyncResult(edition.task_id)


def addresses(edition: Newsletter) -> dict[str, str]:
    """Where a browser learns how far it is."""
    if not edition.task_id:
        return {}
    pages = {"status_url": "hotplate_tasks.status", "events_url": "hotplate_tasks.events"}
    return {name: url_for(page, id=edition.task_id) for name, page in pages.items()}


def gave_up(edition: Newsletter) -> bool:
    """Whether nobody will go on with it, because it ended its worker each time."""
    return bool(edition.task_id) and sending(edition).failed()
