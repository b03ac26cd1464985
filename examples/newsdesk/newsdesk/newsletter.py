"""The newsletter: what goes into a subscriber's message, and the sending of an edition beside the requests."""

import logging
import threading
import time
from collections.abc import Sequence
from datetime import timedelta

from jinja2 import Environment, PackageLoader
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload, sessionmaker

from newsdesk import config, corpus
from newsdesk.models import Article, Newsletter, OutboxMessage, User, now
from newsdesk.similarity import Model

CHOICE, CHOSEN = 25, 5  # a message holds the 5 of the 25 newest articles that fit its reader best
BATCH = 10  # messages between two commits; so many at most go out twice after a kill
STALE_AFTER = timedelta(seconds=30)  # without a sign of life for so long, a sending is taken over

log = logging.getLogger("newsdesk")
_mails = Environment(loader=PackageLoader("newsdesk"), trim_blocks=True, autoescape=False)  # noqa: S701  plain text
_mail = _mails.get_template("mail.txt")


def newest(session: Session) -> Sequence[Article]:
    """The articles an edition is chosen from."""
    order = (Article.published_at.desc(), Article.id.desc())
    return session.scalars(select(Article).order_by(*order).limit(CHOICE)).all()


def choose(model: Model, interest: str, articles: Sequence[Article]) -> list[Article]:
    """The articles that are most about an interest."""
    about = f"{interest} {corpus.KEYWORDS.get(interest, '')}"
    by_key = {article.id: article for article in articles}
    ranked = model.rank(about, {key: article.body for key, article in by_key.items()})
    return [by_key[key] for key, _ in ranked[:CHOSEN]]


def compose(user: User, chosen: Sequence[Article]) -> dict[str, str | int]:
    """A message, ready for the outbox."""
    subject = f"{user.interest.name}: {chosen[0].title}" if chosen else "Nothing new today"
    body = _mail.render(user=user, articles=chosen)
    return {"user_id": user.id, "recipient": user.email, "subject": subject[:200], "body": body}


def deliver(message: dict[str, str | int]) -> None:
    """Hand a message to the mail server: here only the time that takes."""
    log.debug("to %s: %s", message["recipient"], message["subject"])
    time.sleep(config.mail_delay())


def start(new_session: sessionmaker[Session], model: Model) -> int:
    """Send an edition in a thread of this process; the key of the edition that is being sent now.

    If one is being sent already, nothing is started. If that one shows no sign of life, because its process was
    ended, this process goes on with it: whoever has a message in the outbox gets no second one.
    """
    with new_session() as session:
        running = session.scalars(select(Newsletter).where(Newsletter.state == "sending")).first()
        if running is None:
            running = Newsletter(total=session.scalar(select(func.count(User.id)).where(User.subscribed)) or 0)
            session.add(running)
            try:
                session.commit()
            except IntegrityError:  # another request was faster; the index newsletter_one_at_a_time holds us back
                session.rollback()
                return session.scalars(select(Newsletter.id).order_by(Newsletter.id.desc())).first() or 0
        elif not _take_over(session, running):
            return running.id
        key = running.id
    threading.Thread(target=_send_or_report, args=(new_session, model, key), name="newsletter", daemon=True).start()
    return key


def _take_over(session: Session, running: Newsletter) -> bool:
    stale = Newsletter.heartbeat_at < now() - STALE_AFTER
    query = update(Newsletter).where(Newsletter.id == running.id, Newsletter.state == "sending", stale)
    taken = session.execute(query.values(heartbeat_at=now()).returning(Newsletter.id)).all()
    session.commit()
    return bool(taken)


def _send_or_report(new_session: sessionmaker[Session], model: Model, key: int) -> None:
    try:
        send(new_session, model, key)
    except Exception:
        log.exception("Newsletter %d could not be sent", key)
        with new_session() as session:
            session.execute(update(Newsletter).where(Newsletter.id == key).values(state="failed"))
            session.commit()


def send(new_session: sessionmaker[Session], model: Model, key: int) -> None:
    """Send what is not in the outbox yet, in batches; no connection is held while messages go out."""
    with new_session() as session:
        articles = newest(session)
        session.expunge_all()
    chosen: dict[str, list[Article]] = {}
    while True:
        with new_session() as session:
            done = select(OutboxMessage.user_id).where(OutboxMessage.newsletter_id == key)
            query = select(User).where(User.subscribed, User.id.not_in(done)).order_by(User.id).limit(BATCH)
            users = session.scalars(query.options(joinedload(User.interest, innerjoin=True))).all()
            session.expunge_all()
        messages = []
        for user in users:
            interest = user.interest.name
            if interest not in chosen:
                chosen[interest] = choose(model, interest, articles)
            messages.append(compose(user, chosen[interest]) | {"newsletter_id": key})
            deliver(messages[-1])
        with new_session() as session, session.begin():
            if messages:
                session.execute(insert(OutboxMessage), messages)
            sent = select(func.count(OutboxMessage.id)).where(OutboxMessage.newsletter_id == key).scalar_subquery()
            progress = {"sent": sent, "heartbeat_at": now(), "state": "sending" if users else "sent"}
            session.execute(update(Newsletter).where(Newsletter.id == key).values(**progress))
        if not users:
            return
