"""The pulse: who is silent for too long, told by a clock that the test moves."""

from __future__ import annotations

import asyncio
import signal
from types import SimpleNamespace
from typing import Any

import pytest

from hotplate.gateway.traffic import Traffic
from hotplate.settings import Settings
from hotplate.supervisor.events import Event, WorkerStuck
from hotplate.supervisor.messages import Shed
from hotplate.supervisor.pulse import Pulse


class FakeWorker:
    """A worker whose signs of life are numbers."""

    def __init__(self, slot: int = 0, connections: int = 0) -> None:
        self.slot, self.pid, self.last_heard, self.dumped_at, self.condemned = slot, 100 + slot, 0.0, 0.0, False
        self.role = "web"
        self.traffic, self.answered = Traffic(active_connections=connections), connections * 10
        self.signals: list[signal.Signals] = []
        self.told: list[object] = []

    def is_warm(self) -> bool:
        """Always."""
        return True

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Take note."""
        self.signals.append(number)

    def tell(self, order: object) -> None:
        """Take note."""
        self.told.append(order)


class FakeFleet:
    """Slots and what happened to them."""

    def __init__(self, *workers: FakeWorker, timeout: float = 30.0) -> None:
        self.settings = Settings(timeout=timeout)
        self.slots = [SimpleNamespace(current=worker, hung=False) for worker in workers]
        self.crew: list[Any] = []
        self.dozing = False
        self.sockets = SimpleNamespace(spread=True)
        self.weights: dict[int, int] = {}
        self.paused = False
        self.events: list[Event] = []
        self.emit = self.events.append

    def steer(self) -> None:
        """Do nothing."""


class FakeNotifier:
    """Counts how often the watchdog was fed."""

    watchdog_interval = 15.0
    fed = 0

    def alive(self) -> None:
        """Count."""
        self.fed += 1


async def nobody(_idle: float) -> None:
    """Never called here."""


def pulse(fleet: Any, notifier: Any = None) -> Pulse:
    """Return a pulse of a made-up fleet."""
    heard: Any = notifier or FakeNotifier()
    return Pulse(fleet, heard, nobody)


def test_a_silent_worker_writes_its_stacks_before_it_is_killed() -> None:
    """After the time-out it gets half a second to say where it hangs."""
    worker = FakeWorker()
    fleet = FakeFleet(worker)
    looking = pulse(fleet)
    looking.look(30.0)
    assert not worker.signals
    looking.look(30.1)
    looking.look(30.4)
    assert worker.signals == [signal.SIGUSR2]
    looking.look(30.7)
    assert worker.signals == [signal.SIGUSR2, signal.SIGKILL]
    assert worker.condemned
    assert [type(event) for event in fleet.events] == [WorkerStuck]


def test_a_worker_that_comes_back_in_time_is_spared() -> None:
    """A sign of life after the stacks were asked for ends the matter."""
    worker = FakeWorker()
    looking = pulse(FakeFleet(worker))
    looking.look(31.0)
    worker.last_heard, worker.dumped_at = 31.2, 0.0
    looking.look(32.0)
    assert worker.signals == [signal.SIGUSR2]


@pytest.mark.parametrize(("timeout", "now"), [(0.0, 1e6), (0.1, 1.9)])
def test_patience_has_a_floor_and_can_be_endless(timeout: float, now: float) -> None:
    """Without a time-out nobody is killed, and with a tiny one nobody for being a moment late."""
    worker = FakeWorker()
    pulse(FakeFleet(worker, timeout=timeout)).look(now)
    assert not worker.signals


def test_a_process_that_runs_tasks_is_given_more_time() -> None:
    """It has no requests that wait for it, and one that is killed begins its tasks anew."""
    worker = FakeWorker()
    fleet = FakeFleet()
    fleet.crew = [SimpleNamespace(current=worker, hung=False)]
    looking = pulse(fleet)
    looking.look(59.0)
    assert not worker.signals
    looking.look(61.0)
    looking.look(61.6)
    assert worker.signals == [signal.SIGUSR2, signal.SIGKILL]


def test_a_machine_for_tasks_feeds_the_watchdog() -> None:
    """Without web workers it is the tasks process that has to be there; beside sleeping ones, too."""
    notifier = FakeNotifier()
    fleet = FakeFleet()
    fleet.crew = [SimpleNamespace(current=FakeWorker(), hung=False)]
    looking = pulse(fleet, notifier)
    looking.look(20.0)
    assert notifier.fed == 1
    fleet.slots = [SimpleNamespace(current=None, hung=False)]
    looking.look(40.0)
    assert notifier.fed == 1
    fleet.dozing = True
    looking.look(40.1)
    assert notifier.fed == 2


def test_the_busiest_worker_is_told_to_shed() -> None:
    """The plan's surplus goes to the worker it belongs to, and the weights to the fleet while clients come back."""
    busy, idle = FakeWorker(0, 6), FakeWorker(1, 0)
    fleet = FakeFleet(busy, idle)

    async def level() -> None:
        looking = pulse(fleet)
        looking.look(0.1)
        looking.look(0.35)
        assert (busy.told, idle.told) == ([Shed(3)], [])
        assert fleet.weights == {1: 3}
        over = asyncio.Event()
        fleet.steer = over.set  # type: ignore[method-assign]  # a fake
        await over.wait()
        assert not fleet.weights

    asyncio.run(level())


def test_the_watchdog_is_not_fed_without_a_warm_worker() -> None:
    """When nobody serves, systemd is to notice; asleep or starting is as it should be."""
    notifier = FakeNotifier()
    fleet = FakeFleet()
    looking = pulse(fleet, notifier)
    looking.look(100.0)
    assert notifier.fed == 0
    fleet.paused = True
    looking.look(100.1)
    looking.look(100.2)
    assert notifier.fed == 1
    fleet.paused = False
    fleet.slots = [SimpleNamespace(current=FakeWorker(), hung=False)]
    looking.look(115.0)
    assert notifier.fed == 2
