"""Where to listen: the text forms of an address, and the record they become."""

import ipaddress
import os
import re
from typing import Literal

import msgspec

from hotplate.settings.refused import RefusedError

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 8000  # gunicorn, uvicorn, granian and Django's runserver all use it
UNIX_PATH_LIMIT = 107  # sun_path has 108 bytes on Linux with the closing zero: unix(7)
BIND_HINT = "host:port, :port or port (both loopback), [ipv6]:port, unix:/path/to.sock or fd://3"

_HOST_NAME = re.compile(
    r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*\.?", re.ASCII | re.IGNORECASE
)
_BRACKETED = re.compile(r"\[([^\]]*)\](?::(.*))?", re.ASCII)
_NUMERIC = re.compile(r"[0-9.]+", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,9}", re.ASCII)


class Bind(msgspec.Struct, frozen=True):
    """One place to listen on.

    Args:
        kind: "tcp" (host and port), "unix" (path) or "fd" (a listener that is already open, as systemd hands over).
        host: name or address without brackets; "tcp" only.
        port: 0 to 65535, where 0 lets the kernel choose; "tcp" only.
        path: path of the Unix socket; "unix" only.
        fd: number of the inherited file descriptor; "fd" only.

    Example:
        >>> str(Bind(kind="tcp", host="::1", port=8000))
        '[::1]:8000'
    """

    kind: Literal["tcp", "unix", "fd"]
    host: str = ""
    port: int = 0
    path: str = ""
    fd: int = -1

    def __str__(self) -> str:
        """Return the canonical text, which `parse_bind` reads back."""
        if self.kind == "unix":
            return f"unix:{self.path}"
        if self.kind == "fd":
            return f"fd://{self.fd}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it; an inherited descriptor is not known to be, so it is not."""
        if self.kind == "tcp":
            return self.host == "localhost" or _is_loopback_address(self.host)
        return self.kind == "unix"


def parse_bind(text: str, default_port: int = DEFAULT_PORT) -> Bind:
    """Return the address that `text` says.

    Args:
        text: host:port, :port or port (loopback), host (with the default port), [ipv6]:port, unix:/path or fd://number.
        default_port: the port of a host that names none.

    Raises:
        RefusedError: it is no address.

    Example:
        >>> [str(parse_bind(text)) for text in ("9000", ":9000", "[::1]", "unix:/run/a.sock", "fd://3")]
        ['127.0.0.1:9000', '127.0.0.1:9000', '[::1]:8000', 'unix:/run/a.sock', 'fd://3']
    """
    wanted = text.strip()
    scheme, colon, rest = wanted.partition(":")
    if colon and scheme.lower() == "unix":
        return _unix(rest.removeprefix("//"))
    if colon and scheme.lower() == "fd":
        return _descriptor(rest.removeprefix("//"))
    if "://" in wanted:
        raise RefusedError(
            "an address to listen on has no scheme", wanted.partition("://")[2].partition("/")[0] or BIND_HINT
        )
    if not wanted or any(character.isspace() or not character.isprintable() for character in wanted):
        raise RefusedError("it is not an address", BIND_HINT)
    if wanted.isdecimal():
        return Bind(kind="tcp", host=LOOPBACK, port=parse_port(wanted))
    if bracketed := _BRACKETED.fullmatch(wanted):
        return _ipv6(bracketed[1], bracketed[2], default_port)
    host, _, port = wanted.rpartition(":")
    if not colon:
        return Bind(kind="tcp", host=_host(wanted), port=default_port)
    return Bind(kind="tcp", host=_host(host) if host else LOOPBACK, port=parse_port(port))


def parse_port(text: str) -> int:
    """Return a port number from 0 (the kernel chooses) to 65535.

    Raises:
        RefusedError: it is none.
    """
    if not _DIGITS.fullmatch(text) or int(text) > 65535:
        raise RefusedError(f"{text!r} is not a port", "a port from 0 to 65535")
    return int(text)


def _unix(path: str) -> Bind:
    if not path or "\0" in path:
        raise RefusedError("a Unix socket needs a path", "a path, such as unix:/run/app.sock")
    if len(os.fsencode(path)) > UNIX_PATH_LIMIT:
        raise RefusedError(f"the path of a Unix socket has at most {UNIX_PATH_LIMIT} bytes", "a shorter path")
    # What str() writes is read back: more than one slash at the front would be taken for the URL form.
    return Bind(kind="unix", path=f"/{path.lstrip('/')}" if path.startswith("/") else path)


def _descriptor(number: str) -> Bind:
    if not _DIGITS.fullmatch(number):
        raise RefusedError("an inherited descriptor is a number", "a number, such as fd://3")
    return Bind(kind="fd", fd=int(number))


def _ipv6(address: str, port: str | None, default_port: int) -> Bind:
    try:
        host = str(ipaddress.IPv6Address(address))
    except ValueError:
        raise RefusedError(
            f"{address!r} is not an IPv6 address", "an IPv6 address in brackets, such as [::1]:8000"
        ) from None
    return Bind(kind="tcp", host=host, port=default_port if port is None else parse_port(port))


def _host(text: str) -> str:
    if ":" in text:
        raise RefusedError("an IPv6 address needs brackets", "brackets around it, such as [::1]:8000")
    if text == "*":
        raise RefusedError("* is not an address", "0.0.0.0 for every IPv4 address or [::] for every IPv6 address")
    if _NUMERIC.fullmatch(text):
        try:
            return str(ipaddress.IPv4Address(text))
        except ValueError:
            raise RefusedError(
                f"{text!r} is not an IPv4 address", "four numbers from 0 to 255, such as 0.0.0.0"
            ) from None
    if not _HOST_NAME.fullmatch(text) or text.lower() in {"unix", "fd"}:
        raise RefusedError(f"{text!r} is not the name of a host", BIND_HINT)
    return text.lower()


def _is_loopback_address(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
