"""SQLAlchemy's engines across a fork: the child gets its own connections and the parent keeps its own."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, NullPool, StaticPool, create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from hotplate.database import pools


def in_child(work: Callable[[], None]) -> None:
    """Run `work` in a fork of this process, and fail if it fails."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:  # noqa: BLE001  a child that climbed out of here would run the rest of the tests
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def backend(engine: Engine) -> int:
    """Return which server process answers; a connection has its own."""
    with engine.connect() as connection:
        return int(connection.scalar(text("select pg_backend_pid()")))


@pytest.mark.postgres
def test_children_leave_the_parents_connection_alone(postgres_url: str) -> None:
    """After children have come, used the engine and gone, the parent's pooled connection still answers."""
    engine = create_engine(postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    mine = backend(engine)
    engines = [found for found in pools.find() if found is engine]
    assert engines

    def child() -> None:
        pools.leave_to_parent(engines)
        assert backend(engine) != mine

    for _ in range(3):
        in_child(child)
    assert backend(engine) == mine
    engine.dispose()


def test_idle_connections_are_closed_before_the_fork(tmp_path: Path) -> None:
    """Closing idle connections closes the file, and the engine opens it again when asked."""
    path = tmp_path / "app.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(text("create table t (n)"))
    assert _open_files(path)
    pools.close_idle([found for found in pools.find() if found is engine])
    assert not _open_files(path)
    with engine.connect() as connection:
        assert connection.scalar(text("select count(*) from t")) == 0
    engine.dispose()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:shared?mode=memory&uri=true"])
def test_a_database_in_memory_is_kept(url: str) -> None:
    """What lives in its connection is neither closed nor forgotten."""
    engine = create_engine(url, poolclass=StaticPool)
    assert engine not in pools.find()


def test_finds_engines_of_every_kind(tmp_path: Path) -> None:
    """Pooled or not, or made of another with options."""
    plain = create_engine(f"sqlite:///{tmp_path}/a.db")
    unpooled = create_engine(f"sqlite:///{tmp_path}/b.db", poolclass=NullPool)
    optioned = plain.execution_options(isolation_level="AUTOCOMMIT")
    found = pools.find()
    assert {id(plain), id(unpooled), id(optioned)} <= {id(engine) for engine in found}


@pytest.mark.postgres
def test_an_asynchronous_engine_is_renewed_in_the_child(postgres_url: str) -> None:
    """The engine inside an asynchronous one gets a new pool, and is not closed outside its event loop."""
    outer = create_async_engine(postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    engines = [found for found in pools.find() if found is outer.sync_engine]
    assert engines
    before = outer.sync_engine.pool
    pools.close_idle(engines)
    assert outer.sync_engine.pool is before

    def child() -> None:
        pools.leave_to_parent(engines)
        assert outer.sync_engine.pool is not before

    in_child(child)


def test_old_sqlalchemy_has_no_argument_to_dispose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before 1.4.33 the pool is replaced by hand."""
    engine = create_engine(f"sqlite:///{tmp_path}/a.db")
    before = engine.pool

    def dispose(self: Engine) -> None:
        raise AssertionError("would close the parent's connections")

    monkeypatch.setattr(Engine, "dispose", dispose)
    pools.leave_to_parent([engine])
    assert engine.pool is not before


def _open_files(path: Path) -> list[str]:
    return [entry.name for entry in Path("/proc/self/fd").iterdir() if _target(entry) == str(path)]


def _target(entry: Path) -> str:
    try:
        return str(entry.readlink())
    except OSError:
        return ""
