"""SQLAlchemy engines across a fork.

A pooled connection that two processes use mixes up their answers, and one that a child closes is closed for its parent,
too, because closing says goodbye to the server. So before the fork idle connections are closed by the process they
belong to, and after it every child gives its engines new, empty pools and leaves the old ones untouched
(https://docs.sqlalchemy.org/en/20/core/pooling.html#using-connection-pools-with-multiprocessing-or-os-fork).
"""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.pool import Pool

_log = logging.getLogger("hotplate.database")

# Never let go in a child: the drivers of some databases (mysqlclient) say goodbye to the server when a connection is
# garbage-collected, whichever process that happens in.
_of_the_parent: list[Pool] = []


def find() -> list[Engine]:
    """Return the engines that exist, those inside asynchronous engines too, without those of databases in memory.

    A SQLite database in memory lives in its connection: closing that would lose it, a fork copies it.
    `gc.freeze()` hides them, so they are looked for before it. It takes about 0.1 s per million objects, and no time
    in an app without SQLAlchemy.
    """
    base = sys.modules.get("sqlalchemy.engine.base")
    if base is None:
        return []
    kinds = _with_subclasses(base.Engine)
    # By type(): isinstance() would ask lazy proxies such as `flask.current_app` for their class, which may raise.
    return [thing for thing in gc.get_objects() if type(thing) in kinds and not _in_memory(thing)]


def close_idle(engines: Sequence[Engine]) -> None:
    """Close the connections nobody has checked out; for the process that opened them, before it forks.

    Those of asynchronous drivers stay: they can be closed only in the event loop they were opened in.
    """
    for engine in engines:
        if getattr(engine.dialect, "is_async", False):
            continue
        try:
            engine.dispose()
        except Exception:  # noqa: BLE001  the app's own pool or listener; the check of open sockets sees what stayed
            _log.warning("Cannot close the idle connections of %s", engine, exc_info=True)


def leave_to_parent(engines: Sequence[Engine]) -> None:
    """Give each engine a new pool and leave the old one, with its connections, to the parent; for the forked child."""
    for engine in engines:
        _of_the_parent.append(engine.pool)
        try:
            engine.dispose(close=False)
        except TypeError:  # before SQLAlchemy 1.4.33
            engine.pool = engine.pool.recreate()
        except Exception:  # noqa: BLE001  a listener of the app; the pool has been replaced before it is called
            _log.warning("The app's own listener failed when %s got a new pool", engine, exc_info=True)


def _with_subclasses(kind: type[Engine]) -> set[type[Engine]]:
    found: set[type[Engine]] = set()
    rest = [kind]
    while rest:
        found.add(current := rest.pop())
        rest += current.__subclasses__()
    return found


def _in_memory(engine: Engine) -> bool:
    if engine.dialect.name != "sqlite":
        return False
    url = engine.url
    database = url.database or ""
    return database in {"", ":memory:"} or "mode=memory" in database or url.query.get("mode") == "memory"
