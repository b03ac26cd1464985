"""`--idle-timeout`: no workers while nobody asks, and the sockets open, so that the next connection starts them."""

from __future__ import annotations

import asyncio

from hotplate.supervisor.events import Asleep, Woken
from hotplate.supervisor.fleet import Fleet
from hotplate.supervisor.reporting import Reporter

_PARKING = 0.5  # seconds in which workers stop accepting; from then on a connection in a queue is a new one


class Idling:
    """Puts the fleet to sleep and wakes it.

    Args:
        fleet: what sleeps.
        reporter: says that it does.
    """

    def __init__(self, fleet: Fleet, reporter: Reporter) -> None:
        self._fleet = fleet
        self._reporter = reporter

    async def sleep(self, idle: float) -> None:
        """Stop the workers and return; the first connection starts them again.

        Args:
            idle: seconds since the last request.
        """
        async with self._fleet.changing:
            self._reporter.asleep = True
            self._fleet.emit(Asleep(idle=idle))
            if self._fleet.crew:  # what is scheduled, or sent by others, asks for no connection
                self._fleet.doze(self._fleet.settings.grace)
            else:
                await self._fleet.rest(self._fleet.settings.grace)
            await asyncio.sleep(_PARKING)
            loop = asyncio.get_running_loop()
            for listener in self._fleet.sockets.all():
                loop.add_reader(listener.fileno(), self.wake)

    def forget(self) -> None:
        """Watch the listeners no more."""
        loop = asyncio.get_running_loop()
        for listener in self._fleet.sockets.all():
            loop.remove_reader(listener.fileno())

    def wake(self) -> None:
        """Start the workers again."""
        if not self._reporter.asleep:
            return
        self._reporter.asleep = False
        self.forget()
        self._fleet.emit(Woken())
        if self._fleet.dozing:
            self._fleet.dozing = False
        else:
            self._fleet.paused = False
            self._fleet.run(self._recover())
        for slot in self._fleet.slots:
            self._fleet.fill(slot)

    async def _recover(self) -> None:
        async with self._fleet.changing:  # an order to reload comes after it
            await self._fleet.recover()
