"""What a running instance tells, and what it does when told: status, reload, scale, stop."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

import psutil
import pytest

from hotplate.errors import ExitCode
from tests.cli.command import COMMAND, HELLO, Hotplate, environment
from tests.support.waiting import DEADLINE, wait_until

pytestmark = pytest.mark.process

WAITING_FOR_GO = """
import os, time
while not os.path.exists("go"):
    time.sleep(0.01)
"""
TIMED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \S")


def get(address: str) -> str:
    """GET the front page."""
    with urllib.request.urlopen(f"{address}/", timeout=DEADLINE) as answer:  # noqa: S310  it is http
        return str(answer.read().decode())


def test_it_says_what_it_decided_and_why(hotplate: Hotplate) -> None:
    """Every decision is one aligned line with its reason; then comes the address."""
    hotplate.write(app=HELLO)
    running = hotplate.serve("--workers", "2", "--threads", "4")
    head, *decisions, serving = running.text().splitlines()
    assert head.startswith("Hotplate ")
    told = {line[2:13].strip(): line[13:] for line in decisions}
    assert list(told) == [
        "App", "Listening", "Import", "Preload", "Threads", "Cache", "Workers", "Warm-up", "Memory", "Reload", "Stop"
    ]  # fmt: skip
    assert told["App"] == "app.py (app.py is here and defines app)"
    assert told["Listening"] == f"{running.address} (asked for by --bind)"
    assert told["Import"].endswith("(app:app, Flask WSGI)")
    assert told["Preload"] == "on (imported once for all workers: safe to fork)"
    assert told["Threads"] == "4 per worker (asked for by --threads)"
    assert told["Cache"] == "headers (what the app declares cacheable; 256 MiB on this machine)"
    assert told["Workers"] == "2 (asked for by --workers)"
    assert re.fullmatch(r"\S+ m?s per worker \(/ \S+ m?s\)", told["Warm-up"])
    assert re.fullmatch(r"\S+ MiB per worker of its own \(limit .+\)", told["Memory"])
    assert told["Reload"] == f"hotplate reload, or kill -HUP {running.process.pid}"
    assert re.fullmatch(r"Serving on http://127\.0\.0\.1:\d+ with 2 warm workers after .+", serving)
    assert get(running.address) == "hello"


def test_reasons_name_who_asked(hotplate: Hotplate) -> None:
    """A value from the environment or a file says so."""
    hotplate.write(shop=HELLO)
    (hotplate.folder / "hotplate.toml").write_text('name = "blue"\npreload = "off"\nwarmup = []\n')
    running = hotplate.serve(env={"WEB_CONCURRENCY": "1", "FLASK_APP": "shop:app"})
    text = running.text()
    for line in (
        "  App        shop:app (named by FLASK_APP)",
        "  Workers    1 (asked for by WEB_CONCURRENCY)",
        "  Preload    off (each worker imports it: preload is off)",
        "  Warm-up    none (asked for by hotplate.toml)",
        "  Stop       Ctrl-C, or hotplate stop --name blue",
    ):
        assert line in text.splitlines(), text
    assert hotplate.run("status").status == ExitCode.OK  # the file names the instance for every command
    assert hotplate.run("status", "--name", "green").status == ExitCode.NOT_RUNNING


def test_an_app_that_is_not_safe_to_fork_says_why(hotplate: Hotplate) -> None:
    """The decision against preloading names what was found."""
    hotplate.write(
        shop=f"""{HELLO}
