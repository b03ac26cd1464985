"""Control: found from the folder, owner only, one per name, and not to be upset by any caller."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hotplate.errors import ExitCode, HotplateError
from hotplate.supervisor import control, rendezvous
from hotplate.supervisor.control import Done, Order, Reload, Scale, ScaleDone, Status, Stop
from tests.support.waiting import wait_until


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime folder of the test's own; short, as the path of a Unix socket has to be."""
    with tempfile.TemporaryDirectory(prefix="hp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


async def obey(order: Order) -> Done:
    """Carry out `Scale`, refuse the rest."""
    if isinstance(order, Scale):
        return ScaleDone(order.by + 1)
    raise HotplateError("reload", "it is late", "Sleep.", code=ExitCode.RELOAD_FAILED, detail="a traceback")


@contextmanager
def serving(folder: Path, name: str = "default") -> Iterator[rendezvous.Claim]:
    """Have an instance answer in a thread."""
    claim = rendezvous.claim(folder, name)
    opened, done = threading.Event(), threading.Event()

    async def serve() -> None:
        server = control.Server(claim.socket, obey)
        await server.open()
        opened.set()
        await asyncio.to_thread(done.wait)
        server.close()
        await server.finish()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert opened.wait(30)
    try:
        yield claim
    finally:
        done.set()
        thread.join(30)
        claim.release()


def test_an_order_is_carried_out(tmp_path: Path) -> None:
    """The answer is the record that belongs to the order."""
    with serving(tmp_path):
        assert control.ask(tmp_path, "default", Scale(by=2)) == ScaleDone(3)


def test_a_refusal_arrives_as_it_was(tmp_path: Path) -> None:
    """The caller gets the instance's own error, with code and detail."""
    with serving(tmp_path), pytest.raises(HotplateError, match=r"^Cannot reload: it is late\. Sleep\.$") as refused:
        control.ask(tmp_path, "default", Reload())
    assert refused.value.code == ExitCode.RELOAD_FAILED
    assert refused.value.detail == "a traceback"


def test_nobody_there_is_said(tmp_path: Path) -> None:
    """No instance, or one of another name: NOT_RUNNING, with what to type."""
    with serving(tmp_path, "other"), pytest.raises(HotplateError, match="hotplate run") as refused:
        control.ask(tmp_path, "default", Stop())
    assert refused.value.code == ExitCode.NOT_RUNNING
    assert control.find(tmp_path, "default") is None


def test_folders_and_names_are_kept_apart(tmp_path: Path) -> None:
    """The same name in two folders, and two names in one, are different instances."""
    places = {next(rendezvous.places(tmp_path / folder, name)) for folder in ("a", "b") for name in ("x", "y")}
    assert len(places) == 4
    assert all(len(os.fsencode(place)) <= 107 for place in places)


def test_a_folder_is_the_same_by_any_path(tmp_path: Path) -> None:
    """A symbolic link to the folder finds its instance."""
    (tmp_path / "app").mkdir()
    (tmp_path / "current").symlink_to(tmp_path / "app")
    with serving(tmp_path / "app"):
        assert control.ask(tmp_path / "current", "default", Scale(by=0)) == ScaleDone(1)


def test_only_the_owner_gets_near(tmp_path: Path, runtime: Path) -> None:
    """The socket is 0600 in a folder that is 0700, also when the folder was there with other rights."""
    folder = runtime / "hotplate"
    folder.mkdir(mode=0o755)
    folder.chmod(0o777)
    with serving(tmp_path) as claim:
        assert stat.S_IMODE(claim.socket.stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_somebody_else_prepared_is_refused(tmp_path: Path, runtime: Path) -> None:
    """A symbolic link in place of our folder is not followed."""
    (tmp_path / "elsewhere").mkdir()
    (runtime / "hotplate").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HotplateError, match="belongs to another user"):
        rendezvous.claim(tmp_path, "default")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_cleaner_of_old_files_finds_none(tmp_path: Path) -> None:
    """Lock and socket are touched while the instance lives; what has been removed is not made again."""
    with serving(tmp_path) as claim:
        lock = claim.socket.with_suffix(".lock")
        for path in (lock, claim.socket):
            os.utime(path, (0, 0))

        def touched() -> bool:
            return bool(lock.stat().st_mtime and claim.socket.stat().st_mtime)

        async def live() -> None:
            keeping = asyncio.create_task(claim.keep_fresh(0.01))
            await asyncio.to_thread(wait_until, touched, what="both are touched")
            keeping.cancel()

        asyncio.run(live())
        lock.unlink()
        claim.touch()
        assert not lock.exists()


def test_a_released_claim_leaves_its_successors_files(tmp_path: Path) -> None:
    """Whose lock was removed by hand does not take the lock and socket of whoever came after it."""
    first = rendezvous.claim(tmp_path, "default")
    first.socket.with_suffix(".lock").unlink()
    second = rendezvous.claim(tmp_path, "default")
    second.socket.touch()
    first.hide()
    first.release()
    assert second.socket.exists()
    with pytest.raises(HotplateError, match="already runs"):
        rendezvous.claim(tmp_path, "default")
    second.release()
    assert list(second.socket.parent.iterdir()) == []


def test_many_claim_and_release_and_never_two_hold_it(tmp_path: Path) -> None:
    """However claims and releases fall, at most one holds the name."""
    held = threading.Lock()
    together: list[int] = []

    def contend() -> None:
        for _ in range(200):
            try:
                claim = rendezvous.claim(tmp_path, "default")
            except HotplateError:
                continue
            if not held.acquire(blocking=False):
                together.append(claim.lock)
            else:
                held.release()
            claim.release()

    threads = [threading.Thread(target=contend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == []


def test_a_name_can_be_claimed_once(tmp_path: Path, runtime: Path) -> None:
    """The second claim is refused with the holder's pid, and welcome after the first is released."""
    first = rendezvous.claim(tmp_path, "default")
    with pytest.raises(HotplateError, match=rf"already runs \(pid {os.getpid()}\)") as refused:
        rendezvous.claim(tmp_path, "default")
    assert refused.value.code == ExitCode.ALREADY_RUNNING
    other = rendezvous.claim(tmp_path, "second")
    first.release()
    rendezvous.claim(tmp_path, "default").release()
    other.release()
    assert not list((runtime / "hotplate").iterdir())


@pytest.mark.parametrize(
    "said",
    [b"", b"\n", b"what?\n", b'{"type":"Fork","slot":1}\n', b'{"type":"Scale","by":"many"}\n', b"x" * 200_000 + b"\n"],
)
def test_nonsense_does_not_upset_the_server(tmp_path: Path, said: bytes) -> None:
    """Whatever a caller says, or fails to say, the next one is answered."""
    with serving(tmp_path) as claim:
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(claim.socket))
            try:
                line.sendall(said)
                line.shutdown(socket.SHUT_WR)
                answer = line.recv(65536)
            except ConnectionError:
                answer = b""
        assert not answer or b'"Refused"' in answer
        assert control.ask(tmp_path, "default", Scale(by=1)) == ScaleDone(2)


def test_an_instance_that_dies_meanwhile_is_said(tmp_path: Path) -> None:
    """A connection that ends without an answer is an error in words, not an empty result."""
    claim = rendezvous.claim(tmp_path, "default")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(claim.socket))
        listener.listen()

        def hang_up() -> None:
            listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(HotplateError, match="it ended before it answered"):
            control.ask(tmp_path, "default", Status())
        thread.join(30)
    claim.release()


def test_an_instance_that_is_silent_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    """With a patience, the caller gets an error instead of nothing."""
    claim = rendezvous.claim(tmp_path, "default")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(claim.socket))
        listener.listen()
        with pytest.raises(HotplateError, match="did not answer within"):
            control.ask(tmp_path, "default", Status(), patience=0.05)
    claim.release()


def test_every_field_of_the_report_explains_itself() -> None:
    """What `status` shows is documented where it is defined."""
    import msgspec

    from hotplate.supervisor.report import StatusReport, Totals, WorkerReport

    for record in (StatusReport, WorkerReport, Totals):
        for field in msgspec.inspect.type_info(record).fields:  # type: ignore[attr-defined]  # a struct's info has them
            assert isinstance(field.type, msgspec.inspect.Metadata), f"{record.__name__}.{field.name}"
