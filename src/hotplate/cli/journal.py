"""What `hotplate run` tells: first what was decided and why, then one line per event; or JSON lines throughout."""

from __future__ import annotations

import logging
import os
import time
from datetime import UTC, datetime
from typing import Literal, Protocol

import msgspec

from hotplate import __version__
from hotplate.apps.discover import Found
from hotplate.cli import decisions
from hotplate.cli.decisions import Decided
from hotplate.cli.scribe import Scribe
from hotplate.cli.ui import Look, clean
from hotplate.errors import HotplateError
from hotplate.machine import memory_limit
from hotplate.settings import Resolved
from hotplate.supervisor.crewevents import TasksDecided, TasksServing
from hotplate.supervisor.events import (
    Draining,
    Event,
    GenerationImported,
    Listening,
    PreloadGivenUp,
    Serving,
    Starting,
    Stopped,
    WorkerReady,
    WorkersDecided,
)

Level = Literal["info", "warning", "error"]
_COLOURS: dict[Level, tuple[str, ...]] = {"info": (), "warning": ("magenta",), "error": ("red",)}
_WORDS: dict[Level, str] = {"info": "", "warning": "Warning: ", "error": "Error: "}


class Journal(Protocol):
    """Who is told what happens."""

    def opening(self, found: Found) -> None:
        """Tell what is going to be served."""

    def event(self, event: Event) -> None:
        """Tell what happened."""

    def failure(self, error: HotplateError) -> bool:
        """Tell why it ends; False if that is left to the command line."""

    def remark(self, level: Level, text: str, detail: str) -> None:
        """Tell what is no event, such as a bug that was survived."""


class TextJournal:
    """For people.

    Args:
        scribe: writes it.
        look: how.
        resolved: the settings, and who asked for what.
    """

    def __init__(self, scribe: Scribe, look: Look, resolved: Resolved) -> None:
        self._scribe = scribe
        self._look = look
        self._resolved = resolved
        self._starting = True
        self._given_up = False
        self._preloaded = True
        self._ready: list[WorkerReady] = []
        self._app = ""

    def opening(self, found: Found) -> None:
        """Tell the version and the app."""
        self._scribe.line(self._look.paint(f"Hotplate {__version__}", "bold"))
        self._decided(decisions.of_app(found))
        self._app = str(found.target)

    def event(self, event: Event) -> None:
        """Tell an event: as a decision during the start, else as a line with the time."""
        if not (self._starting and self._is_told_as_decision(event)):
            self.remark(event.level, event.line(), event.detail())

    def failure(self, error: HotplateError) -> bool:  # noqa: ARG002  JsonJournal reads it
        """Leave it to the command line."""
        return False

    def remark(self, level: Level, text: str, detail: str) -> None:
        """Tell a line with the time."""
        line = f"{self._now()} {self._look.paint(_WORDS[level] + clean(text), *_COLOURS[level])}"
        self._scribe.line("\n".join([line, clean(detail).rstrip("\n")] if detail else [line]))

    def _is_told_as_decision(self, event: Event) -> bool:
        match event:
            case Starting():
                pass
            case Listening():
                self._decided(decisions.of_listening(event, self._resolved))
                self._scribe.waiting(f"Importing {self._app}")
            case PreloadGivenUp() | GenerationImported():
                self._imported(event)
            case WorkersDecided():
                self._decided(decisions.of_workers(event, self._resolved))
                self._scribe.waiting(f"Warming {event.workers} workers" if event.workers > 1 else "")
            case WorkerReady():
                self._ready.append(event)
            case TasksDecided():
                for decided in decisions.of_tasks(event, self._resolved):
                    self._decided(decided)
            case Serving() | TasksServing():
                self._serving(event)
            case Stopped() | Draining():
                self._scribe.waiting("")
                return isinstance(event, Stopped)  # nothing had been started that a user would miss
            case _:
                return False
        return True

    def _imported(self, event: PreloadGivenUp | GenerationImported) -> None:
        if isinstance(event, PreloadGivenUp):
            self._given_up = True
            self._decided(decisions.of_refused_preload(event), "warning")
            return
        self._preloaded = event.preloaded
        told = decisions.of_import(event)
        for decided in told if event.preloaded or not self._given_up else []:
            self._decided(decided)
        if self._resolved.settings.only == "tasks":
            self._scribe.waiting("Starting to run tasks")
            return
        self._decided(decisions.of_threads(self._resolved, event.kind))
        self._decided(decisions.of_cache(self._resolved, event.release, event.release_why))
        first = "" if event.preloaded else "Importing the app and "
        self._scribe.waiting(f"{first}{'warming' if first else 'Warming'} the first worker")

    def _serving(self, event: Serving | TasksServing) -> None:
        self._starting = False
        self._scribe.waiting("")
        if self._ready and isinstance(event, Serving):
            self._decided(decisions.of_warmup(self._ready, self._resolved, preloaded=self._preloaded))
            for decided in decisions.of_memory(self._ready, memory_limit()):
                self._decided(decided)
        for decided in decisions.of_control(os.getpid(), self._resolved.settings.name):
            self._decided(decided)
        self._scribe.line(self._look.paint(clean(event.line()), "bold", "green"))
        self._ready.clear()

    def _decided(self, decided: Decided, level: Level = "info") -> None:
        self._scribe.line(self._look.paint(clean(str(decided)), *_COLOURS[level]))

    def _now(self) -> str:
        # A log is read later and elsewhere, and beside the access log, which has the same form.
        return time.strftime("%H:%M:%S") if self._look.terminal else timestamp()


