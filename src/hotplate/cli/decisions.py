"""What was decided and why, in words: pure functions from settings and events to aligned lines."""

from __future__ import annotations

from typing import NamedTuple

from hotplate.apps.discover import Found
from hotplate.machine import Memory, sizing
from hotplate.settings import SETTINGS, Resolved
from hotplate.settings.secret import hidden
from hotplate.settings.units import show_duration_roughly, show_size_roughly
from hotplate.supervisor.crewevents import TasksDecided
from hotplate.supervisor.events import GenerationImported, Listening, PreloadGivenUp, WorkerReady, WorkersDecided

_WIDTH = 11
_FRAMEWORKS = {"flask": "Flask", "fastapi": "FastAPI", "starlette": "Starlette", "django": "Django"}


class Decided(NamedTuple):
    """One decision.

    Args:
        what: was decided on, such as "workers".
        value: what for.
        why: the reason; "" where none is needed.
    """

    what: str
    value: str
    why: str = ""

    def __str__(self) -> str:
        """Return it as one aligned line."""
        return f"  {self.what.capitalize():<{_WIDTH}}{self.value}{f' ({self.why})' if self.why else ''}"


def of_app(found: Found) -> Decided:
    """What is served, and how that was found."""
    return Decided("app", str(found.target), found.why)


def of_listening(event: Listening, resolved: Resolved) -> Decided:
    """Where it listens."""
    return Decided("listening", ", ".join(event.addresses), _by(resolved, "bind"))


def of_import(event: GenerationImported) -> list[Decided]:
    """How long the import took, of what, and whether workers share it."""
    if not event.preloaded:
        return [Decided("preload", "off", event.why)]
    made = " ".join(filter(None, (_FRAMEWORKS.get(event.framework, event.framework), event.kind.upper())))
    return [
        Decided("import", show_duration_roughly(event.seconds), f"{event.app}, {made}".rstrip(", ")),
        Decided("preload", "on", f"imported once for all workers: {event.why}"),
    ]


def of_refused_preload(event: PreloadGivenUp) -> Decided:
    """Why workers cannot share the imported app."""
    return Decided("preload", "off", f"forking the imported app is not safe: {'; '.join(event.reasons)}")


def of_threads(resolved: Resolved, kind: str) -> Decided:
    """How many threads each worker may use."""
    settings = resolved.settings
    decision = sizing.threads(settings.threads, settings.max_threads, on_loop=kind == "asgi")
    if settings.threads == "auto":
        return Decided("threads", "auto", decision.why)
    return Decided("threads", f"{decision.value} per worker", _by(resolved, "threads"))


def of_workers(event: WorkersDecided, resolved: Resolved) -> Decided:
    """How many workers there are."""
    return Decided("workers", str(event.workers), _by(resolved, "workers") if event.why == "asked for" else event.why)


def of_tasks(event: TasksDecided, resolved: Resolved) -> list[Decided]:
    """How many tasks run at once, of which app, by which broker, and whether what is scheduled is sent from here."""
    why = _by(resolved, "task_workers") if event.why == "asked for" else event.why
    at_once = f"{event.workers} at once" if event.workers else "none run here"
    known = f"{event.tasks} {'task' if event.tasks == 1 else 'tasks'} of {event.celery}"
    told = [
        Decided("tasks", at_once, "; ".join(filter(None, (why, known)))),
        Decided("broker", event.broker, "" if event.origin == "embedded" else event.origin),
    ]
    if event.queues:
        told.append(Decided("queues", ", ".join(event.queues), _by(resolved, "task_queues")))
    if event.beat:
        told.append(Decided("beat", "on", _by(resolved, "beat") or "the app has a schedule"))
    return told


def of_warmup(ready: list[WorkerReady], resolved: Resolved, *, preloaded: bool) -> Decided:
    """How long a worker took to get warm, and with what; without preload that includes its import."""
    slowest = max(ready, key=lambda each: each.seconds)
    warmed = [f"{each.what} {show_duration_roughly(each.seconds)}" for each in slowest.warmed]
    if not warmed:
        return Decided("warm-up", "none", _by(resolved, "warmup"))
    took = f"{show_duration_roughly(slowest.seconds)} per worker"
    if not preloaded:
        return Decided("boot", took, f"import and warm-up; {', '.join(warmed)}")
    return Decided("warm-up", took, ", ".join(warmed))


def of_cache(resolved: Resolved, release: str, why: str) -> Decided:
    """What is answered from cache, where that is kept, and which version of the code it is for."""
    settings = resolved.settings
    if settings.cache == "off":
        return Decided("cache", "off", _by(resolved, "cache"))
    modes = {"headers": "what the app declares cacheable", "suggest": "measured, not answered from"}
    where = f"{show_size_roughly(settings.cache_size)} on this machine"
    if settings.redis_url:
        by = _by(resolved, "redis_url")
        where = f"in {hidden(settings.redis_url)}{f', {by}' if by else ''}"
    elif "not installed" in resolved.origins["redis_url"]:
        where += "; not in the Redis of REDIS_URL, for the packages of hotplate[redis] are not installed"
    # A fingerprint is what everybody expects, and tells nobody anything.
    named = "" if why.startswith("fingerprint") or not release else f"release {release}, {why}"
    facts = [modes[settings.cache], where, _by(resolved, "cache"), named]
    return Decided("cache", settings.cache, "; ".join(filter(None, facts)))


def of_memory(ready: list[WorkerReady], limit: Memory) -> list[Decided]:
    """How much memory a worker takes; nothing where it cannot be measured."""
    most = max(each.private for each in ready)
    if not most:
        return []
    return [Decided("memory", f"{show_size_roughly(most)} per worker of its own", f"limit {limit.reason}")]


def of_control(pid: int, name: str) -> list[Decided]:
    """How to reload and stop it."""
    which = "" if name == SETTINGS["name"].default else f" --name {name}"
    return [
        Decided("reload", f"hotplate reload{which}, or kill -HUP {pid}"),
        Decided("stop", f"Ctrl-C, or hotplate stop{which}"),
    ]


def _by(resolved: Resolved, setting: str) -> str:
    """Say who asked for a value; "" for a default."""
    origin = resolved.origins[setting]
    return "" if origin == "default" else f"asked for by {origin}"
