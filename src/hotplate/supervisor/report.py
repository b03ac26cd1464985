"""What `hotplate status` tells: typed records whose fields carry their help text, for people and programs alike."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from hotplate.gateway.traffic import Traffic
from hotplate.supervisor.tally import Tally


def _help(text: str) -> msgspec.Meta:
    return msgspec.Meta(description=text)


class WorkerReport(msgspec.Struct, frozen=True, kw_only=True):
    """One process that serves, is about to, or finishes what it has."""

    slot: Annotated[int, _help("place among the workers, from 0")]
    pid: Annotated[int, _help("process number; 0 while it is being forked")]
    state: Annotated[
        Literal["booting", "ready", "draining", "gone"],
        _help("booting (importing or warming up), ready (warm and serving), draining (finishing, takes nothing new)"),
    ]
    generation: Annotated[int, _help("generation it was forked from")]
    age: Annotated[float, _help("seconds since it was forked")]
    private: Annotated[int, _help("bytes of memory that only it uses; 0 if not measured yet")]
    restarts: Annotated[int, _help("workers that served this slot before it")]
    traffic: Annotated[Traffic, _help("what it has served since it began")]
    release: Annotated[str, _help("version of its code, part of the cache's keys; empty before it is ready")] = ""


class CrewReport(msgspec.Struct, frozen=True, kw_only=True):
    """One process beside the web workers: it takes tasks and has them run, or sends those that are scheduled."""

    role: Annotated[
        Literal["web", "tasks", "beat"], _help("tasks: has tasks run; beat: sends those that are scheduled")
    ]
    pid: Annotated[int, _help("process number; 0 while it is being forked")]
    state: Annotated[
        Literal["booting", "ready", "draining", "gone"],
        _help("booting (importing or warming up), ready, draining (finishing, takes nothing new)"),
    ]
    generation: Annotated[int, _help("generation it was forked from")]
    age: Annotated[float, _help("seconds since it was forked")]
    private: Annotated[int, _help("bytes of memory that it and those that run its tasks have of their own")]
    restarts: Annotated[int, _help("processes that did the same before it")]
    tally: Annotated[Tally, _help("what became of the tasks it took")]


class TasksState(msgspec.Struct, frozen=True, kw_only=True):
    """The app's tasks and who runs them."""

    celery: Annotated[str, _help("name of the Celery app")]
    known: Annotated[int, _help("tasks that the app has")]
    workers: Annotated[int, _help("tasks that run at once; 0 if none are run here")]
    workers_why: Annotated[str, _help("why so many")]
    broker: Annotated[str, _help("URL of the broker, without secrets")]
    beat: Annotated[bool, _help("whether this instance sends what is scheduled, or stands by for it")]
    crew: Annotated[tuple[CrewReport, ...], _help("one by one")]


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """All workers that are there now, added up."""

    requests: Annotated[int, _help("requests answered")]
    in_flight: Annotated[int, _help("requests being answered")]
    errors: Annotated[int, _help("answers with a 5xx status")]
    timeouts: Annotated[int, _help("requests ended by --timeout")]
    refused: Annotated[int, _help("malformed or oversized requests refused")]
    queued: Annotated[int, _help("requests waiting for a thread")]
    connections: Annotated[int, _help("connections in use")]
    private: Annotated[int, _help("bytes of memory that only one worker uses, added up")]
    restarts: Annotated[int, _help("workers replaced since the start")]


class StatusReport(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An instance and how it goes."""

    state: Annotated[
        Literal["starting", "serving", "degraded", "reloading", "asleep", "stopping"],
        _help("serving: every worker is warm; degraded: not every one is; asleep: stopped by --idle-timeout"),
    ]
    healthy: Annotated[
        bool, _help("whether every worker, and who runs tasks, is warm and serving (or asleep by choice)")
    ]
    name: Annotated[str, _help("name of the instance in its folder")]
    folder: Annotated[str, _help("folder it was started in")]
    target: Annotated[str, _help("what was asked to be served")]
    app: Annotated[str, _help("app that was found; empty before the import")]
    pid: Annotated[int, _help("process number of the master")]
    uptime: Annotated[float, _help("seconds since the master started")]
    binds: Annotated[tuple[str, ...], _help("addresses listened on")]
    generation: Annotated[int, _help("generation in force; 1 from the start, one more per reload; 0 before the import")]
    generation_pid: Annotated[int, _help("process number of the generation; 0 if there is none")]
    preloaded: Annotated[bool, _help("whether workers share the imported app")]
    slots: Annotated[int, _help("workers wanted")]
    workers_why: Annotated[str, _help("why so many")]
    steering: Annotated[str, _help("how connections spread over workers")]
    totals: Annotated[Totals, _help("all workers together")]
    workers: Annotated[tuple[WorkerReport, ...], _help("one by one, by slot")]
    cache: Annotated[str, _help("folder in which the processes share the cache")] = ""
    tasks: Annotated[TasksState | None, _help("the app's tasks; null if it has none")] = None
