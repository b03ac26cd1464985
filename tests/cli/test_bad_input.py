"""Bad input gets one line that says what was attempted, why it failed and what to type next, and its own exit code."""

from __future__ import annotations

import os
import socket
from typing import NamedTuple

import pytest

from hotplate.errors import ExitCode
from tests.cli.command import HELLO, Hotplate

OTHERS = "127.0.0.1:0"


class Case(NamedTuple):
    """A mistake: what is in the folder, what is typed, and what is said.

    Args:
        words: typed after `hotplate`.
        code: exit status.
        said: pieces of the line, in their order.
        shop: text of shop.py.
        config: text of hotplate.toml.
        env: added to the environment.
    """

    words: tuple[str, ...]
    code: ExitCode
    said: tuple[str, ...]
    shop: str = HELLO
    config: str = ""
    env: tuple[tuple[str, str], ...] = ()


def run_shop(*words: str) -> tuple[str, ...]:
    """Return the words that serve shop.py."""
    return ("run", "shop:app", *words)


BEFORE_ANYTHING_STARTS = {
    "module not found": Case(
        ("run", "shpo:app"), ExitCode.APP_NOT_FOUND, ("import shpo", "no module shpo", "hotplate run shop:app?")
    ),
    "submodule not found": Case(
        ("run", "json.shop:app"), ExitCode.APP_NOT_FOUND, ("import json.shop", "no module json.shop")
    ),
    "file not found": Case(("run", "shpo.py"), ExitCode.APP_NOT_FOUND, ("load shpo.py", "no such file", "shop.py?")),
    "no app in the folder": Case(("run",), ExitCode.APP_NOT_FOUND, ("find an app in", "app.py", "hotplate run ")),
    "FLASK_APP not found": Case(
        ("run",), ExitCode.APP_NOT_FOUND, ("import shpo", "shop"), env=(("FLASK_APP", "shpo:app"),)
    ),
    "target of no form": Case(("run", "shop:"), ExitCode.USAGE, ("'shop:'", "attribute", "Give module:attribute")),
    "bad unit, flag": Case(
        run_shop("--grace", "30x"), ExitCode.USAGE, ("set grace to '30x' (--grace)", "not a duration", "30s")
    ),
    "bad unit, environment": Case(
        run_shop(),
        ExitCode.USAGE,
        ("set max_memory to '1 potato' (HOTPLATE_MAX_MEMORY)", "not a size", "MiB"),
        env=(("HOTPLATE_MAX_MEMORY", "1 potato"),),
    ),
    "bad unit, file": Case(
        run_shop(),
        ExitCode.USAGE,
        ("set grace to 'soon' (hotplate.toml)", "not a duration"),
        config='grace = "soon"',
    ),
    "beyond a limit": Case(run_shop("--workers", "9999"), ExitCode.USAGE, ("'9999'", "above the limit of 1024")),
    "unknown flag": Case(run_shop("--wokers", "3"), ExitCode.USAGE, ("use --wokers", "Did you mean --workers?")),
    "another server's flag": Case(run_shop("-w", "3"), ExitCode.USAGE, ("use -w", "Did you mean --workers N?")),
    "flag without its value": Case(run_shop("--workers"), ExitCode.USAGE, ("--workers", "requires an argument")),
    "unknown variable": Case(
        run_shop(),
        ExitCode.USAGE,
        ("use HOTPLATE_WOKERS (environment)", "no such setting", "Did you mean HOTPLATE_WORKERS?"),
        env=(("HOTPLATE_WOKERS", "3"),),
    ),
    "unknown setting in the file": Case(
        run_shop(),
        ExitCode.USAGE,
        ("use wokers (hotplate.toml)", "no such setting", "Did you mean workers?"),
        config="wokers = 3",
    ),
    "file that is not TOML": Case(run_shop(), ExitCode.USAGE, ("read hotplate.toml", "not TOML"), config="workers: 3"),
    "PORT is no port": Case(run_shop(), ExitCode.USAGE, ("'http' (PORT)", "not a port"), env=(("PORT", "http"),)),
    "bad address": Case(run_shop("--bind", "::1:8000"), ExitCode.USAGE, ("'::1:8000' (--bind)", "brackets")),
    "certificate without key": Case(
        run_shop("--cert", "cert.pem"), ExitCode.TLS_INVALID, ("cert.pem", "key is missing", "Add --key FILE.")
    ),
    "certificate that is not there": Case(
        run_shop("--cert", "cert.pem", "--key", "key.pem"), ExitCode.TLS_INVALID, ("cert.pem", "No such file")
    ),
    "empty warm-up path": Case(
        run_shop("--warmup", ""), ExitCode.USAGE, ("set warmup", "it is empty", "--no-warmup-request does without")
    ),
    "unknown command": Case(("rnu", "shop:app"), ExitCode.USAGE, ("`hotplate rnu`", "Did you mean hotplate run?")),
    "run forgotten": Case(("shop:app",), ExitCode.USAGE, ("no such command", "Did you mean hotplate run shop:app?")),
    "one word too many": Case(run_shop("more"), ExitCode.USAGE, ("unexpected extra argument (more)", "--help")),
    "status of nothing": Case(("status",), ExitCode.NOT_RUNNING, ("none is running", "hotplate run")),
    "reload of nothing": Case(("reload",), ExitCode.NOT_RUNNING, ("none is running",)),
    "stop of nothing": Case(("stop", "--name", "blue"), ExitCode.NOT_RUNNING, ("named blue", "--name blue")),
    "scale of nothing": Case(("scale", "+1"), ExitCode.NOT_RUNNING, ("none is running",)),
    "scale by no number": Case(("scale", "more"), ExitCode.USAGE, ("'more'", "not a number", "+1")),
    "folder that is not there": Case(("status", "--folder", "nowhere"), ExitCode.USAGE, ("nowhere", "no such folder")),
    "name that is none": Case(("status", "--name", "a/b"), ExitCode.USAGE, ("'a/b'", "letters")),
    "shell that is none": Case(("completion", "tcsh"), ExitCode.USAGE, ("'tcsh'", "bash, zsh or fish")),
}

