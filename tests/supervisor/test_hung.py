"""A worker in which a request hung: new connections go elsewhere until its replacement serves."""

from __future__ import annotations

import os
import signal
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from hotplate.settings import Settings
from hotplate.supervisor.events import Event, RequestHung
from hotplate.supervisor.fleet import Fleet
from hotplate.supervisor.messages import FromWorker, Hung, Outgrown, Shed, ToWorker
from hotplate.supervisor.slots import Slot
from tests.supervisor.instance import Instance

HUNG = Hung("GET /", 30.0, "a stack")


class FakeSockets:
    """Takes note of where new connections go."""

    spread = True
    weights: dict[int, int]

    def steer(self, weights: dict[int, int]) -> str:
        """Take note."""
        self.weights = weights
        return ""


class FakeWorker:
    """A warm worker that nothing else is known of."""

    def __init__(self, slot: int, *, prompt: bool = True) -> None:
        self.slot, self.pid, self.role, self.leaving = slot, 100 + slot, "web", False
        self.order = SimpleNamespace(turn=0)
        self.prompt = prompt
        self.traffic = SimpleNamespace(active_connections=7)
        self.told: list[ToWorker] = []

    def is_warm(self) -> bool:
        """Always."""
        return True

    def is_prompt(self) -> bool:
        """As it was made."""
        return self.prompt

    def drain(self, _grace: float) -> None:
        """Do nothing."""

    def tell(self, order: ToWorker) -> None:
        """Take note."""
        self.told.append(order)


class Childless(Fleet):
    """A fleet that has nothing to take replacements from."""

    def run(self, work: Coroutine[None, None, None]) -> None:
        """Do not even begin."""
        work.close()


class Serving:
    """Such a fleet, of made-up workers."""

    def __init__(self, *prompt: bool) -> None:
        self.sockets = FakeSockets()
        self.events: list[Event] = []
        sockets: Any = self.sockets
        nobody: Any = None
        self.fleet = Childless(Settings(), sockets, nobody, self.events.append)
        self.fleet.paused = False
        self.fleet.slots = [Slot(index) for index in range(len(prompt))]
        for index, each in enumerate(prompt):
            self.seat(index, prompt=each)

    def seat(self, slot: int, *, prompt: bool = True) -> None:
        """Have a new worker serve a slot."""
        worker: Any = FakeWorker(slot, prompt=prompt)
        self.fleet.seat(self.fleet.slots[slot], worker)

    def hear(self, slot: int, fact: FromWorker) -> None:
        """Have a slot's worker say something."""
        worker = self.fleet.slots[slot].current
        assert worker
        self.fleet.heard(worker, fact)

    @property
    def told(self) -> list[list[ToWorker]]:
        """What the workers were told, slot by slot."""
        workers: list[Any] = [slot.current for slot in self.fleet.slots]
        return [worker.told for worker in workers]

    @property
    def steered_to(self) -> list[int]:
        """The slots that new connections go to."""
        return sorted(self.sockets.weights)


def test_new_connections_spare_a_worker_with_a_hung_request() -> None:
    """They go to the others at once, and come back with its replacement."""
    serving = Serving(True, True, True)
    serving.hear(1, HUNG)
    assert serving.steered_to == [0, 2]
    assert [type(event) for event in serving.events] == [RequestHung]
    assert serving.told == [[], [Shed(7)], []]
    serving.seat(1)
    assert serving.steered_to == [0, 1, 2]


def test_where_every_worker_has_a_hung_request_all_go_on_taking() -> None:
    """Somebody has to answer."""
    serving = Serving(True, True)
    serving.hear(0, HUNG)
    serving.hear(1, HUNG)
    assert serving.steered_to == [0, 1]
    assert serving.told == [[Shed(7)], []]


def test_a_hung_request_is_better_company_than_silence() -> None:
    """A worker that answers is chosen before one that gives no sign of life."""
    serving = Serving(True, False)
    serving.hear(0, HUNG)
    assert serving.steered_to == [0]


def test_a_worker_that_has_only_served_its_time_goes_on_taking() -> None:
    """Nothing is wrong with it, and its neighbours may have served theirs as well; but a hung request tells."""
    serving = Serving(True, True)
    serving.hear(0, Outgrown("it has served 9 requests"))
    serving.fleet.steer()
    assert serving.steered_to == [0, 1]
    serving.hear(0, HUNG)
    assert serving.steered_to == [1]


def test_levelling_does_not_bring_connections_back() -> None:
    """Weights that were made for even loads are no reason to send anything to it."""
    serving = Serving(True, True)
    serving.fleet.weights = {0: 3}
    serving.hear(0, HUNG)
    assert serving.steered_to == [1]


@pytest.mark.process
def test_a_worker_with_a_hung_request_gets_no_new_connections(instance: Instance) -> None:
    """Also where its replacement takes long: here the generation that would have to make it hangs in its import."""
    instance.start().serving()
    instance.script(**{"import": "hang"})
    os.kill(instance.status().generation_pid, signal.SIGKILL)
    instance.event("GenerationDied")
    instance.get_from(0, "/hung")
    instance.event("RequestHung")
    assert {instance.get()["slot"] for _ in range(16)} == {1}
    instance.get_from(1, "/hung")
    instance.event("RequestHung", 2)
    assert {instance.get()["slot"] for _ in range(16)} == {0, 1}
