"""What a path without a host may be of."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from hotplate.settings import Settings

_LOCAL = ("127.0.0.1", "localhost")
_ANY = {"0.0.0.0", "::"}  # noqa: S104  they are read, not listened on


def of(settings: Settings, binds: Sequence[str]) -> list[str]:
    """Return origins: those of the addresses that are listened on, then the settings' hosts with either scheme.

    Args:
        settings: `cache_hosts` is read.
        binds: as `hotplate status` shows them, such as "http://127.0.0.1:8000".

    Example:
        >>> of(Settings(cache_hosts=("a.example",)), ["http://0.0.0.0:8000", "unix:/run/a.sock"])
        ['http://127.0.0.1:8000', 'http://localhost:8000', 'https://a.example', 'http://a.example']
    """
    found: list[str] = []
    for bind in binds:
        parts = urlsplit(bind)
        if not parts.hostname or parts.scheme not in {"http", "https"}:
            continue
        port = f":{parts.port}" if parts.port else ""
        is_local = parts.hostname in {*_ANY, *_LOCAL, "::1"}
        hosts = list(_LOCAL) if is_local else []
        if parts.hostname not in {*_ANY, *hosts}:
            hosts.insert(0, f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname)
        found += [f"{parts.scheme}://{host}{port}" for host in hosts]
    found += [f"{scheme}://{host}" for host in settings.cache_hosts for scheme in ("https", "http")]
    return list(dict.fromkeys(found)) or ["http://localhost"]
