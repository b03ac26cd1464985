"""From a folder to its running instance's cache, opened as one of its processes would."""

from __future__ import annotations

import logging
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hotplate.cli.parts import Flag
from hotplate.cli.reach import instance, instance_flags
from hotplate.errors import ExitCode, HotplateError

if TYPE_CHECKING:
    from hotplate.cache.service import Cache
    from hotplate.settings import Settings
    from hotplate.supervisor.report import StatusReport

_PATIENCE = 10.0  # seconds for the instance to say where it is
_BUDGET = 2.0  # seconds for one question to Redis: who types a command waits longer than a visitor


class Reached(NamedTuple):
    """A running instance and its cache.

    Args:
        report: how it goes.
        settings: that it was started with, and by which the cache was opened.
        folder: where its processes meet.
        releases: of the code that its workers run, the one of most workers first.
        cache: opened.
    """

    report: StatusReport
    settings: Settings
    folder: Path
    releases: tuple[str, ...]
    cache: Cache

    @property
    def where(self) -> str:
        """Where what is stored lies, and so how far an invalidation reaches, in words."""
        from hotplate.settings.secret import hidden

        shared = hidden(self.settings.redis_url)
        return f"on all machines that share {shared}" if shared else "in all workers of this machine"


def cache_flags() -> list[Flag]:
    """Return the flags that every command of the cache has."""
    from hotplate.settings import SETTINGS

    help_text = "Redis that the instance shares, where it has a password. [default: as `hotplate run` reads it]"
    return [
        *instance_flags(),
        Flag([SETTINGS["redis_url"].flag], group="Instance", metavar="URL", help=help_text),
    ]


def reach(name: str | None = None, folder: str | None = None, redis_url: str | None = None) -> Reached:
    """Find the instance and open its cache.

    Args:
        name: what --name said.
        folder: what --folder said.
        redis_url: what --redis-url said.

    Raises:
        HotplateError: NOT_RUNNING; FAILED, it has no cache that others can open; USAGE, it shares a Redis whose
            password is not known here.
    """
    import msgspec

    from hotplate.cache import service
    from hotplate.supervisor import cachefolder, control
    from hotplate.supervisor.report import StatusReport

    where, called = instance(name, folder)
    report = control.ask(where, called, control.Status(), patience=_PATIENCE)
    if not isinstance(report, StatusReport):
        raise TypeError(f"the instance answered with {report!r}")
    note = cachefolder.note(Path(report.cache)) if report.cache else None
    if note is None:
        raise HotplateError(
            f"open the cache of the instance named {called} in {where}",
            f"its workers share none ({report.cache or 'it was started by an older version'})",
            "Its log says why; start it again.",
            code=ExitCode.FAILED,
        )
    settings = note.settings
    if note.redis:
        url = _redis_url(redis_url, note.redis, where)
        settings = msgspec.structs.replace(settings, redis_url=url, redis_timeout=_BUDGET)
    counted = Counter(worker.release for worker in report.workers if worker.state == "ready" and worker.release)
    releases = tuple(release for release, _ in counted.most_common()) or (settings.release,)
    logging.getLogger("hotplate").addHandler(logging.NullHandler())  # what is wrong with the store is told once, by us
    opened = service.open_with(settings, report.cache, releases[0])
    return Reached(report, settings, Path(report.cache), releases, opened)


def _redis_url(flag: str | None, shown: str, folder: Path) -> str:
    """Return the URL with its password, from wherever `hotplate run` would have it.

    Args:
        flag: what was typed; None for nothing.
        shown: the instance's, without its password.
        folder: of the settings file.
    """
    from hotplate.settings.instance import one_setting
    from hotplate.settings.secret import hidden

    url = str(one_setting("redis_url", flag, os.environ, folder))
    if hidden(url) == shown:
        return url
    if not url and "..." not in shown:
        return shown  # nothing was hidden in it
    raise HotplateError(
        f"look into the cache in {shown}",
        f"this shell has {hidden(url)} instead" if url else "its password is not known here",
        "Set REDIS_URL as it was for `hotplate run`, or give --redis-url.",
        code=ExitCode.USAGE,
    )
