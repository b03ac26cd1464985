"""The file: transactions, rights, forks, and what is wrong with it in words."""

import os
import sqlite3
import stat
import threading
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kombu.exceptions import OperationalError

from hotplate.errors import HotplateError
from hotplate.tasks.embedded import file, opening, schema
from hotplate.tasks.embedded.file import Store
from hotplate.tasks.embedded.problems import FileBusyError, FileUnusableError, ForeignFileError
from tests.tasks.embedded import children


def test_the_file_is_its_owners_alone(store: Store) -> None:
    """Whatever the umask, nobody else may read what tasks were given."""
    before = os.umask(0)
    try:
        store.set_meta("a", "b")
        with store.waiting("topic"):
            modes = {entry: stat.S_IMODE(entry.stat().st_mode) for entry in store.path.parent.iterdir()}
    finally:
        os.umask(before)
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700
    assert {mode & 0o077 for mode in modes.values()} == {0}
    assert len(modes) == 5  # the file, its log and index, owners, sockets


def test_what_is_raised_in_a_transaction_undoes_it(store: Store) -> None:
    """Nothing is half written, and the next transaction can begin."""
    with suppress(KeyboardInterrupt), store.write() as writing:
        writing.execute("INSERT INTO meta VALUES ('a', 'b')")
        raise KeyboardInterrupt
    assert store.get_meta("a") is None
    store.set_meta("a", "c")
    assert store.get_meta("a") == "c"


def test_a_bug_of_the_caller_keeps_its_own_error(store: Store) -> None:
    """Only complaints about the file are translated."""
    with pytest.raises(sqlite3.OperationalError, match="no such table"), store.write() as writing:
        writing.execute("INSERT INTO nowhere VALUES (1)")
    assert store.get_meta("a") is None


def test_readers_do_not_wait_for_a_writer(store: Store) -> None:
    """While another process writes, what was there before can be read."""
    store.set_meta("a", "before")
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE meta SET value = 'after' WHERE key = 'a'")
        assert store.get_meta("a") == "before"
        other.execute("COMMIT")
    assert store.get_meta("a") == "after"


