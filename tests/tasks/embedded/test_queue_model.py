"""The queue against a simple model of it: any order of putting, taking, settling, dying, waiting and purging."""

import tempfile
from pathlib import Path
from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hotplate.tasks.embedded import messages
from hotplate.tasks.embedded.file import Store
from hotplate.tasks.embedded.messages import Outgoing

QUEUES = ("one", "two")
OWNERS = (1, 2, 3)


class Known(NamedTuple):
    """A message as the model has it."""

    number: int
    queue: str
    priority: int
    due: float | None
    owner: int | None = None
    redelivered: bool = False


class QueueMachine(RuleBasedStateMachine):
    """Does everything to the file and to a list, and compares."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store(Path(self.folder.name) / "tasks.sqlite")
        self.known: dict[bytes, Known] = {}
        self.now = 1000.0
        self.sent = 0

    def teardown(self) -> None:
        """Leaves nothing behind."""
        self.store.close()
        self.folder.cleanup()

    def ready(self, queue: str) -> list[bytes]:
        """Payloads that may be taken, in the order in which they are."""
        waiting = [
            (-one.priority, one.number, payload)
            for payload, one in self.known.items()
            if one.queue == queue and one.owner is None and (one.due is None or one.due <= self.now)
        ]
        return [payload for _, _, payload in sorted(waiting)]

    @rule(queue=st.sampled_from(QUEUES), priority=st.integers(0, 9), delay=st.none() | st.integers(1, 50))
    def put(self, queue: str, priority: int, delay: int | None) -> None:
        """Sends, for now or for later."""
        payload, self.sent = str(self.sent).encode(), self.sent + 1
        due = None if delay is None else self.now + delay
        with self.store.write() as writing:
            number = messages.put(writing, Outgoing(queue, payload, priority, due), self.now)
        self.known[payload] = Known(number, queue, priority, due)

    @rule(seconds=st.integers(-20, 40))
    def set_the_clock(self, seconds: int) -> None:
        """Lets time pass, or sets it back."""
        self.now += seconds

    @rule(
        queues=st.lists(st.sampled_from(QUEUES), min_size=1, unique=True),
        limit=st.integers(1, 4),
        owner=st.sampled_from(OWNERS),
    )
    def take(self, queues: list[str], limit: int, owner: int) -> None:
        """Takes what comes first, of every queue in turn."""
        with self.store.write() as writing:
            messages.promote(writing, self.now)
            # What has been due once stays ready, however far back the clock is set then.
            for payload, one in self.known.items():
                if one.due is not None and one.due <= self.now:
                    self.known[payload] = one._replace(due=None)
            taken = messages.take(writing, queues, limit, owner)
        heads = [self.ready(queue)[:limit] for queue in queues]
        fair = [head[turn] for turn in range(limit) for head in heads if turn < len(head)][:limit]
        assert [mine.payload for mine in taken] == fair
        for mine in taken:
            assert mine.redelivered == self.known[mine.payload].redelivered
            self.known[mine.payload] = self.known[mine.payload]._replace(owner=owner)

    @precondition(lambda self: any(one.owner for one in self.known.values()))
    @rule(data=st.data(), kind=st.sampled_from(["done", "unseen", "back"]), owner=st.sampled_from(OWNERS))
    def settle(self, data: st.DataObject, kind: str, owner: int) -> None:
        """Acknowledges, or gives back, as an owner or as somebody else."""
        payload = data.draw(st.sampled_from([name for name, one in self.known.items() if one.owner]))
        one = self.known[payload]
        with self.store.write() as writing:
            if kind == "done":
                messages.acknowledge(writing, owner, [one.number])
            else:
                messages.give_back(writing, owner, [one.number], seen=kind == "back")
        if owner != one.owner:
            return  # nobody settles what is another's
        if kind == "done":
            del self.known[payload]
        else:
            self.known[payload] = one._replace(owner=None, redelivered=one.redelivered or kind == "back")

    @rule(owner=st.sampled_from(OWNERS))
    def die(self, owner: int) -> None:
        """Gives back all of an owner's."""
        with self.store.write() as writing:
            count = messages.give_back_all(writing, owner)
        mine = [payload for payload, one in self.known.items() if one.owner == owner]
        assert count == len(mine)
        for payload in mine:
            self.known[payload] = self.known[payload]._replace(owner=None, redelivered=True)

    @rule(queue=st.sampled_from(QUEUES))
    def purge(self, queue: str) -> None:
        """Removes what nobody has taken."""
        with self.store.write() as writing:
            count = messages.purge(writing, queue)
        gone = [payload for payload, one in self.known.items() if one.queue == queue and one.owner is None]
        assert count == len(gone)
        for payload in gone:
            del self.known[payload]

    @invariant()
    def everything_is_there_once(self) -> None:
        """Each message is in exactly one state."""
        counts = self.store.counts()
        for queue in QUEUES:
            mine = [one for one in self.known.values() if one.queue == queue]
            count = counts.get(queue, messages.Count())
            assert count.ready + count.delayed + count.taken == len(mine)
            assert count.taken == sum(one.owner is not None for one in mine)
            assert sorted(one.payload for one in self.store.peek(queue)) == sorted(
                payload for payload, one in self.known.items() if one.queue == queue
            )

    @invariant()
    def the_next_due_one_is_known(self) -> None:
        """The first of the delayed ones is what the next alarm is set for."""
        with self.store.read() as reading:
            due = messages.next_due(reading)
        assert due == min((one.due for one in self.known.values() if one.due is not None), default=None)


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
