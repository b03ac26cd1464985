"""Where the processes of an instance meet to share a cache: a folder beside its control socket, and a note in it.

The note tells the command line what the running instance was started with; the file is its owner's, and the password of
a Redis is not in it all the same.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec

from hotplate.cache.stores.folder import write_new
from hotplate.settings import Settings
from hotplate.settings.handed import CACHE_FOLDER
from hotplate.settings.secret import hidden
from hotplate.supervisor.rendezvous import Claim

_log = logging.getLogger("hotplate.master")

NOTE = "cache.json"


class CacheNote(msgspec.Struct, frozen=True, kw_only=True):
    """What an instance was started with, as far as it is about the cache; sizes in bytes, durations in seconds.

    Args:
        settings: without the URLs of a Redis and a broker.
        redis: that URL without its password; "" for none.
        pid: of the master.
    """

    settings: Settings
    redis: str = ""
    pid: int = 0


def make(claim: Claim, settings: Settings) -> dict[str, str]:
    """Make the folder of an instance, with the note in it; return the variables by which its processes find it.

    Where it cannot be made, such as on a full disk, there are none, and every process has a cache of its own.

    Args:
        claim: on the instance's name; the folder of its socket is its owner's alone.
        settings: of the instance.
    """
    folder = claim.cache
    without = msgspec.structs.replace(settings, redis_url="", broker_url="")
    note = CacheNote(settings=without, redis=hidden(settings.redis_url), pid=os.getpid())
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        write_new(folder / NOTE, msgspec.json.encode(note))
    except OSError as problem:
        _log.warning("The workers share no cache: %s cannot be made (%s)", folder, problem.strerror)
        return {CACHE_FOLDER: ""}
    return {CACHE_FOLDER: str(folder)}


def note(folder: Path) -> CacheNote | None:
    """Return the note in a folder; None where there is none that can be read."""
    try:
        return msgspec.json.decode((folder / NOTE).read_bytes(), type=CacheNote)
    except (OSError, msgspec.MsgspecError):
        return None