def test_a_process_that_does_not_let_go_is_named_as_the_cause(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes waits for a while, not for ever."""
    monkeypatch.setattr(opening, "PATIENCE", 0.05)
    store.set_meta("a", "b")
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(FileBusyError, match="another process has kept it locked"):
            store.set_meta("a", "c")
    store.set_meta("a", "d")


def test_many_writers_all_get_their_turn(store: Store) -> None:
    """Four processes of two threads each count together, and no step is lost."""
    store.set_meta("count", "0")

    def count() -> None:
        for _ in range(50):
            with store.write() as writing:
                writing.execute("UPDATE meta SET value = value + 1 WHERE key = 'count'")

    def both() -> None:
        threads = [threading.Thread(target=count) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    started = [children.start(both) for _ in range(4)]
    assert [os.waitpid(child, 0)[1] for child in started] == [0] * 4
    assert store.get_meta("count") == "400"


def test_a_fork_carries_no_connection_over(store: Store) -> None:
    """Before a fork the connection is closed, so that the child's SQLite believes in no lock of the parent's."""
    store.set_meta("a", "parent")
    assert store._connection is not None

    def child() -> None:
        assert store._connection is None
        store.set_meta("a", "child")

    assert children.run(child) == 0
    assert store.get_meta("a") == "child"


def test_a_fork_in_the_middle_of_a_transaction_leaves_the_parents_connection_alone(store: Store) -> None:
    """The child neither uses nor closes what it inherited; the parent's transaction goes on."""
    with store.write() as writing:
        writing.execute("INSERT INTO meta VALUES ('a', 'parent')")
        assert children.run(lambda: None if store._connection is None else os._exit(3)) == 0
    assert store.get_meta("a") == "parent"


def test_threads_that_fork_at_once_do_not_wait_for_ever(store: Store) -> None:
    """What a fork holds is let go of by the thread that forked."""
    store.set_meta("a", "b")

    def fork() -> None:
        for _ in range(5):
            assert children.run(lambda: None) == 0
            store.set_meta("a", "c")

    threads = [threading.Thread(target=fork) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    store.set_meta("a", "d")


def test_a_killed_writer_leaves_nothing_half_done(store: Store) -> None:
    """A process killed in its transaction has written nothing, and holds up nobody."""
    store.set_meta("a", "before")

    def die() -> None:
        with store.write() as writing:
            writing.execute("UPDATE meta SET value = 'after'")
            children.die()

    assert children.run(die) == 9
    assert store.get_meta("a") == "before"
    store.set_meta("a", "later")


def test_a_file_taken_away_is_made_anew(store: Store) -> None:
    """Whoever deletes the file loses what was in it, but nothing that is written afterwards."""
    store.require(["CREATE TABLE IF NOT EXISTS extra (a)"])
    store.set_meta("a", "b")
    generation = store.generation
    for beside in store.path.parent.glob("tasks.sqlite*"):
        if beside.is_file():
            beside.unlink()
    store.set_meta("c", "d")
    assert (store.get_meta("a"), store.get_meta("c")) == (None, "d")
    assert store.generation == generation + 1
    with store.write() as writing:
        writing.execute("INSERT INTO extra VALUES (1)")
    with closing(sqlite3.connect(store.path)) as other:
        assert other.execute("SELECT count(*) FROM extra").fetchone() == (1,)


def test_a_damaged_file_is_named_and_kept(path: Path) -> None:
    """It is both errors that anybody might wait for, says what to type, and deletes nothing."""
    path.parent.mkdir()
    path.write_bytes(b"no database " * 1000)
    with pytest.raises(FileUnusableError, match="damaged") as refused:
        file.open(path).set_meta("a", "b")
    assert isinstance(refused.value, OperationalError)
    assert isinstance(refused.value, HotplateError)
    assert f"mv {path} {path}.damaged" in refused.value.remedy
    assert path.read_bytes() == b"no database " * 1000


def test_pages_that_were_overwritten_are_named_as_damage(store: Store) -> None:
    """Damage that shows only when something is read says the same."""
    with store.write() as writing:
        for number in range(100):
            writing.execute("INSERT INTO meta VALUES (?, ?)", (str(number), "x" * 1000))
    store.close()  # the last one to close moves its log into the file
    with store.path.open("r+b") as opened:
        opened.seek(4096)
        opened.write(b"\xff" * (store.path.stat().st_size - 4096))
    with pytest.raises(FileUnusableError, match="damaged"), store.read() as reading:
        reading.execute("SELECT max(value) FROM meta").fetchall()


def test_another_programs_file_is_left_alone(path: Path) -> None:
    """An SQLite file with other tables is not furnished."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE customers (name)")
    with pytest.raises(ForeignFileError, match="another program's"):
        file.open(path).set_meta("a", "b")
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("customers",)]


def test_a_later_layout_is_not_guessed_at(store: Store) -> None:
    """A file that a later version has written is refused, not misread."""
    store.set_meta("a", "b")
    store.close()
    with closing(sqlite3.connect(store.path)) as other:
        other.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    with pytest.raises(ForeignFileError, match="later Hotplate"):
        store.get_meta("a")


def test_two_applications_on_one_file_are_both_named(store: Store) -> None:
    """The second one is refused unless the URL says that they share it."""
    store.claim("shop")
    store.claim("shop")
    with pytest.raises(ForeignFileError, match=r"for blog: it is shop's") as refused:
        store.claim("blog")
    assert "?shared=yes" in refused.value.remedy
    store.claim("blog", shared=True)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """Where a file is in the way, the error says where."""
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(FileUnusableError, match="state"):
        file.open(tmp_path / "state" / "tasks.sqlite").set_meta("a", "b")


def test_durable_commits_wait_for_the_disk(path: Path) -> None:
    """`durable` is SQLite's FULL; otherwise NORMAL, which no killed process can hurt."""
    for durable, level in ((True, 2), (False, 1)):
        store = file.open(path, durable=durable)
        with store.read() as reading:
            assert reading.execute("PRAGMA synchronous").fetchone() == (level,)
            assert reading.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        store.close()


def test_notifying_wakes_only_who_waits_for_it(store: Store) -> None:
    """A waiter is woken by its topic, from the transaction as from outside, and not by a transaction undone."""
    with store.waiting("one") as one, store.waiting("two") as two:
        with store.write() as writing:
            writing.notify("one")
        assert one.wait(10)
        with suppress(ZeroDivisionError), store.write() as writing:
            writing.notify("two")
            raise ZeroDivisionError
        store.notify(["nobody"])
        assert not two.wait(0)
        store.notify(["two"])
        assert two.wait(10)
    with store.read() as reading:
        assert reading.execute("SELECT * FROM waiters").fetchall() == []
    assert list(store.folder.path.iterdir()) == []


def test_sockets_may_lie_deeper_than_an_address_can_say(tmp_path: Path) -> None:
    """A path longer than 107 bytes is no hindrance, from another process, too."""
    store = file.open(tmp_path / ("deep" * 20) / ("deeper" * 20) / "tasks.sqlite")
    with store.waiting("topic") as waiting:
        assert children.run(lambda: store.notify(["topic"])) == 0
        assert waiting.wait(10)
    store.close()


def test_a_child_that_ends_does_not_end_its_parents_waiting(store: Store) -> None:
    """The child closes its copy; the socket's file and its row stay."""
    with store.waiting("topic") as waiting:
        assert children.run(waiting.close) == 0
        store.notify(["topic"])
        assert waiting.wait(10)


def test_two_that_make_it_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that finds the file empty, and looks again when another one has furnished it, knows it for ours."""
    connect = sqlite3.connect

    class Slow(sqlite3.Connection):
        def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
            if "sqlite_master" in statement:
                monkeypatch.setattr(sqlite3, "connect", connect)
                opening.connect(path, durable=False).close()
            return super().execute(statement, *values)

    monkeypatch.setattr(sqlite3, "connect", partial(connect, factory=Slow))
    with closing(opening.connect(path, durable=False)) as connection:
        assert connection.execute("SELECT count(*) FROM messages").fetchone() == (0,)