import threading, time
threading.Thread(target=time.sleep, args=(3600,), name="poller", daemon=True).start()
"""
    )
    text = hotplate.serve("shop:app", "--workers", "1").text()
    assert re.search(r"^  Preload    off \(forking the imported app is not safe: .*poller", text, re.MULTILINE)
    assert text.count("  Preload ") == 1
    assert re.search(r"^  Boot       \S+ m?s per worker \(import and warm-up; / \S+ m?s\)$", text, re.MULTILINE)
    assert "  Warm-up " not in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_ends_it_cleanly(hotplate: Hotplate, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end everything with exit status 0, in two lines."""
    hotplate.write(shop=HELLO)
    running = hotplate.serve("shop:app", "--workers", "1")
    assert running.end(number) == ExitCode.OK
    last = running.text().splitlines()[-2:]
    assert f"Stopping ({number.name}): 1 worker may take 30 s to finish its requests" in last[0]
    assert "Stopped after" in last[1]
    assert all(TIMED.match(line) for line in last)


def test_interrupting_the_start_ends_with_130(hotplate: Hotplate) -> None:
    """Ctrl-C before anything serves is an interruption, and nothing is left."""
    hotplate.write(shop="open('begun', 'w').close()\nimport time\ntime.sleep(3600)")
    running = hotplate.start("shop:app")
    wait_until((hotplate.folder / "begun").exists)
    assert running.end(signal.SIGINT) == ExitCode.INTERRUPTED
    assert "Traceback" not in running.text()


def test_status_tells_how_it_goes(hotplate: Hotplate) -> None:
    """A row per worker and a sum; exit status 0 because all are warm."""
    hotplate.write(shop=HELLO)
    running = hotplate.serve("shop:app", "--workers", "2")
    assert [get(running.address) for _ in range(5)] == ["hello"] * 5

    def table() -> list[list[str]]:
        done = hotplate.run("status")
        assert (done.status, done.err) == (ExitCode.OK, "")
        assert done.out.startswith("Serving: 2 of 2 workers warm, up ")
        assert f"  Listening  {running.address}\n" in done.out
        lines = done.out.splitlines()
        rows = lines[next(place for place, line in enumerate(lines) if line.startswith("worker ")) :]
        table = [re.split(r"\s{2,}", line.strip()) for line in rows]
        return table if int(table[-1][1]) >= 5 else []

    head, first, second, total = wait_until(table, what="the requests are counted")
    assert head[:5] == ["worker", "pid", "state", "age", "requests"]
    assert [row[0] for row in (first, second, total)] == ["0", "1", "all"]
    assert {row[2] for row in (first, second)} == {"ready"}
    assert int(first[4]) + int(second[4]) == int(total[1])
    assert {int(row[1]) for row in (first, second)} <= {
        child.pid for child in psutil.Process(running.process.pid).children(recursive=True)
    }


def test_status_for_programs(hotplate: Hotplate) -> None:
    """`--json` is one object with what the table shows and more."""
    hotplate.write(shop=HELLO)
    running = hotplate.serve("shop:app", "--workers", "1", "--name", "blue")
    done = hotplate.run("status", "--json", "--name", "blue", "--folder", str(hotplate.folder))
    report = json.loads(done.out)
    assert (done.status, report["healthy"], report["state"]) == (ExitCode.OK, True, "serving")
    assert (report["name"], report["pid"], report["binds"]) == ("blue", running.process.pid, [running.address])
    assert [worker["state"] for worker in report["workers"]] == ["ready"]


def test_status_while_starting_is_not_healthy(hotplate: Hotplate) -> None:
    """Not warm yet is exit status 14."""
    hotplate.write(shop="import time\ntime.sleep(3600)")
    hotplate.start("shop:app").wait_for("Listening")

    def unhealthy() -> str:
        done = hotplate.run("status")
        return done.out if done.status == ExitCode.UNHEALTHY else ""

    assert wait_until(unhealthy).startswith("Starting: 0 of ")


def test_reload_takes_in_new_code(hotplate: Hotplate) -> None:
    """When the command returns, the new code answers."""
    hotplate.write(shop=HELLO)
    running = hotplate.serve("shop:app", "--workers", "2")
    hotplate.write(shop=HELLO.replace('"hello"', '"good day to you"'))
    done = hotplate.run("reload")
    assert (done.status, done.err) == (ExitCode.OK, "")
    assert done.out.startswith("Reloaded: generation 2 serves with 2 warm workers after ")
    assert {get(running.address) for _ in range(10)} == {"good day to you"}
    events = [line for line in running.text().partition("Serving on")[2].splitlines()[1:] if line]
    assert all(TIMED.match(line) for line in events), events