class JsonJournal:
    """For a collector: one object per line, with `time`, `level`, `event` and `message` in each.

    Args:
        scribe: writes it.
        resolved: the settings, and who asked for what.
    """

    def __init__(self, scribe: Scribe, resolved: Resolved) -> None:
        self._scribe = scribe
        self._resolved = resolved

    def opening(self, found: Found) -> None:
        """Tell the app; what else is decided is in the events."""
        self._decided(decisions.of_app(found))

    def event(self, event: Event) -> None:
        """Tell an event with all its fields."""
        fields = msgspec.to_builtins(event)
        name = fields.pop("type")
        detail = event.detail()
        self._line(event.level, name, event.line(), fields | ({"detail": detail} if detail else {}))
        if isinstance(event, GenerationImported) and self._resolved.settings.only != "tasks":
            self._decided(decisions.of_threads(self._resolved, event.kind))
            self._decided(decisions.of_cache(self._resolved, event.release, event.release_why))

    def failure(self, error: HotplateError) -> bool:
        """Tell it with its exit code."""
        fields: dict[str, object] = {"code": int(error.code), "code_name": error.code.name}
        self._line("error", "Failed", str(error), fields | ({"detail": error.detail} if error.detail else {}))
        return True

    def remark(self, level: Level, text: str, detail: str) -> None:
        """Tell it as an event of its own."""
        self._line(level, "Remark", text, {"detail": detail} if detail else {})

    def _decided(self, decided: Decided) -> None:
        message = str(decided).split(maxsplit=1)[1]
        self._line("info", "Decided", f"{decided.what.capitalize()}: {message}", decided._asdict())

    def _line(self, level: Level, event: str, message: str, fields: dict[str, object]) -> None:
        record = {"time": timestamp(), "level": level, "event": event, "message": message, **fields}
        # What surrogates stand for is not UTF-8, and so cannot be in JSON.
        self._scribe.line(msgspec.json.encode(_utf8(record)).decode())


class LogHandler(logging.Handler):
    """Has what the master logs, such as bugs that it survived, in the journal.

    Args:
        journal: is told.
    """

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self._journal = journal
        self.setFormatter(logging.Formatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Tell a record."""
        level: Level = "error" if record.levelno >= logging.ERROR else "warning"
        text, _, detail = self.format(record).partition("\n")
        self._journal.remark(level if record.levelno >= logging.WARNING else "info", text, detail)


def timestamp() -> str:
    """Return the time as RFC 3339 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _utf8(value: object) -> object:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {key: _utf8(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_utf8(each) for each in value]
    return value
