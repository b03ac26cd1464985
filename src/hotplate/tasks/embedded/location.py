"""What an embedded broker's URL says: `hotplate:////var/lib/shop/tasks.sqlite?durable=yes`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from hotplate.errors import ExitCode, HotplateError

SCHEME = "hotplate"
_TRUTH = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}


class Location(NamedTuple):
    """Where the file lies, and how it is to be kept.

    Args:
        path: absolute path of the file.
        durable: a commit waits for the disk, so that it survives a power cut, too.
        shared: applications of different names may use the file together.
    """

    path: Path
    durable: bool = False
    shared: bool = False


def url(path: Path, *, durable: bool = False, shared: bool = False) -> str:
    """Return the URL of a file, fit for `broker_url` and `result_backend`.

    Example:
        >>> url(Path("/srv/my shop/tasks.sqlite"), durable=True)
        'hotplate:////srv/my%20shop/tasks.sqlite?durable=yes'
    """
    query = "&".join(name for name, wanted in (("durable=yes", durable), ("shared=yes", shared)) if wanted)
    # A semicolon parts several brokers in Celery's reading of a URL, so it is quoted with the rest.
    return f"{SCHEME}:///{quote(str(path.absolute()))}" + (f"?{query}" if query else "")


def location(text: str) -> Location:
    """Return what a URL says; as with SQLAlchemy, four slashes lead an absolute path, three one of this folder.

    Raises:
        HotplateError: USAGE; it names a host, no file, or an option that does not exist.

    Example:
        >>> location("hotplate:////srv/tasks.sqlite?shared=yes")
        Location(path=PosixPath('/srv/tasks.sqlite'), durable=False, shared=True)
    """
    parts = urlsplit(text)
    path = unquote(parts.path)[1:]
    if parts.scheme != SCHEME or parts.netloc or not path or path.endswith("/"):
        raise _refusal(text, "it does not name a file of this machine")
    options: dict[str, bool] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in {"durable", "shared"}:
            raise _refusal(text, f"there is no option {name!r}; there are durable and shared")
        if value.lower() not in _TRUTH:
            raise _refusal(text, f"{name} is yes or no, not {value!r}")
        options[name] = _TRUTH[value.lower()]
    return Location(Path(path).absolute(), **options)


def _refusal(text: str, cause: str) -> HotplateError:
    remedy = f"Write {SCHEME}:////absolute/path/tasks.sqlite, with ?durable=yes or ?shared=yes behind it if wanted."
    return HotplateError(f"use the broker {text}", cause, remedy, code=ExitCode.USAGE)
