"""What the environment says: where the data lives, which database, how large a model."""

import os
import re
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

Variant = Literal["app", "slow"]
VARIANTS: tuple[Variant, ...] = ("app", "slow")
ROOT = Path(__file__).resolve().parent.parent

DEFAULT_MODEL_MB = 40.0
LARGEST_MODEL_MB = 400.0  # the corpus has no more n-grams to fill a larger one with
DEFAULT_MAIL_DELAY_MS = 20.0  # what a mail server on the same network takes to accept one message


class ConfigurationError(Exception):
    """An environment variable that cannot be used; the message says which, why, and what to type."""


def data_folder() -> Path:
    """The folder of the SQLite files: ``NEWSDESK_DATA``, else ``data`` beside the package."""
    return Path(os.environ.get("NEWSDESK_DATA") or ROOT / "data").absolute()


def sqlite_file(variant: Variant) -> Path:
    """Each variant has its own file, because only one of them has indexes."""
    return data_folder() / f"{variant}.sqlite3"


def database_url(variant: Variant, *, create: bool = False) -> URL:
    """The SQLAlchemy URL of a variant's database.

    Args:
        variant: whose database.
        create: let SQLite make the file; the apps must not, or a missing database would look like an empty one.

    Raises:
        ConfigurationError: ``DATABASE_URL`` is malformed or not PostgreSQL.

    Example:
        ``DATABASE_URL=postgres://me@db/news`` becomes ``postgresql+psycopg://me@db/news``.
    """
    text = os.environ.get("DATABASE_URL", "").strip()
    if not text:
        mode = "rwc" if create else "rw"
        database = f"file:{quote(str(sqlite_file(variant)))}"
        return URL.create("sqlite", database=database, query={"mode": mode, "uri": "true"})
    # The value itself is never quoted in a message: it usually holds a password.
    scheme = re.match(r"[A-Za-z0-9+]*", text)
    name = scheme.group().split("+")[0].lower() if scheme else ""
    if name not in {"postgres", "postgresql"}:
        raise ConfigurationError(
            f"DATABASE_URL has the scheme {name!r}, but Newsdesk speaks PostgreSQL there. "
            "Write postgresql://user:password@host/database, or unset it and use SQLite in NEWSDESK_DATA."
        )
    try:
        return make_url(text).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            "DATABASE_URL cannot be read as a URL. Write postgresql://user:password@host:5432/database, "
            "with special characters in the password percent-encoded."
        ) from None


def connect_args(variant: Variant) -> dict[str, Any]:
    """What the driver needs besides the URL.

    On PostgreSQL the slow variant's tables live in a schema of their own: same server, no indexes.
    """
    if os.environ.get("DATABASE_URL", "").strip():
        return {"options": "-csearch_path=slow"} if variant == "slow" else {}
    return {"timeout": 15}  # seconds to wait for another writer


def seed_command() -> str:
    """The exact command that fills the database, to be typed in the current folder."""
    folder = "" if Path.cwd() == ROOT else f"cd {ROOT} && "
    return f"{folder}python -m newsdesk.seed"


def number(name: str, default: float, largest: float) -> float:
    """A number from the environment, from 0 up to ``largest``.

    Raises:
        ConfigurationError: it is not a number or out of range.
    """
    text = os.environ.get(name, "").strip()
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not 0 <= value <= largest:
        raise ConfigurationError(f"{name}={text!r} cannot be used. Give a number from 0 to {largest:g}.")
    return value


def model_megabytes() -> float:
    """Size of the similarity model in MB: ``NEWSDESK_MODEL_MB``; 1 is quick, 300 is what a real one weighs."""
    return number("NEWSDESK_MODEL_MB", DEFAULT_MODEL_MB, LARGEST_MODEL_MB)


def mail_delay() -> float:
    """Seconds the pretended mail server takes for a message: ``NEWSDESK_MAIL_MS`` (milliseconds)."""
    return number("NEWSDESK_MAIL_MS", DEFAULT_MAIL_DELAY_MS, 60_000) / 1000