def test_a_reload_that_fails_leaves_the_old_code_serving(hotplate: Hotplate) -> None:
    """The reason and the user's traceback are shown, the exit status is 13, and nothing has changed."""
    hotplate.write(shop=HELLO)
    running = hotplate.serve("shop:app", "--workers", "1")
    hotplate.write(shop="1 / 0")
    done = hotplate.run("reload")
    assert done.status == ExitCode.RELOAD_FAILED
    for piece in ("Cannot reload", "ZeroDivisionError", "shop.py, line 1", "The old version is still serving."):
        assert piece in done.error
    assert 'shop.py", line 1' in done.err
    assert get(running.address) == "hello"


def test_scale_adds_and_removes_workers(hotplate: Hotplate) -> None:
    """Relative and absolute amounts; never below one."""
    hotplate.write(shop=HELLO)
    hotplate.serve("shop:app", "--workers", "1")
    assert hotplate.run("scale", "+1").out == "Workers: 2\n"
    assert hotplate.run("scale", "3").out == "Workers: 3\n"
    assert hotplate.run("scale", "-2").out == "Workers: 1\n"
    done = hotplate.run("scale", "0")
    assert done.status == ExitCode.USAGE
    assert "hotplate stop" in done.error


def test_stop_ends_it(hotplate: Hotplate) -> None:
    """When the command returns, nothing is left; the instance's own exit status is 0."""
    hotplate.write(shop=HELLO)
    running = hotplate.serve("shop:app", "--workers", "1")
    done = hotplate.run("stop")
    assert (done.status, done.out) == (ExitCode.OK, f"Stopped (master, pid {running.process.pid})\n")
    assert running.process.wait(DEADLINE) == ExitCode.OK
    assert hotplate.run("status").status == ExitCode.NOT_RUNNING


def test_stop_without_waiting_returns_at_once(hotplate: Hotplate) -> None:
    """`--no-wait` does not wait for the request that still runs."""
    hotplate.write(
        shop=HELLO
        + """
import os, time
@app.get("/slow")
def slow():
    open("asked", "w").close()
    while not os.path.exists("go"):
        time.sleep(0.01)
    return "done"
"""
    )
    running = hotplate.serve("shop:app", "--workers", "1")
    host, port = running.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=DEADLINE) as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until((hotplate.folder / "asked").exists)
        done = hotplate.run("stop", "--no-wait")
        assert (done.status, done.out) == (ExitCode.OK, f"Stopping (master, pid {running.process.pid})\n")
        assert running.process.poll() is None
        (hotplate.folder / "go").touch()
        answer = b""
        while chunk := client.recv(4096):
            answer += chunk
    assert answer.endswith(b"done")
    assert running.process.wait(DEADLINE) == ExitCode.OK


def test_json_lines_for_a_collector(hotplate: Hotplate) -> None:
    """Every line is an object with the time, the level, the event and its message, from the first to the last."""
    hotplate.write(shop=HELLO)
    running = hotplate.serve("shop:app", "--workers", "1", "--log-format", "json")
    running.end()
    records = [json.loads(line) for line in running.text().splitlines()]
    assert all({"time", "level", "event", "message"} <= record.keys() for record in records)
    events = [record["event"] for record in records]
    assert events[:2] == ["Decided", "Starting"]
    assert events[-2:] == ["Draining", "Stopped"]
    serving = next(record for record in records if record["event"] == "Serving")
    assert serving["workers"] == 1
    assert serving["message"].startswith("Serving on http://")


