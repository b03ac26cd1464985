"""The commands as they are typed, with the embedded broker's file in a folder of the test's own."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from hotplate.cli import main, tasks
from hotplate.cli.parts import Command
from hotplate.cli.tasks_reach import reach
from hotplate.errors import ExitCode, HotplateError
from hotplate.tasks.admin import workers
from tests.cli.command import Hotplate
from tests.cli.conftest import OnTerminal
from tests.tasks.admin.conftest import Opened

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers, of which there are none, are not waited for."""
    monkeypatch.setattr(workers, "PATIENCE", 0.05)
    monkeypatch.setattr("hotplate.tasks.admin.status.__kwdefaults__", {"newest": 5, "patience": 0.05})


def told(capsys: Capture, *words: str) -> tuple[int, str, str]:
    """Type a command; return its status and what it wrote."""
    status = main(["tasks", *words])
    written = capsys.readouterr()
    return status, written.out, written.err


def test_status(opened: Opened, capsys: Capture) -> None:
    """Without work all is well; what waits without a worker is not."""
    assert told(capsys, "status")[0] == ExitCode.OK
    opened.send("celery", "1", "2")
    status, out, _ = told(capsys, "status")
    assert status == ExitCode.UNHEALTHY
    assert out.startswith("Tasks: 0 running, 2 waiting, 0 workers\n2 tasks wait, and no worker answers. Type: ")


def test_status_for_programs(opened: Opened, capsys: Capture) -> None:
    """One JSON object with every field, null where nothing is told; the status says the same as `healthy`."""
    opened.park("1", reason="poison")
    status, out, _ = told(capsys, "status", "--json")
    found = json.loads(out)
    assert (status, found["healthy"]) == (ExitCode.OK, True)
    assert found["parked"]["reasons"] == {"poison": 1}
    assert found["minute"] == {"done": None, "failed": None, "retried": None}
    assert found["broker"]["kind"] == "embedded"
    assert [queue["name"] for queue in found["queues"]] == ["celery"]


def test_more_of_the_parked(opened: Opened, capsys: Capture) -> None:
    """So many of the parked ones are shown as are asked for."""
    opened.park(*(f"id-{number}" for number in range(9)))
    assert told(capsys, "status")[1].count("shop.mail") == 5
    assert told(capsys, "status", "--parked", "100")[1].count("shop.mail") == 9
    assert told(capsys, "status", "--parked", "many")[0] == ExitCode.USAGE


def test_nothing_was_ever_sent(state: Path, capsys: Capture) -> None:
    """In a folder of no tasks it is said where they were looked for; nothing is made there."""
    status, _, err = told(capsys, "status")
    assert status == ExitCode.NOT_RUNNING
    assert f"none was ever sent from there: {state} is empty" in err
    assert not state.exists()


def test_several_apps(opened: Opened, capsys: Capture) -> None:
    """Where several apps have a file, it is to be said which is meant."""
    path = Path(os.environ["HOTPLATE_TASKS_DIR"]) / "blog.sqlite"
    path.write_bytes(b"")
    status, _, err = told(capsys, "status")
    assert status == ExitCode.USAGE
    assert "holds those of several apps: blog, shop" in err
    assert told(capsys, "status", "--broker-url", opened.broker.url)[0] == ExitCode.OK


def test_a_file_is_not_made_by_looking(state: Path, capsys: Capture) -> None:
    """A mistyped path is refused."""
    status, _, err = told(capsys, "status", "--broker-url", f"hotplate:///{state}/no.sqlite")
    assert (status, "there is no such file" in err) == (ExitCode.USAGE, True)
    assert not state.exists()


def test_a_dead_broker(state: Path, capsys: Capture) -> None:
    """It is told with what named it and without its password, and the status is that of something unhealthy."""
    status, out, _ = told(capsys, "status", "--broker-url", "redis://:geheim@127.0.0.1:1/0")
    assert status == ExitCode.UNHEALTHY
    assert "Connection refused" in out
    assert "(--broker-url)" in out
    assert "geheim" not in out
    status, _, err = told(capsys, "retry", "--all", "--broker-url", "redis://:geheim@127.0.0.1:1/0")
    assert status == ExitCode.FAILED
    assert err.startswith("Error: Cannot try tasks again at redis://:...@127.0.0.1:1/0: ")


