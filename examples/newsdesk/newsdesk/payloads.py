"""What callers send, checked: every fault of a payload is reported together, by field."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from flask import Request
from werkzeug.exceptions import BadRequest, NotFound, UnsupportedMediaType

from newsdesk import corpus

TITLE_LENGTH, BODY_LENGTH, DRAFT_LENGTH = 200, 50_000, 50_000
MOST_TAGS = 5
LARGEST_KEY = 2**31 - 1  # PostgreSQL's integer
MOST_PER_PAGE, MOST_PAGES = 100, 1_000_000
# Good enough to catch a slip; only a message that arrives proves an address. RFC 5321 limits its length to 254.
_EMAIL = re.compile(r"[^\s@\x00]{1,64}@[^\s@.\x00]+(\.[^\s@.\x00]+)+")
EMAIL_LENGTH = 254


class InvalidInput(BadRequest):
    """400 with a message for each field at fault."""

    def __init__(self, **fields: str) -> None:
        super().__init__("; ".join(f"{name}: {fault}" for name, fault in fields.items()))
        self.fields = fields


def json_object(request: Request) -> dict[str, Any]:
    """The request's JSON object.

    Raises:
        UnsupportedMediaType: the body is not declared as JSON.
        BadRequest: it is not JSON, or not an object.
    """
    if not request.is_json:
        raise UnsupportedMediaType("Send the article as JSON, with Content-Type: application/json.")
    try:
        data = json.loads(request.get_data())
    except (ValueError, RecursionError):  # the latter from a hundred thousand opening brackets
        raise BadRequest("The body is not valid JSON.") from None
    if not isinstance(data, dict):
        raise BadRequest("The body must be a JSON object.")
    return data


def text_field(value: object, longest: int) -> str:
    """A text that every database can hold.

    Raises:
        ValueError: not a text, blank, too long, or with characters that cannot be stored.
    """
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a text that is not blank")
    if len(value) > longest:
        raise ValueError(f"must not be longer than {longest} characters")
    if re.search(r"[\x00\ud800-\udfff]", value):
        raise ValueError("holds a character that is not text")
    return value.strip()


def _key(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= LARGEST_KEY:
        raise ValueError("must be a positive integer")
    return value


def _tags(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value) or len(value) > MOST_TAGS:
        raise ValueError(f"must be a list of at most {MOST_TAGS} names")
    unknown = [tag for tag in value if tag not in corpus.TAGS]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is not one of {', '.join(corpus.TAGS)}")
    return sorted(set(value))


def _moment(value: object) -> datetime:
    try:
        when = datetime.fromisoformat(value) if isinstance(value, str) else None
        if when is not None and when.tzinfo is not None:
            when = when.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        when = None
    if when is None:
        raise ValueError("must be a time such as 2002-03-28T09:30:00Z")
    return when.replace(microsecond=0)


_FIELDS: dict[str, Callable[[object], object]] = {
    "title": lambda value: text_field(value, TITLE_LENGTH),
    "body": lambda value: text_field(value, BODY_LENGTH),
    "author_id": _key,
    "tags": _tags,
    "published_at": _moment,
}
_REQUIRED = ("title", "body", "author_id")


def article_fields(data: dict[str, Any], *, partial: bool) -> dict[str, Any]:
    """The checked fields of an article.

    Args:
        data: what was sent.
        partial: only some fields may be there (PATCH); otherwise title, body and author_id must be.

    Raises:
        InvalidInput: names every field at fault.
    """
    faults = {name: "is not a field of an article" for name in data if name not in _FIELDS}
    if not partial:
        faults |= {name: "is missing" for name in _REQUIRED if name not in data}
    fields: dict[str, Any] = {}
    for name, check in _FIELDS.items():
        if name in data:
            try:
                fields[name] = check(data[name])
            except ValueError as fault:
                faults[name] = str(fault)
    if faults:
        raise InvalidInput(**{name[:40]: fault for name, fault in faults.items()})
    return fields


def draft_text(value: object) -> str:
    """A draft to be compared.

    Raises:
        InvalidInput: blank, too long or not text.
    """
    try:
        return text_field(value, DRAFT_LENGTH)
    except ValueError as fault:
        raise InvalidInput(text=str(fault)) from None


def email_address(value: str | None) -> str:
    """An e-mail address in lower case.

    Raises:
        InvalidInput: missing, or not an address.
    """
    address = (value or "").strip().lower()
    if not address:
        raise InvalidInput(email="is missing; ask for /api/users?email=name@example.org")
    if len(address) > EMAIL_LENGTH or not _EMAIL.fullmatch(address):
        raise InvalidInput(email="is not an e-mail address")
    return address


def whole_number(request: Request, name: str, default: int, largest: int) -> int:
    """A number from 1 to ``largest`` from the query string.

    Raises:
        InvalidInput: something else was given.
    """
    text = request.args.get(name, "")
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= largest:
        raise InvalidInput(**{name: f"must be a whole number from 1 to {largest}"})
    return int(text)


def page_of(request: Request) -> int:
    """The page that is asked for, counted from 1."""
    return whole_number(request, "page", 1, MOST_PAGES)


def tag_of(request: Request) -> str | None:
    """The tag that is asked for, if any.

    Raises:
        NotFound: there is no such tag.
    """
    tag = request.args.get("tag")
    if tag and tag not in corpus.TAGS:
        raise NotFound("There is no such tag.")
    return tag or None