def test_a_failed_start_is_a_json_line_too(hotplate: Hotplate) -> None:
    """The reason, its exit code and the traceback are fields."""
    hotplate.write(shop="1 / 0")
    done = hotplate.run("run", "shop:app", "--bind", "127.0.0.1:0", "--log-format", "json")
    assert done.status == ExitCode.APP_IMPORT_FAILED
    last = [json.loads(line) for line in done.err.splitlines()][-1]
    assert (last["level"], last["event"], last["code_name"]) == ("error", "Failed", "APP_IMPORT_FAILED")
    assert 'shop.py", line 1' in last["detail"]


def test_an_app_that_prints_does_not_disturb_the_log(hotplate: Hotplate) -> None:
    """What the app prints goes to stdout, what we tell to stderr."""
    hotplate.write(shop=HELLO + "\nprint('printed by the app')\n")
    running = hotplate.serve("shop:app", "--workers", "1")
    assert "printed by the app" not in running.text()
    assert "printed by the app" in (hotplate.folder / "out").read_text()


def test_an_interrupted_reload_goes_on(hotplate: Hotplate) -> None:
    """Ctrl-C ends the waiting, with 130 and a word about what happens to the reload."""
    hotplate.write(shop=HELLO)
    running = hotplate.serve("shop:app", "--workers", "1")
    hotplate.write(shop=HELLO + WAITING_FOR_GO)
    with subprocess.Popen(
        [*COMMAND, "reload"], cwd=hotplate.folder, env=environment(), stderr=subprocess.PIPE
    ) as process:
        running.wait_for("Reloading: generation 2")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, err) == (
        ExitCode.INTERRUPTED,
        b"Not waited for: reloading goes on (see `hotplate status`)\n",
    )
    (hotplate.folder / "go").touch()
    running.wait_for("Reloaded: generation 2")


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&- >&- 2>&-"])
def test_it_serves_with_its_streams_closed(hotplate: Hotplate, closed: str) -> None:
    """A daemon's parent may have closed them; no socket may take their numbers."""
    hotplate.write(shop=HELLO)
    bind = hotplate.folder / "shop.sock"
    words = f'exec "$@" {closed}'
    with subprocess.Popen(
        ["sh", "-c", words, "sh", *COMMAND, "run", "shop:app", "--workers", "1", "--bind", f"unix:{bind}"],
        cwd=hotplate.folder,
        env=environment(),
    ) as process:
        try:
            wait_until(lambda: hotplate.run("status").status == ExitCode.OK, what="it serves")
            for number in (0, 1, 2):
                assert "socket" not in str(Path(f"/proc/{process.pid}/fd/{number}").readlink())
            assert hotplate.run("stop").status == ExitCode.OK
            assert process.wait(DEADLINE) == ExitCode.OK
        finally:
            process.kill()


def test_it_serves_on_when_nobody_reads_its_log(hotplate: Hotplate, tmp_path: Path) -> None:
    """A log reader that has gone, or that takes nothing, stops neither the serving nor the replacing of workers."""
    hotplate.write(shop=HELLO)
    read, write = os.pipe()
    bind = tmp_path / "shop.sock"
    with subprocess.Popen(
        [*COMMAND, "run", "shop:app", "--workers", "1", "--bind", f"unix:{bind}"],
        cwd=hotplate.folder,
        env=environment(),
        stderr=write,
        stdout=write,
    ) as process:
        os.close(write)
        os.close(read)
        try:
            wait_until(lambda: hotplate.run("status").status == ExitCode.OK, what="it serves")
            pid = json.loads(hotplate.run("status", "--json").out)["workers"][0]["pid"]
            os.kill(pid, signal.SIGKILL)

            def replaced() -> bool:
                report = json.loads(hotplate.run("status", "--json").out)
                return bool(report["healthy"] and report["workers"][0]["pid"] != pid)

            wait_until(replaced, what="another worker serves")
            assert hotplate.run("stop").status == ExitCode.OK
            assert process.wait(DEADLINE) == ExitCode.OK
        finally:
            process.kill()
