"""Colours and progress are for terminals that want them; nothing foreign commands one."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.cli import scribe
from hotplate.cli.scribe import Scribe
from hotplate.cli.ui import Look, clean
from hotplate.errors import ExitCode
from tests.cli.command import COMMAND, HELLO, Hotplate, environment
from tests.cli.conftest import OnTerminal
from tests.support.waiting import DEADLINE

ESCAPE = "\x1b"
WAITING_FOR_A_FILE = (
    HELLO
    + """
import os, time
while not os.path.exists("go"):
    time.sleep(0.01)
"""
)


def test_an_error_is_red_on_a_terminal(on_terminal: OnTerminal) -> None:
    """The whole line is red, and the colour ends with it."""
    terminal = on_terminal("status")
    assert terminal.read_all().startswith("\x1b[31mError: Cannot reach")
    assert terminal.seen.count("\x1b[0m") == 1
    assert terminal.process.returncode == ExitCode.NOT_RUNNING


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_a_terminal_may_refuse_colours(on_terminal: OnTerminal, env: dict[str, str]) -> None:
    """NO_COLOR and TERM=dumb are heeded: no control codes at all."""
    text = on_terminal("status", **env).read_all()
    assert text.startswith("Error: Cannot reach")
    assert ESCAPE not in text


def test_an_empty_no_color_means_nothing(on_terminal: OnTerminal) -> None:
    """https://no-color.org: present and not an empty string."""
    assert ESCAPE in on_terminal("status", NO_COLOR="").read_all()


@pytest.mark.process
def test_a_long_import_shows_progress_and_takes_it_back(on_terminal: OnTerminal, tmp_path: Path) -> None:
    """On a terminal one line counts the seconds; it is gone when something is told, and Ctrl-C ends cleanly."""
    (tmp_path / "shop.py").write_text(WAITING_FOR_A_FILE)
    terminal = on_terminal("run", "shop:app", "--workers", "1", "--bind", "127.0.0.1:0")
    terminal.read_until("Importing shop:app ... 3 s")
    (tmp_path / "go").touch()
    told = terminal.read_until("Serving on ")
    after = told.rpartition(" s\r\r\x1b[K")[2]
    assert after.startswith("  Import ")
    assert "\x1b[1;32mServing on" in told
    assert "Importing" not in after
    terminal.process.send_signal(signal.SIGINT)
    assert re.search(r"\n\d\d:\d\d:\d\d Stopping \(SIGINT\)", terminal.read_all())
    assert terminal.process.returncode == ExitCode.OK


@pytest.mark.process
def test_a_long_import_is_quiet_elsewhere(hotplate: Hotplate) -> None:
    """In a file or a pipe there is no progress and no control code."""
    hotplate.write(shop="import time\ntime.sleep(3600)")
    running = hotplate.start("shop:app", "--boot-timeout", "3s")
    assert running.process.wait(DEADLINE) == ExitCode.WORKER_BOOT_FAILED
    assert "Importing" not in running.text()
    assert ESCAPE not in running.text()


def test_nothing_is_said_when_the_reader_has_enough(tmp_path: Path) -> None:
    """`hotplate run --help | head -1` ends without a word about broken pipes."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*COMMAND, "run", "--help"], cwd=tmp_path, env=environment(), stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert done.stderr == b""


@given(st.text())
def test_no_foreign_text_commands_a_terminal(text: str) -> None:
    """Whatever a client or an app puts into it, only printable characters, line ends and tabs are left."""
    assert all(character.isprintable() or character in "\n\t" for character in clean(text))
    clean(text).encode("utf-8")


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_readable_text_stays_as_it_is(text: str) -> None:
    """Escaping leaves every language alone."""
    assert clean(text) == text


def test_a_closed_stream_is_no_terminal() -> None:
    """Asking it would raise."""
    stream = io.StringIO()
    stream.close()
    assert Look.of(stream, {}) == Look(terminal=False)


def test_a_reader_that_takes_nothing_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines beyond what the pipe holds wait for the reader; the writer goes on, and closing gives up on it."""
    monkeypatch.setattr(scribe, "_FAREWELL", 0.05)
    read, write = os.pipe()
    with os.fdopen(write, "w") as out:
        writer = Scribe(out, Look(terminal=False))
        for _ in range(100):
            writer.line("x" * 65536)
        writer.close()
        reader = threading.Thread(target=_drain, args=[read])
        reader.start()  # or the thread would be stuck in the write for ever
        writer._thread.join(DEADLINE)
        assert not writer._thread.is_alive()
    reader.join(DEADLINE)


@pytest.mark.parametrize("blocking", [True, False])
def test_lines_arrive_in_order_and_complete(*, blocking: bool) -> None:
    """What was told before the close is written, also where the stream takes only what fits at once."""
    read, write = os.pipe()
    os.set_blocking(write, blocking)
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(os.fdopen(read)))
    with os.fdopen(write, "w") as out, Scribe(out, Look(terminal=False)) as writer:
        for number in range(100):
            writer.line(f"{number} {'x' * 9000}")
        reader.start()
    reader.join(DEADLINE)
    assert [line.split()[0] for line in lines] == [str(number) for number in range(100)]
    assert {len(line.split()[1]) for line in lines} == {9000}


def _drain(descriptor: int) -> None:
    while os.read(descriptor, 65536):
        pass
    os.close(descriptor)
