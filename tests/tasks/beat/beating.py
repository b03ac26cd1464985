"""A process that is a beat: `python beating.py BROKER_URL [SECONDS]`; each tick says who sent it, and when."""

import os
import signal
import sys
import time
from datetime import timedelta
from threading import Event
from typing import Any

from celery import Celery
from celery.beat import BeatLazyFunc

import hotplate.tasks  # noqa: F401 - makes the embedded broker known
from hotplate.tasks.beat.serve import serve
from hotplate.tasks.redis import configure

QUEUE = "ticks"


def site(broker: str, seconds: float = 0.2) -> Celery:
    """Returns an app with one task every so many seconds, which is never run."""
    app = Celery("beating", broker=broker, set_as_current=False)
    app.conf.update(task_default_queue=QUEUE, result_backend="disabled://", broker_connection_timeout=2)
    if broker.startswith("amqp"):
        app.conf.broker_transport_options = {"confirm_publish": True}
    if broker.startswith("redis"):
        configure(app.conf)
    said: dict[str, Any] = {"pid": BeatLazyFunc(os.getpid), "at": BeatLazyFunc(time.monotonic)}
    app.conf.beat_schedule = {
        "tick": {"task": "tick", "schedule": timedelta(seconds=seconds), "kwargs": said},
        "rare": {"task": "rare", "schedule": timedelta(days=1), "kwargs": said},
    }
    return app


def main() -> None:
    """Beats until SIGTERM."""
    stopping = Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    app = site(sys.argv[1], *map(float, sys.argv[2:]))
    sys.exit(serve(app, on_ready=lambda: print("ready", flush=True), should_stop=stopping.is_set))  # noqa: T201 - whoever started it reads it


if __name__ == "__main__":
    main()