WHILE_IT_STARTS = {
    "attribute missing": Case(
        ("run", "shop:application"), ExitCode.ATTRIBUTE_MISSING, ("shop:application", "no attribute", "shop:app")
    ),
    "nothing usual in the module": Case(
        ("run", "shop"),
        ExitCode.ATTRIBUTE_MISSING,
        ("no app, application, create_app or make_app", "Name one of: shop:blue, shop:green"),
        shop="from flask import Flask\nblue, green = Flask('blue'), Flask('green')",
    ),
    "not callable": Case(
        run_shop(), ExitCode.ATTRIBUTE_MISSING, ("shop:app", "an int, which cannot be called"), shop="app = 7"
    ),
    "factory wanting arguments": Case(
        ("run", "shop:create_app"),
        ExitCode.ATTRIBUTE_MISSING,
        ("wants config", 'hotplate run "shop:create_app(config=...)"'),
        shop="def create_app(config): ...",
    ),
    "factory that returns nothing": Case(
        ("run", "shop"), ExitCode.ATTRIBUTE_MISSING, ("returned None", "Return the app"), shop="def create_app(): ..."
    ),
    "warm-up request failing": Case(
        run_shop("--warmup", "/missing", "--warmup", "/boom"),
        ExitCode.WARMUP_FAILED,
        ("/boom", "ZeroDivisionError"),
        shop=HELLO + "\n@app.get('/boom')\ndef boom():\n    return str(1 / 0)\n",
    ),
    "warm-up function failing": Case(
        run_shop(),
        ExitCode.WARMUP_FAILED,
        ("load_model", "FileNotFoundError"),
        shop=HELLO + "\nimport hotplate\n@hotplate.warmup\ndef load_model():\n    open('model.bin')\n",
    ),
    "worker dying at boot": Case(
        run_shop(),
        ExitCode.WORKER_BOOT_FAILED,
        ("start worker 0", "exit status 3"),
        shop=HELLO + "\nimport hotplate, os\n@hotplate.warmup\ndef die():\n    os._exit(3)\n",
    ),
    "import ending the process": Case(
        run_shop(),
        ExitCode.WORKER_BOOT_FAILED,
        ("import the app", "exit status 3"),
        shop="import os\nos._exit(3)",
    ),
    "import calling sys.exit": Case(
        run_shop(), ExitCode.APP_IMPORT_FAILED, ("sys.exit(3)", "__main__"), shop="import sys\nsys.exit(3)"
    ),
    "worker too slow": Case(
        run_shop("--boot-timeout", "1s"),
        ExitCode.WORKER_BOOT_FAILED,
        ("not ready after 1 s", "--boot-timeout"),
        shop="import time\ntime.sleep(3600)",
    ),
    "address of another machine": Case(
        run_shop("--bind", "192.0.2.1:8000"),  # RFC 5737: no machine has it
        ExitCode.PORT_UNAVAILABLE,
        ("192.0.2.1", "not an address of this machine", "127.0.0.1"),
    ),
}