@pytest.mark.parametrize(
    ("lines", "environ", "origin"),
    [
        ("", {"CELERY_BROKER_URL": "redis://127.0.0.1:1/0"}, "CELERY_BROKER_URL"),
        ("", {"HOTPLATE_BROKER_URL": "redis://127.0.0.1:1/0"}, "HOTPLATE_BROKER_URL"),
        ('broker_url = "redis://127.0.0.1:1/0"', {}, "hotplate.toml"),
        ("", {"REDIS_URL": "redis://127.0.0.1:1/0"}, "REDIS_URL"),
    ],
)
def test_which_broker(
    state: Path, monkeypatch: pytest.MonkeyPatch, lines: str, environ: dict[str, str], origin: str
) -> None:
    """The broker is what `hotplate run` in that folder would have, and what named it is told."""
    Path("hotplate.toml").write_text(lines)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    flags = {"name": None, "folder": None, "broker_url": None, "queues": (), "imported": False, "app": None}
    found = reach(**flags).broker
    assert (found.kind, found.origin) == ("redis", origin)


def test_another_folder(opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """The folder of the tasks goes with the app's folder, wherever the command is typed."""
    app = tmp_path / "app"
    app.mkdir()
    (app / "hotplate.toml").write_text(f'tasks_dir = "{os.environ["HOTPLATE_TASKS_DIR"]}"\n')
    monkeypatch.delenv("HOTPLATE_TASKS_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "none"))
    assert told(capsys, "status", "--folder", str(app))[0] == ExitCode.OK
    assert told(capsys, "status", "--folder", str(tmp_path))[0] == ExitCode.NOT_RUNNING


@pytest.mark.process
def test_importing(state: Path, opened: Opened, hotplate: Hotplate) -> None:
    """Asked to, it imports the app, which knows its name and says where its broker is."""
    hotplate.write(
        bakery=f"""
        import hotplate.tasks

        celery = hotplate.tasks.celery(name="bakery", broker_url="{opened.broker.url}?shared=yes")

        def app(environ, start_response): ...

        @celery.task
        def bake(): ...
        """
    )
    done = hotplate.run("tasks", "status", "--app", "bakery:app", "--json", env={"HOTPLATE_TASKS_DIR": str(state)})
    assert done.status == ExitCode.OK, done.err
    assert json.loads(done.out)["app"] == "bakery"


@pytest.mark.process
def test_an_app_without_tasks(hotplate: Hotplate) -> None:
    """An app that has none is told how it gets some."""
    hotplate.write(plain="def app(environ, start_response): ...")
    done = hotplate.run("tasks", "status", "--app", "plain:app")
    assert done.status == ExitCode.ATTRIBUTE_MISSING
    assert "plain:app has no Celery app" in done.error


def test_retry(opened: Opened, capsys: Capture) -> None:
    """A parked task goes back to its queue, named by the beginning of its id, or all do."""
    opened.park("aaaa-1", "bbbb-2", "cccc-3")
    assert told(capsys, "retry", "bbbb")[:2] == (ExitCode.OK, "1 task waits in celery again; 2 parked\n")
    status, out, _ = told(capsys, "retry", "--all", "--json")
    assert (status, [task["id"] for task in json.loads(out)["retried"]]) == (ExitCode.OK, ["aaaa-1", "cccc-3"])
    assert len(opened.taken("celery")) == 3
    assert told(capsys, "retry", "--all")[1] == "Nothing is parked\n"


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ([], "it is not said which"),
        (["1", "--all"], "one contradicts the other"),
        (["--all", "--reason", "bad"], "there is no such reason"),
        (["nope"], "no parked task has that id"),
    ],
)
def test_retry_what(opened: Opened, capsys: Capture, words: list[str], cause: str) -> None:
    """What is not clear is refused, and nothing is done."""
    opened.park("1")
    status, _, err = told(capsys, "retry", *words)
    assert (status, cause in err) == (ExitCode.USAGE, True)
    assert opened.taken("celery") == []


def test_purging_is_never_silent(opened: Opened, capsys: Capture) -> None:
    """Without a terminal nobody can be asked, so nothing is done without --yes; the count is told either way."""
    opened.send("celery", "1", "2")
    status, _, err = told(capsys, "purge", "celery")
    assert status == ExitCode.USAGE
    assert "Cannot throw away 2 tasks that wait in the queue celery" in err
    assert "Add --yes." in err
    assert told(capsys, "purge", "celery", "--yes")[:2] == (ExitCode.OK, "2 tasks thrown away from celery\n")
    assert opened.taken("celery") == []
    assert told(capsys, "purge", "celery")[:2] == (ExitCode.OK, "Nothing waited in celery\n")


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ([], "it is not said which"),
        (["celery", "--parked"], "one contradicts the other"),
        (["celry", "--yes"], "has no such queue"),
    ],
)
def test_purge_what(opened: Opened, capsys: Capture, words: list[str], cause: str) -> None:
    """What is not clear is refused, and nothing is thrown away."""
    opened.send("celery", "1")
    status, _, err = told(capsys, "purge", *words)
    assert (status, cause in err) == (ExitCode.USAGE, True)
    assert len(opened.taken("celery")) == 1


