"""How a failure is told: one line of what was attempted, why it cannot be, and what to type next."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TextIO

import click

from hotplate.cli.ui import Look, clean
from hotplate.errors import ExitCode, HotplateError

# What people who come from gunicorn, uvicorn or `flask run` type, and what it is called here.
HABITS: Mapping[str, str] = {
    "--access-logfile": "Did you mean --access-log?",
    "--app": "Name the app without a flag, such as hotplate run shop:app.",
    "-b": "Did you mean --bind ADDRESS?",
    "--certfile": "Did you mean --cert?",
    "-D": "It stays in the foreground; have systemd or a container keep it running.",
    "--daemon": "It stays in the foreground; have systemd or a container keep it running.",
    "--graceful-timeout": "Did you mean --grace?",
    "--host": "Did you mean --bind HOST:PORT?",
    "-k": "There is one kind of worker, for WSGI and ASGI; leave it out.",
    "--worker-class": "There is one kind of worker, for WSGI and ASGI; leave it out.",
    "--keyfile": "Did you mean --key?",
    "-p": "Did you mean --bind :PORT?",
    "--port": "Did you mean --bind :PORT?",
    "--reload": "`hotplate reload` takes in new code.",
    "--ssl-certfile": "Did you mean --cert?",
    "--ssl-keyfile": "Did you mean --key?",
    "-t": "Did you mean --timeout DURATION?",
    "-w": "Did you mean --workers N?",
}


def show(error: HotplateError, out: TextIO, environ: Mapping[str, str]) -> None:
    """Write the line, and below it the detail, such as the app's own traceback."""
    line = Look.of(out, environ).paint(f"Error: {clean(str(error))}", "red")
    detail = clean(error.detail).rstrip("\n")
    text = f"{line}\n{detail}\n" if detail else f"{line}\n"
    encoding = out.encoding or "utf-8"
    out.write(text.encode(encoding, "backslashreplace").decode(encoding))
    out.flush()


def of_usage(problem: click.UsageError) -> HotplateError:
    """Return what click says of a mistyped command line, in our words."""
    command = problem.ctx.command_path if problem.ctx else "hotplate"
    if isinstance(problem, click.NoSuchOption):
        name = problem.option_name
        remedy = HABITS.get(name) or _nearest(name, problem) or f"`{command} --help` lists every option."
        return _usage(f"use {name}", f"{command} has no such option", remedy)
    message = problem.format_message()
    cause = message[:1].lower() + message[1:].rstrip(".")
    return _usage(f"run `{command}`", cause, f"`{command} --help` says how it is used.")


def no_such_command(name: str, commands: list[str], above: str = "hotplate") -> HotplateError:
    """Return the error for a mistyped command, or for `hotplate shop:app` without `run`.

    Args:
        name: what was typed.
        commands: what could have been.
        above: what was typed before it.
    """
    near = difflib.get_close_matches(name, commands, n=1, cutoff=0.5)
    if above == "hotplate" and (":" in name or name.endswith(".py")):
        remedy = f"Did you mean hotplate run {name}?"
    elif near:
        remedy = f"Did you mean {above} {near[0]}?"
    else:
        remedy = f"The commands are {', '.join(commands[:-1])} and {commands[-1]}."
    return _usage(f"run `{above} {name}`", "there is no such command", remedy)


def _nearest(name: str, problem: click.NoSuchOption) -> str:
    if problem.ctx is None:
        return ""
    known = [flag for each in problem.ctx.command.params for flag in (*each.opts, *each.secondary_opts)]
    near = difflib.get_close_matches(name, [flag for flag in known if flag.startswith("--")], n=1, cutoff=0.6)
    return f"Did you mean {near[0]}?" if near else ""


def _usage(attempted: str, cause: str, remedy: str) -> HotplateError:
    return HotplateError(attempted, cause, remedy, code=ExitCode.USAGE)
