"""The newsletter: what goes into a subscriber's message, and the sending of an edition."""

import logging
import time
from collections.abc import Callable, Sequence
from uuid import uuid4

from jinja2 import Environment, PackageLoader
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload, sessionmaker

from newsdesk import config, corpus
from newsdesk.models import Article, Newsletter, OutboxMessage, User
from newsdesk.similarity import Model

CHOICE, CHOSEN = 25, 5  # a message holds the 5 of the 25 newest articles that fit its reader best
BATCH = 10  # messages between two commits; so many at most go out twice after a kill

log = logging.getLogger("newsdesk")
_mails = Environment(loader=PackageLoader("newsdesk"), trim_blocks=True, autoescape=False)  # noqa: S701  plain text
_mail = _mails.get_template("mail.txt")


class NoEditionError(Exception):
    """There is no edition with this key, or not yet."""


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


def sending(session: Session) -> Newsletter | None:
    """The edition that is being sent."""
    return session.scalars(select(Newsletter).where(Newsletter.state == "sending")).first()


def start(session: Session, hand_over: Callable[[Newsletter], object]) -> Newsletter:
    """Begin an edition and hand it over to whoever sends it; while one is being sent, that one.

    It is handed over before it is committed. If this process is killed in between, a worker finds no such edition and
    says so; the other way round, an edition would wait for ever that nobody was told to send.
    """
    edition = Newsletter(total=session.scalar(select(func.count(User.id)).where(User.subscribed)), task_id=str(uuid4()))
    session.add(edition)
    try:
        session.flush()
    except IntegrityError:  # the index newsletter_one_at_a_time: one is being sent
        session.rollback()
        return session.scalars(select(Newsletter).order_by(Newsletter.id.desc()).limit(1)).one()
    hand_over(edition)
    session.commit()
    return edition


def give_up(session: Session, key: int) -> None:
    """Note that an edition was stopped by an error, so that another one can be sent."""
    unfinished = (Newsletter.id == key, Newsletter.state == "sending")
    session.execute(update(Newsletter).where(*unfinished).values(state="failed"))
    session.commit()


def send(new_session: sessionmaker[Session], model: Model, key: int, tell: Callable[[int, int], object]) -> None:
    """Send what is not in the outbox yet, in batches; no connection is held while messages go out.

    Called again after a kill or an error it goes on: whoever has a message in the outbox gets no second one.

    Args:
        new_session: makes a session.
        model: ranks the articles for a reader.
        key: of the edition.
        tell: called with the messages that are out and all there are, after each batch.

    Raises:
        NoEditionError: there is none with this key.
    """
    with new_session() as session, session.begin():
        articles = newest(session)
        session.expunge_all()
        edition = session.get(Newsletter, key)
        if edition is None:
            raise NoEditionError(key)
        if edition.state == "sent":
            return
        edition.state = "sending"  # once more, if an error had stopped it
    chosen: dict[str, list[Article]] = {}
    while users := _without_a_message(new_session, key):
        messages = []
        for user in users:
            interest = user.interest.name
            if interest not in chosen:
                chosen[interest] = choose(model, interest, articles)
            messages.append(compose(user, chosen[interest]) | {"newsletter_id": key})
            deliver(messages[-1])
        tell(*_note(new_session, key, messages))
    with new_session() as session, session.begin():
        session.execute(update(Newsletter).where(Newsletter.id == key).values(state="sent"))


def _without_a_message(new_session: sessionmaker[Session], key: int) -> Sequence[User]:
    done = select(OutboxMessage.user_id).where(OutboxMessage.newsletter_id == key)
    query = select(User).where(User.subscribed, User.id.not_in(done)).order_by(User.id).limit(BATCH)
    with new_session() as session:
        users = session.scalars(query.options(joinedload(User.interest, innerjoin=True))).all()
        session.expunge_all()
    return users


def _note(new_session: sessionmaker[Session], key: int, messages: list[dict[str, str | int]]) -> tuple[int, int]:
    """Put messages into the outbox; how many are in it, of how many."""
    sent = select(func.count(OutboxMessage.id)).where(OutboxMessage.newsletter_id == key).scalar_subquery()
    progress = update(Newsletter).where(Newsletter.id == key).values(sent=sent)
    with new_session() as session, session.begin():
        session.execute(insert(OutboxMessage), messages)
        done, total = session.execute(progress.returning(Newsletter.sent, Newsletter.total)).one()
        return done, total
