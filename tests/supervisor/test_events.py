"""Events: each says itself in one line, and can be told to a program."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hotplate.errors import ExitCode
from hotplate.supervisor import crewevents, events
from hotplate.supervisor.events import Event
from hotplate.supervisor.messages import Failure, Warmed
from hotplate.supervisor.words import ending

FAILURE = Failure("import app", "it is broken", "Mend it.", int(ExitCode.APP_IMPORT_FAILED), "line 1\nline 2")
VALUES: dict[Any, object] = {int: 2, float: 1.5, str: "text", bool: True, Failure: FAILURE}
KINDS = Event.__subclasses__()


def sample(kind: type[Event]) -> Event:
    """Return an event of a kind with made-up values."""
    values: dict[str, object] = {}
    for field in msgspec.structs.fields(kind):
        values[field.name] = VALUES.get(field.type, ("text", "more"))
        if field.name == "status":
            values[field.name] = -9
        if field.name == "role":
            values[field.name] = "tasks"
        if field.name == "warmed":
            values[field.name] = (Warmed("/", 0.25),)
    return kind(**values)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_event_is_one_line(kind: type[Event]) -> None:
    """The line begins like a sentence, has no line breaks, and the level is one that the log knows."""
    line = sample(kind).line()
    assert line.splitlines() == [line]
    assert line[0].isupper() or line.startswith("text")
    assert not line.endswith(" ")
    assert kind.level in {"info", "warning", "error"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_event_can_be_told_to_a_program(kind: type[Event]) -> None:
    """As JSON it carries its name, and nothing is lost on the way."""
    event = sample(kind)
    told = msgspec.json.encode(event)
    assert msgspec.json.decode(told)["type"] == kind.__name__
    assert msgspec.json.decode(told, type=kind) == event


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            events.GenerationImported(2, 7, "app:app", "wsgi", "flask", 1.0, preloaded=True, why="safe to fork"),
            "App app:app (flask wsgi): imported in 1 s, once for all workers (safe to fork)",
        ),
        (
            events.GenerationImported(2, 7, "app:app", "", "", 1.0, preloaded=False, why="each worker imports it: x"),
            "App app:app: each worker imports it: x",
        ),
        (events.Draining(1, 30.0, "x"), "Stopping (x): 1 worker may take 30 s to finish its requests"),
        (events.Draining(2, 30.0, "x"), "Stopping (x): 2 workers may take 30 s to finish their requests"),
        (
            events.Draining(1, 30.0, "x", tasks=True),
            "Stopping (x): 1 worker and the tasks process may take 30 s to finish their requests and tasks",
        ),
        (
            events.WorkerDied(slot=0, pid=7, status=-9, lived=2.0, role="tasks"),
            "The tasks process (pid 7) was killed by SIGKILL after 2 s; replacing it",
        ),
        (
            events.WorkerOverran(slot=0, pid=7, abandoned=1, role="tasks"),
            (
                "The tasks process (pid 7) ended with 1 unfinished task, which will run again: the grace period was"
                " over (--grace)"
            ),
        ),
        (
            crewevents.TasksServing(workers=2, beat=True, seconds=1.0),
            "Running tasks, 2 at once, and sending what is scheduled, after 1 s",
        ),
        (crewevents.TasksServing(workers=0, beat=True, seconds=1.0), "Sending what is scheduled, after 1 s"),
        (
            crewevents.TasksLeft(role="beat"),
            "The new version has no schedule: the beat process finishes what it has and ends",
        ),
    ],
)
def test_a_line_reads_as_a_sentence(event: Event, line: str) -> None:
    """How long belongs to the import, and one worker has its own requests."""
    assert event.line() == line


def test_failures_and_stacks_are_shown_below_the_line() -> None:
    """The app's own traceback belongs to the event."""
    assert sample(events.ReloadFailed).detail() == "line 1\nline 2"
    assert sample(events.RequestHung).detail() == "text"
    assert sample(events.Serving).detail() == ""


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "ended with exit status 0"),
        (-11, "was killed by SIGSEGV"),
        (-99, "was killed by signal 99"),
        (None, "ended"),
    ],
)
def test_an_end_in_words(status: int | None, words: str) -> None:
    """Exit status, signal by name or number, or just that it ended."""
    assert ending(status) == words
