"""`hotplate run`: serve an app."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hotplate.cli.parts import Command, Example, Flag, Place
from hotplate.errors import HotplateError
from hotplate.settings.options import Option, options

if TYPE_CHECKING:
    from hotplate.cli.journal import Journal
    from hotplate.settings import Resolved

_HELP = """\
Serve an app until Ctrl-C.

TARGET is module:attribute, module, "module:factory()" or a file; without it the folder is searched as `flask run` does.
Every flag can also be a variable (HOTPLATE_WORKERS=4) or a line in hotplate.toml (workers = 4).

Ctrl-C and SIGTERM let requests finish for --grace and exit with 0; a second one ends at once with 130. SIGHUP reloads,
SIGTTIN and SIGTTOU add and remove a worker. What happens is told on stderr, the access log goes to stdout.
"""
_EXAMPLES = (
    Example("hotplate run", "find the app in this folder"),
    Example("hotplate run shop:app", "app in shop.py"),
    Example("hotplate run \"shop:create_app('prod')\"", "what a factory makes"),
    Example("hotplate run shop:app --bind 0.0.0.0:8000", "to other machines"),
    Example("hotplate run shop:app --bind unix:/run/shop.sock", "behind nginx"),
    Example("hotplate run shop:app --workers 4 --grace 1m", "decide by yourself"),
    Example("hotplate run shop:app --warmup / --warmup /search", "warm up with two pages"),
    Example("hotplate run shop:app --log-format json", "for a log collector"),
)


def run_app(**flags: object) -> int:
    """Serve; return the exit status.

    Raises:
        HotplateError: it cannot start.
    """
    from hotplate.cache.http.routes import Routes
    from hotplate.cli import early
    from hotplate.cli.extras import with_redis
    from hotplate.settings import resolve
    from hotplate.supervisor import master

    cwd = Path.cwd()
    resolved = with_redis(resolve(flags, os.environ, cwd))
    Routes(resolved.settings.cache_routes)  # refuses what is no rule, before anything is started
    with _journal(resolved) as journal:
        try:
            journal.opening(early.find(resolved, cwd, os.environ))
            return master.run(resolved, journal.event)
        except HotplateError as error:
            if journal.failure(error):
                return int(error.code)
            raise


@contextmanager
def _journal(resolved: Resolved) -> Iterator[Journal]:
    from hotplate.cli.journal import JsonJournal, LogHandler, TextJournal
    from hotplate.cli.scribe import Scribe
    from hotplate.cli.ui import Look

    as_json = resolved.settings.log_format == "json"
    look = Look(terminal=False) if as_json else Look.of(sys.stderr, os.environ)
    with Scribe(sys.stderr, look) as scribe:
        journal: Journal = JsonJournal(scribe, resolved) if as_json else TextJournal(scribe, look, resolved)
        handler = LogHandler(journal)
        logger = logging.getLogger("hotplate")
        logger.addHandler(handler)
        try:
            yield journal
        finally:
            logger.removeHandler(handler)


def parameter(option: Option) -> click.Parameter:
    """Return a setting's option or argument as click has it."""
    names = [*option.flags, option.dest]
    match option.kind:
        case "argument":
            return Place([option.dest], f"{option.help}.", option.group, metavar=f"[{option.metavar}]", required=False)
        case "switch" | "refusal":
            return Flag(names, option.group, is_flag=True, default=None, help=option.help)
        case _:
            several = option.kind == "values"
            return Flag(names, option.group, metavar=option.metavar, multiple=several, default=None, help=option.help)


run = Command("run", run_app, help=_HELP, params=[parameter(option) for option in options()], examples=_EXAMPLES)
