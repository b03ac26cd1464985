"""Settings that hold a secret: it is read like any other, and written nowhere."""

import re
from typing import Protocol, runtime_checkable
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from hotplate.settings.kinds import OFF_WORDS
from hotplate.settings.refused import RefusedError

HINT = "a URL such as redis://host:6379/0, rediss://user:password@host, or unix:///run/redis.sock"
BROKER_HINT = "a URL such as redis://host:6379/0, amqp://user:password@host/vhost, or off for none"
_BROKER = re.compile(r"[A-Za-z][A-Za-z0-9+._-]*://[!-~]*", re.ASCII)
_SCHEMES = {
    "redis": "redis", "rediss": "rediss", "unix": "unix", "valkey": "redis", "valkeys": "rediss",
}  # fmt: skip
_USERINFO = re.compile(r"//.*@", re.DOTALL)  # up to the last @: a password may hold what should have been encoded
_SECRETS = re.compile(r"([?&][^=&]*(?:pass|secret|token|key)[^=&]*=)[^&#]*", re.IGNORECASE)


@runtime_checkable
class Hides(Protocol):
    """A kind whose values are not to be shown as they are."""

    def hidden(self, raw: object) -> str:
        """Return what may be shown of what was given."""


class RedisUrl(msgspec.Struct, frozen=True):
    """Where a Redis or Valkey server is; the schemes of Valkey become those of Redis, which clients know."""

    metavar: str = "URL"
    unit: str = "URL"

    def parse(self, raw: object) -> str:
        """Return the URL; "" for none."""
        if raw == () or (isinstance(raw, str) and raw.strip().lower() in OFF_WORDS):
            return ""
        text = raw.strip() if isinstance(raw, str) else ""
        if not text or not text.isprintable() or " " in text:
            raise RefusedError("it is not a URL", HINT)
        parts = _parts(text)
        scheme = _SCHEMES.get(parts.scheme)
        if scheme is None or "://" not in text:
            raise RefusedError("its scheme is none of redis, rediss and unix", HINT)
        if scheme == "unix" and not parts.path.startswith("/"):
            raise RefusedError("the path of its socket is missing", HINT)
        if scheme != "unix" and not parts.hostname:
            raise RefusedError("its host is missing", HINT)
        if scheme != "unix" and not re.fullmatch(r"/?[0-9]{0,5}", parts.path, re.ASCII):
            raise RefusedError("after its host belongs the number of a database, if anything", HINT)
        return scheme + text[text.index(":") :]

    def show(self, value: object) -> str:
        """Write it without what is secret in it."""
        return self.hidden(value) if value else "none"

    def hidden(self, raw: object) -> str:
        """Write what was given without what is secret in it, whatever its form."""
        return hidden(raw) if isinstance(raw, str) else "something else than text"


class BrokerUrl(msgspec.Struct, frozen=True):
    """Where a message broker is, as Celery takes it; several, with semicolons between them, stand in for each other."""

    metavar: str = "URL"
    unit: str = "URL"

    def parse(self, raw: object) -> str:
        """Return the URL; "" for none."""
        if isinstance(raw, str) and raw.strip().lower() in OFF_WORDS:
            return ""
        text = raw.strip() if isinstance(raw, str) else ""
        for each in text.split(";"):
            if not _BROKER.fullmatch(each):
                raise RefusedError("it is not the URL of a broker", BROKER_HINT)
        return text

    def show(self, value: object) -> str:
        """Write it without what is secret in it."""
        return self.hidden(value) if value else "none"

    def hidden(self, raw: object) -> str:
        """Write what was given without what is secret in it, whatever its form."""
        return ";".join(map(hidden, raw.split(";"))) if isinstance(raw, str) else "something else than text"


def hidden(url: str) -> str:
    """Return a URL with dots in place of its password and of what a query calls a secret.

    Example:
        >>> hidden("redis://app:hunter2@cache:6379/0?password=x"), hidden("redis://:hunter2@cache")
        ('redis://app:...@cache:6379/0?password=...', 'redis://:...@cache')
    """
    if "@" in url and not _USERINFO.search(url):
        return "..."  # credentials in a form that we do not know
    return _SECRETS.sub(r"\1...", _USERINFO.sub(_hide, url))


def _hide(found: re.Match[str]) -> str:
    user, colon, _ = found[0][2:-1].partition(":")
    return f"//{user if colon else '...' if user else ''}{':...' if colon else ''}@"


def _parts(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018  reading it is what checks it
    except ValueError:
        raise RefusedError("its host or port has another form", HINT) from None
    if any(ord(character) < 32 for character in unquote(text)):
        raise RefusedError("it holds control characters", HINT)
    return parts
