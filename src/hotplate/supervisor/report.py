"""What `hotplate status` tells: typed records whose fields carry their help text, for people and programs alike."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from hotplate.gateway.traffic import Traffic
from hotplate.settings.records import helped
from hotplate.supervisor.tally import Tally


class WorkerReport(msgspec.Struct, frozen=True, kw_only=True):
    """One process that serves, is about to, or finishes what it has."""

    slot: Annotated[int, helped("place among the workers, from 0")]
    pid: Annotated[int, helped("process number; 0 while it is being forked")]
    state: Annotated[
        Literal["booting", "ready", "draining", "gone"],
        helped("booting (importing or warming up), ready (warm and serving), draining (finishing, takes nothing new)"),
    ]
    generation: Annotated[int, helped("generation it was forked from")]
    age: Annotated[float, helped("seconds since it was forked")]
    private: Annotated[int, helped("bytes of memory that only it uses; 0 if not measured yet")]
    restarts: Annotated[int, helped("workers that served this slot before it")]
    traffic: Annotated[Traffic, helped("what it has served since it began")]
    release: Annotated[str, helped("version of its code, part of the cache's keys; empty before it is ready")] = ""


class CrewReport(msgspec.Struct, frozen=True, kw_only=True):
    """One process beside the web workers: it takes tasks and has them run, or sends those that are scheduled."""

    role: Annotated[
        Literal["web", "tasks", "beat"], helped("tasks: has tasks run; beat: sends those that are scheduled")
    ]
    pid: Annotated[int, helped("process number; 0 while it is being forked")]
    state: Annotated[
        Literal["booting", "ready", "draining", "gone"],
        helped("booting (importing or warming up), ready, draining (finishing, takes nothing new)"),
    ]
    generation: Annotated[int, helped("generation it was forked from")]
    age: Annotated[float, helped("seconds since it was forked")]
    private: Annotated[int, helped("bytes of memory that it and those that run its tasks have of their own")]
    restarts: Annotated[int, helped("processes that did the same before it")]
    tally: Annotated[Tally, helped("what became of the tasks it took")]


class TasksState(msgspec.Struct, frozen=True, kw_only=True):
    """The app's tasks and who runs them."""

    celery: Annotated[str, helped("name of the Celery app")]
    known: Annotated[int, helped("tasks that the app has")]
    workers: Annotated[int, helped("tasks that run at once; 0 if none are run here")]
    workers_why: Annotated[str, helped("why so many")]
    broker: Annotated[str, helped("URL of the broker, without secrets")]
    beat: Annotated[bool, helped("whether this instance sends what is scheduled, or stands by for it")]
    crew: Annotated[tuple[CrewReport, ...], helped("one by one")]


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """All workers that are there now, added up."""

    requests: Annotated[int, helped("requests answered")]
    in_flight: Annotated[int, helped("requests being answered")]
    errors: Annotated[int, helped("answers with a 5xx status")]
    timeouts: Annotated[int, helped("requests ended by --timeout")]
    refused: Annotated[int, helped("malformed or oversized requests refused")]
    queued: Annotated[int, helped("requests waiting for a thread")]
    connections: Annotated[int, helped("connections in use")]
    private: Annotated[int, helped("bytes of memory that only one worker uses, added up")]
    restarts: Annotated[int, helped("workers replaced since the start")]


class StatusReport(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An instance and how it goes."""

    state: Annotated[
        Literal["starting", "serving", "degraded", "reloading", "asleep", "stopping"],
        helped("serving: every worker is warm; degraded: not every one is; asleep: stopped by --idle-timeout"),
    ]
    healthy: Annotated[
        bool, helped("whether every worker, and who runs tasks, is warm and serving (or asleep by choice)")
    ]
    name: Annotated[str, helped("name of the instance in its folder")]
    folder: Annotated[str, helped("folder it was started in")]
    target: Annotated[str, helped("what was asked to be served")]
    app: Annotated[str, helped("app that was found; empty before the import")]
    pid: Annotated[int, helped("process number of the master")]
    uptime: Annotated[float, helped("seconds since the master started")]
    binds: Annotated[tuple[str, ...], helped("addresses listened on")]
    generation: Annotated[int, helped("generation in force; 1 from the start, 1 more per reload; 0 before the import")]
    generation_pid: Annotated[int, helped("process number of the generation; 0 if there is none")]
    preloaded: Annotated[bool, helped("whether workers share the imported app")]
    slots: Annotated[int, helped("workers wanted")]
    workers_why: Annotated[str, helped("why so many")]
    steering: Annotated[str, helped("how connections spread over workers")]
    totals: Annotated[Totals, helped("all workers together")]
    workers: Annotated[tuple[WorkerReport, ...], helped("one by one, by slot")]
    cache: Annotated[str, helped("folder in which the processes share the cache")] = ""
    tasks: Annotated[TasksState | None, helped("the app's tasks; null if it has none")] = None
