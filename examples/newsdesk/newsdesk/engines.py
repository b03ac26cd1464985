"""Database engines. None of them connects before it is asked to, so importing the app opens nothing."""

from sqlalchemy import Engine, NullPool, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection

from newsdesk import config


def pooled_engine() -> Engine:
    """The engine of ``app``: connections are kept and reused."""
    url = config.database_url("app")
    engine = create_engine(
        url,
        pool_size=10,
        max_overflow=5,
        pool_recycle=1800,  # seconds; below the idle time-out of the usual firewalls and proxies
        pool_pre_ping=url.get_backend_name() == "postgresql",
        connect_args=config.connect_args("app"),
    )
    if url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _tune_sqlite)
    return engine


def _tune_sqlite(connection: DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = NORMAL")  # safe with the write-ahead log, which the seed switches on
    cursor.close()


def unpooled_engine() -> Engine:
    """The engine of ``slow``: a new connection for every request, and none of the settings that help."""
    return create_engine(config.database_url("slow"), poolclass=NullPool, connect_args=config.connect_args("slow"))
