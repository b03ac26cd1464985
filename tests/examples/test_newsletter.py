"""The long job: beside the requests and resumable in `app`, inside the request in `slow`."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from tests.examples.conftest import Site
from tests.support.waiting import wait_until


@pytest.fixture
def held(app_site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Holds every message back until the event is set."""
    from newsdesk import newsletter

    gate = threading.Event()
    monkeypatch.setattr(newsletter, "deliver", lambda _message: gate.wait(60))
    yield gate
    gate.set()
    wait_until(lambda: not any(thread.name == "newsletter" for thread in threading.enumerate()), what="it is sent")


def state(site: Site, where: str) -> dict[str, object]:
    """How far an edition has come."""
    edition: dict[str, object] = site.fetch()("GET", f"/api{where}").json()
    return edition


def wait_until_sent(site: Site, where: str) -> None:
    """Wait until an edition has reached everybody."""
    wait_until(lambda: state(site, where)["state"] == "sent", what="it is sent")


def outbox(site: Site, where: str) -> tuple[int, int]:
    """Messages of an edition, and people who got one."""
    from newsdesk.models import OutboxMessage

    with Session(site.engine) as session:
        query = select(func.count(), func.count(OutboxMessage.user_id.distinct()))
        messages, people = session.execute(
            query.where(OutboxMessage.newsletter_id == int(where.rsplit("/", 1)[1]))
        ).one()
        return messages, people


def test_app_answers_before_the_first_message_is_out(app_site: Site, held: threading.Event) -> None:
    """Posting does not wait for the mail server, and the page shows a progress bar that refreshes itself."""
    where = app_site.fetch()("POST", "/newsletter").headers["location"]
    assert state(app_site, where)["state"] == "sending"
    page = app_site.fetch()("GET", where).text
    assert 'http-equiv="refresh"' in page
    assert "<progress" in page
    held.set()
    wait_until_sent(app_site, where)
    assert 'http-equiv="refresh"' not in app_site.fetch()("GET", where).text


def test_posting_twice_sends_once(app_site: Site, held: threading.Event) -> None:
    """While an edition is being sent, posting leads to that one."""
    fetch = app_site.fetch()
    where = {fetch("POST", "/newsletter").headers["location"] for _ in range(3)}
    assert len(where) == 1
    held.set()
    wait_until_sent(app_site, *where)
    messages, people = outbox(app_site, *where)
    assert messages == people == state(app_site, *where)["total"]


def test_a_killed_sending_is_taken_over(app_site: Site) -> None:
    """When its process is gone, posting again goes on with the same edition, and nobody gets a second message."""
    from newsdesk.models import Newsletter, OutboxMessage, User, now
    from newsdesk.newsletter import STALE_AFTER

    with Session(app_site.engine) as session:
        half = Newsletter(total=session.scalar(select(func.count(User.id)).where(User.subscribed)))
        half.heartbeat_at = now() - STALE_AFTER - timedelta(seconds=1)
        session.add(half)
        session.flush()
        users = session.scalars(select(User).where(User.subscribed).limit(30))
        text = {"newsletter_id": half.id, "subject": "", "body": "before the kill"}
        session.add_all([OutboxMessage(user_id=user.id, recipient=user.email, **text) for user in users])
        session.commit()
        expected = f"/newsletters/{half.id}"
    assert app_site.fetch()("POST", "/newsletter").headers["location"] == expected
    wait_until_sent(app_site, expected)
    messages, people = outbox(app_site, expected)
    assert messages == people == state(app_site, expected)["total"]


def test_an_error_is_shown(app_site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """An edition that an error stopped says so, and the log has the traceback."""
    from newsdesk import newsletter

    def refuse(message: object) -> None:
        raise ConnectionRefusedError("no mail server")

    monkeypatch.setattr(newsletter, "deliver", refuse)
    where = app_site.fetch()("POST", "/newsletter").headers["location"]
    wait_until(lambda: state(app_site, where)["state"] == "failed", what="it is stopped")
    assert "Stopped by an error" in app_site.fetch()("GET", where).text
    assert "no mail server" in caplog.text


def test_slow_answers_when_all_is_sent(slow_site: Site) -> None:
    """The slow variant's visitor waits for every message."""
    where = slow_site.fetch()("POST", "/newsletter").headers["location"]
    edition = state(slow_site, where)
    assert (edition["state"], edition["sent"]) == ("sent", edition["total"])


def test_messages_are_personal(app_site: Site, slow_site: Site) -> None:
    """A message greets its reader and is about the reader's interest; both variants write the same one."""
    from newsdesk.models import OutboxMessage, User

    bodies = []
    for site in (app_site, slow_site):
        where = site.fetch()("POST", "/newsletter").headers["location"]
        wait_until_sent(site, where)
        with Session(site.engine) as session:
            user = session.scalars(select(User).where(User.email == "elif.abbott4@example.org")).one()
            query = select(OutboxMessage).where(OutboxMessage.user_id == user.id).order_by(OutboxMessage.id.desc())
            message = session.scalars(query).first()
            assert message
            assert message.body.startswith("Good morning Elif Abbott")
            assert user.interest.name in message.body
            bodies.append(message.body)
    assert bodies[0] == bodies[1]


def test_the_fresh_edition_of_another_process_is_left_alone(app_site: Site) -> None:
    """An edition that another process is sending is not taken over while that process shows signs of life."""
    from newsdesk.models import Newsletter

    with Session(app_site.engine) as session:
        other = Newsletter(total=1)
        session.add(other)
        session.commit()
        key = other.id
    assert app_site.fetch()("POST", "/newsletter").headers["location"] == f"/newsletters/{key}"
    assert not any(thread.name == "newsletter" for thread in threading.enumerate())
    with Session(app_site.engine) as session:
        session.execute(update(Newsletter).where(Newsletter.id == key).values(state="failed"))
        session.commit()
