"""What the living do for the dead: their messages go back, their queues and sockets away. And keeping the file small.

No clock decides who is dead (see `owners`), so no long task is ever taken for a dead one.
"""

from __future__ import annotations

from hotplate.tasks.embedded import messages, routes
from hotplate.tasks.embedded.file import Store

_WORTH_IT = 512  # free pages (2 MB) that are kept for the next burst
_AT_ONCE = 1024  # pages (4 MB, some milliseconds) that one go gives back to the disk


def sweep(store: Store) -> int:
    """Give back what dead processes had; return how many messages that were.

    Raises:
        BrokerFileError: the file cannot be used at the moment.
    """
    with store.read() as reading:
        owners = [int(row[0]) for row in reading.execute("SELECT id FROM owners")]
    dead = [owner for owner in owners if not store.is_alive(owner)]
    return sum(_bury(store, owner) for owner in dead)


def tidy(store: Store) -> None:
    """Give some of the room that messages have left behind back to the disk.

    Raises:
        BrokerFileError: the file cannot be used at the moment.
    """
    with store.read() as reading:
        free = int(reading.execute("PRAGMA freelist_count").fetchone()[0])
    if free > _WORTH_IT:
        with store.write() as writing:
            for _ in range(min(_AT_ONCE, free - _WORTH_IT)):
                writing.execute("PRAGMA incremental_vacuum(1)")  # sqlite3 steps a pragma without columns only once


def _bury(store: Store, owner: int) -> int:
    with store.write() as writing:
        names = [row[0] for row in writing.execute("SELECT name FROM waiters WHERE owner = ?", (owner,))]
        for queue in routes.owned(writing, owner):
            routes.delete(writing, queue)
        given_back = messages.give_back_all(writing, owner)
        writing.execute("DELETE FROM waiters WHERE owner = ?", (owner,))
        writing.execute("DELETE FROM owners WHERE id = ?", (owner,))
    for name in set(names):
        store.folder.remove(name)
    return given_back