def test_purging_the_parked(opened: Opened, capsys: Capture) -> None:
    """The parked ones are thrown away only when they are meant."""
    opened.park("1", "2")
    opened.send("celery", "3")
    status, out, _ = told(capsys, "purge", "--parked", "--yes", "--json")
    assert (status, json.loads(out)["purged"]) == (ExitCode.OK, 2)
    assert len(opened.taken("celery")) == 1


@pytest.mark.process
@pytest.mark.parametrize(("answer", "left"), [("n", 1), ("y", 0), ("", 1)])
def test_asking(state: Path, opened: Opened, on_terminal: OnTerminal, answer: str, left: int) -> None:
    """On a terminal it asks, saying how many and that they are gone for good; the answer is no unless it is yes."""
    opened.send("celery", "1")
    terminal = on_terminal("tasks", "purge", "celery", HOTPLATE_TASKS_DIR=str(state))
    asked = terminal.read_until("[y/N]: ")
    assert "Throw away 1 task that waits in the queue celery" in asked
    assert "It cannot be brought back" in asked
    os.write(terminal._ours, f"{answer}\n".encode())
    terminal.read_all()
    assert len(opened.taken("celery")) == left
    assert terminal.process.returncode == (ExitCode.FAILED if left else ExitCode.OK)


@pytest.mark.process
def test_watching(state: Path, opened: Opened, on_terminal: OnTerminal) -> None:
    """On a terminal it is shown again and again until Ctrl-C, which is no failure."""
    terminal = on_terminal("tasks", "status", "--watch", HOTPLATE_TASKS_DIR=str(state))
    terminal.read_until("0 waiting")
    opened.send("celery", "1")
    terminal.read_until("1 waiting")
    terminal.process.send_signal(signal.SIGINT)
    terminal.read_all()
    assert terminal.process.returncode == ExitCode.UNHEALTHY
    assert terminal.seen.count("\x1b[H\x1b[2J") >= 2


def test_watching_is_for_terminals(opened: Opened, capsys: Capture) -> None:
    """In a pipe it is refused, with what to type instead."""
    status, _, err = told(capsys, "status", "--watch")
    assert (status, "on a terminal" in err) == (ExitCode.USAGE, True)


def test_without_celery(state: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """Without the package it is said which to install; help and completion need none."""
    monkeypatch.setattr(sys.modules["hotplate.tasks.installed"], "installed", lambda _: False)
    status, _, err = told(capsys, "status")
    assert (status, "pip install 'hotplate[tasks]'" in err) == (ExitCode.MISSING_EXTRA, True)
    assert told(capsys, "--help")[0] == ExitCode.OK


def test_help_imports_no_celery(hotplate: Hotplate) -> None:
    """Help and completion are quick: neither Celery nor Kombu is imported."""
    code = (
        "import sys; from hotplate.cli import main; main(['tasks', 'status', '--help']);"
        "print([name for name in ('celery', 'kombu', 'hotplate.supervisor') if name in sys.modules], file=sys.stderr)"
    )
    done = hotplate.run(before=[sys.executable, "-c", code])
    assert done.err == "[]\n"


def test_completion(hotplate: Hotplate) -> None:
    """Members, flags and reasons complete themselves."""
    for typed, offered in {
        "hotplate tasks re": ["plain,retry"],
        "hotplate tasks retry --reason po": ["plain,poison"],
        "hotplate tasks purge --pa": ["plain,--parked"],
    }.items():
        words = {"_HOTPLATE_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
        assert hotplate.run(env=words).out.splitlines() == offered


def test_every_member_has_examples() -> None:
    """Help ends with commands that people type."""
    members = [each for each in tasks.tasks.commands.values() if isinstance(each, Command)]
    assert [each.name for each in members] == ["run", "status", "retry", "purge"]
    assert all(each.examples for each in members)


def test_an_instance_without_its_password(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A running instance shows its broker without the password; where this shell has another one, that is refused."""
    monkeypatch.setattr("hotplate.cli.tasks_reach._told", lambda _: "redis://:...@queue:6379/0")
    flags = {"name": None, "folder": None, "broker_url": None, "queues": (), "imported": False, "app": None}
    with pytest.raises(HotplateError, match="Set CELERY_BROKER_URL") as refused:
        reach(**flags)
    assert refused.value.code is ExitCode.USAGE
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://:geheim@queue:6379/0")
    assert reach(**flags).broker.url == "redis://:geheim@queue:6379/0"
    monkeypatch.setattr("hotplate.cli.tasks_reach._told", lambda _: "redis://other:6379/0")
    assert reach(**flags).broker.url == "redis://other:6379/0"
