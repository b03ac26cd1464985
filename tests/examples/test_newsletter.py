"""The long job: beside the requests and resumable in `app`, inside the request in `slow`."""

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from tests.examples.conftest import Site
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("worker")
JSON = {"Accept": "application/json"}


@pytest.fixture
def held(app_site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Holds every message back until the event is set."""
    from newsdesk import newsletter

    gate = threading.Event()
    monkeypatch.setattr(newsletter, "deliver", lambda _message: gate.wait(60))
    yield gate
    gate.set()
    wait_until(lambda: not sending(app_site), what="it is sent")


def sending(site: Site) -> bool:
    """Whether an edition is being sent."""
    from newsdesk.models import Newsletter

    with Session(site.engine) as session:
        return bool(session.scalar(select(func.count()).where(Newsletter.state == "sending")))


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
        messages, people = session.execute(query.where(OutboxMessage.newsletter_id == key_of(where))).one()
        return messages, people


def key_of(where: str) -> int:
    """The key of an edition, from its path."""
    return int(where.rsplit("/", 1)[1])


def half_sent(site: Site, state: str) -> str:
    """An edition of which 30 messages are out; its path."""
    from newsdesk.models import Newsletter, OutboxMessage, User

    with Session(site.engine) as session:
        half = Newsletter(total=session.scalar(select(func.count(User.id)).where(User.subscribed)), state=state)
        session.add(half)
        session.flush()
        users = session.scalars(select(User).where(User.subscribed).limit(30))
        text = {"newsletter_id": half.id, "subject": "", "body": "before the kill"}
        session.add_all([OutboxMessage(user_id=user.id, recipient=user.email, **text) for user in users])
        session.commit()
        return f"/newsletters/{half.id}"


def test_app_answers_before_the_first_message_is_out(app_site: Site, held: threading.Event) -> None:
    """Posting does not wait for the mail server, and the page shows a progress bar, which needs no script to move."""
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


def test_programs_are_told_where_to_ask(app_site: Site, held: threading.Event) -> None:
    """Who prefers JSON gets 202 with the task's status page, which says how far it is; posting again, the same one."""
    fetch = app_site.fetch()
    first, again = (fetch("POST", "/newsletter", headers=JSON) for _ in range(2))
    assert (first.status, again.status) == (202, 202)
    assert first.json()["status_url"] == again.json()["status_url"] == first.headers["location"]
    held.set()
    wait_until(lambda: fetch("GET", first.headers["location"]).json()["state"] == "done", what="it is sent")
    assert not sending(app_site)


def test_the_page_knows_where_to_ask(app_site: Site, held: threading.Event) -> None:
    """While an edition is being sent, its page names the task's status and events to its script; later it has none."""
    fetch = app_site.fetch()
    where = fetch("POST", "/newsletter").headers["location"]
    status_url = fetch("POST", "/newsletter", headers=JSON).json()["status_url"]
    page = fetch("GET", where).text
    assert f'data-status="{status_url}"' in page
    assert f'data-events="{status_url}/events"' in page
    assert "<script" in page
    held.set()
    wait_until_sent(app_site, where)
    assert "<script" not in fetch("GET", where).text


@pytest.mark.parametrize("before", ["sending", "failed"])
def test_a_stopped_sending_goes_on(before: str, app_site: Site) -> None:
    """Given again to a worker, after a kill or an error, an edition reaches the others, and nobody twice."""
    from newsdesk.tasks import send_edition

    where = half_sent(app_site, before)
    send_edition.delay(key_of(where))
    wait_until_sent(app_site, where)
    messages, people = outbox(app_site, where)
    assert messages == people == state(app_site, where)["total"]


def test_a_message_that_comes_twice_does_nothing(app_site: Site) -> None:
    """A task that was done when its worker was killed is done again without a message going out."""
    from newsdesk.tasks import send_edition

    where = app_site.fetch()("POST", "/newsletter").headers["location"]
    wait_until_sent(app_site, where)
    before = outbox(app_site, where), state(app_site, where)
    send_edition.delay(key_of(where)).get(timeout=60)
    assert (outbox(app_site, where), state(app_site, where)) == before


def test_a_worker_may_be_faster_than_the_commit(app_site: Site) -> None:
    """A task for an edition that is not there yet looks again until it is."""
    from newsdesk.models import Newsletter, User
    from newsdesk.tasks import send_edition

    with Session(app_site.engine) as session:
        key = 1 + (session.scalar(select(func.max(Newsletter.id))) or 0)
        total = session.scalar(select(func.count(User.id)).where(User.subscribed))
        sent = send_edition.delay(key)
        wait_until(lambda: sent.state == "RETRY", what="it has looked")
        session.add(Newsletter(id=key, total=total))
        session.commit()
    wait_until_sent(app_site, f"/newsletters/{key}")


def test_without_a_broker_nothing_is_begun(app_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """If there is nobody to leave the sending with, that is said, and there is no edition that waits for ever."""
    import hotplate.tasks
    from newsdesk import tasks

    def refuse(*_: object, **__: object) -> None:
        raise hotplate.tasks.BrokerUnreachable("send it", "the broker is away", "Start it.")

    before = app_site.fetch()("GET", "/newsletter").text
    monkeypatch.setattr(tasks.send_edition, "apply_async", refuse)
    refusal = app_site.fetch()("POST", "/newsletter")
    assert (refusal.status, refusal.headers["retry-after"]) == (503, "1")
    assert "broker" not in refusal.text
    assert app_site.fetch()("GET", "/newsletter").text == before


def test_an_error_is_shown(app_site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """An edition that an error stopped says so, and the log has the traceback."""
    from newsdesk import newsletter

    def refuse(message: object) -> None:
        raise ConnectionRefusedError("no mail server")

    monkeypatch.setattr(newsletter, "deliver", refuse)
    where = app_site.fetch()("POST", "/newsletter").headers["location"]
    wait_until(lambda: state(app_site, where)["state"] == "failed", what="it is stopped")
    assert "Stopped by an error" in app_site.fetch()("GET", where).text
    wait_until(lambda: "no mail server" in caplog.text, what="it is logged")


def test_one_that_nobody_goes_on_with_holds_up_no_other(app_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """An edition whose task was given up, because it ended its worker each time, counts as stopped by an error."""
    from newsdesk import tasks

    stuck = half_sent(app_site, "sending")
    monkeypatch.setattr(tasks, "gave_up", lambda edition: edition.id == key_of(stuck))
    where = app_site.fetch()("POST", "/newsletter").headers["location"]
    assert where != stuck
    assert state(app_site, stuck)["state"] == "failed"
    wait_until_sent(app_site, where)


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


def test_the_edition_of_another_is_left_alone(app_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """While an edition is being sent, wherever, posting leads there and leaves nothing with a worker."""
    from newsdesk import tasks
    from newsdesk.models import Newsletter

    handed: list[object] = []
    monkeypatch.setattr(tasks.send_edition, "apply_async", lambda *args, **_: handed.append(args))
    with Session(app_site.engine) as session:
        other = Newsletter(total=1)
        session.add(other)
        session.commit()
        key = other.id
    assert app_site.fetch()("POST", "/newsletter").headers["location"] == f"/newsletters/{key}"
    assert handed == []
    with Session(app_site.engine) as session:
        session.execute(update(Newsletter).where(Newsletter.id == key).values(state="failed"))
        session.commit()