def _done(hotplate: Hotplate, case: Case) -> tuple[int, str, str]:
    hotplate.write(shop=case.shop)
    if case.config:
        (hotplate.folder / "hotplate.toml").write_text(case.config)
    where = ("--bind", OTHERS) if case.words[0] == "run" and "--bind" not in case.words else ()
    first, *others = case.words
    return hotplate.run(first, *where, *others, env=dict(case.env))


def _assert_said(line: str, pieces: tuple[str, ...]) -> None:
    assert line.startswith("Error: Cannot ")
    position = 0
    for piece in pieces:
        assert piece in line[position:], line
        position = line.index(piece, position)


@pytest.mark.parametrize("case", BEFORE_ANYTHING_STARTS.values(), ids=list(BEFORE_ANYTHING_STARTS))
def test_an_obvious_mistake_is_one_line_and_nothing_else(hotplate: Hotplate, case: Case) -> None:
    """What can be seen without starting anything is said at once, in one line."""
    status, out, err = _done(hotplate, case)
    assert (status, out) == (case.code, "")
    lines = [line for line in err.splitlines() if not line.startswith(("Hotplate ", "  "))]
    assert len(lines) == 1, err
    assert "Listening" not in err
    _assert_said(lines[0], case.said)


@pytest.mark.process
@pytest.mark.parametrize("case", WHILE_IT_STARTS.values(), ids=list(WHILE_IT_STARTS))
def test_a_failed_start_ends_with_its_reason(hotplate: Hotplate, case: Case) -> None:
    """What only the start can find out ends it with one line and a code of its own."""
    status, out, err = _done(hotplate, case)
    assert (status, out) == (case.code, ""), err
    _assert_said(next(line for line in err.splitlines() if line.startswith("Error: ")), case.said)
    assert err.count("Error: Cannot ") == 1
    assert "/src/hotplate/" not in err or case.code == ExitCode.WORKER_BOOT_FAILED


@pytest.mark.process
def test_an_import_error_shows_the_users_own_lines(hotplate: Hotplate) -> None:
    """Their traceback is shown below the line, without our frames and the import system's."""
    hotplate.write(shop="import models\napp = None", models="import nothing_like_it_exists")
    done = hotplate.run("run", "shop:app", "--bind", OTHERS)
    assert done.status == ExitCode.APP_IMPORT_FAILED
    _assert_said(done.error, ("import shop", "ModuleNotFoundError", "models.py, line 1", "pip install"))
    detail = done.err.partition(done.error)[2]
    assert 'shop.py", line 1' in detail
    assert 'models.py", line 1' in detail
    assert "importlib" not in detail
    assert "/src/hotplate/" not in detail


@pytest.mark.process
def test_a_syntax_error_points_at_the_line(hotplate: Hotplate) -> None:
    """The line that Python cannot read is shown."""
    hotplate.write(shop="app = (")
    done = hotplate.run("run", "shop:app", "--bind", OTHERS)
    assert done.status == ExitCode.APP_IMPORT_FAILED
    _assert_said(done.error, ("import shop", "SyntaxError", "shop.py, line 1"))
    assert "app = (" in done.err


@pytest.mark.process
def test_a_port_in_use_names_its_holder_and_a_free_one(hotplate: Hotplate) -> None:
    """Who has the port, where that can be known, and which one could be taken instead."""
    hotplate.write(shop=HELLO)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = hotplate.run("run", "shop:app", "--bind", f"127.0.0.1:{port}")
    assert done.status == ExitCode.PORT_UNAVAILABLE
    _assert_said(done.error, (f"127.0.0.1:{port}", "in use by", f"(pid {os.getpid()})", "try --bind 127.0.0.1:"))


@pytest.mark.process
def test_a_second_instance_is_refused(hotplate: Hotplate) -> None:
    """One instance per folder and name; the line says how to get the other things that may be meant."""
    hotplate.write(shop=HELLO)
    hotplate.serve("shop:app", "--workers", "1")
    done = hotplate.run("run", "shop:app", "--bind", OTHERS)
    assert done.status == ExitCode.ALREADY_RUNNING
    _assert_said(done.error, ("already runs", "hotplate reload", "hotplate stop", "--name"))
    assert hotplate.run("status").status == ExitCode.OK
