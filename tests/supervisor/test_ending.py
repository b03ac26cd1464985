"""The master's end: requests in flight are answered, nobody is left behind, and idleness is not the end."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from hotplate.errors import ExitCode, HotplateError
from hotplate.supervisor import control
from tests.supervisor.instance import Instance, is_alive
from tests.support.waiting import wait_until

pytestmark = pytest.mark.process


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "order"])
def test_the_end_waits_for_requests_in_flight(instance: Instance, how: str) -> None:
    """New connections are refused, the request in flight is answered, then all ends with status 0 and no trace."""
    path = instance.folder / "app.sock"
    instance.start("workers=2", f"bind=127.0.0.1:0,unix:{path}").serving()
    family = instance.family()
    with instance.slow() as slow:
        if how == "order":
            assert instance.ask(control.Stop(wait=False)) == control.StopDone(instance.pid, ended=False)
        else:
            instance.signal(signal.Signals[how])
        instance.event("Draining")
        assert instance.status().state == "stopping"
        assert slow.finish()["slot"] in {0, 1}
    assert instance.wait() == ExitCode.OK
    assert instance.event("Stopped")["killed"] == 0
    wait_until(lambda: not any(map(is_alive, family)), what="nobody is left")
    assert not path.exists()
    assert not list(Path(instance.runtime).glob("hotplate/*"))


def test_stop_answers_when_nothing_is_left(instance: Instance) -> None:
    """The order to stop returns when the instance has ended; another order then finds none."""
    instance.start().serving()
    family = instance.family()
    assert instance.ask(control.Stop()) == control.StopDone(instance.pid, ended=True)
    assert not any(map(is_alive, family))
    with pytest.raises(HotplateError) as refused:
        instance.status()
    assert refused.value.code == ExitCode.NOT_RUNNING


def test_the_grace_period_is_not_exceeded(instance: Instance) -> None:
    """A request that does not end in time is cut off, and the master says how many workers it had to kill."""
    instance.start("grace=0.2s").serving()
    with instance.slow():
        instance.signal(signal.SIGTERM)
        assert instance.wait() == ExitCode.OK
    assert instance.event("Stopped")["killed"] == 1


def test_a_second_signal_ends_everything_at_once(instance: Instance) -> None:
    """The second Ctrl-C does not wait for anybody."""
    instance.start("grace=10m").serving()
    family = instance.family()
    with instance.slow():
        instance.signal(signal.SIGINT)
        instance.event("Draining")
        instance.signal(signal.SIGINT)
        assert instance.wait() == ExitCode.INTERRUPTED
    wait_until(lambda: not any(map(is_alive, family)), what="nobody is left")


@pytest.mark.parametrize("script", [{"import": "hang"}, {"boot": "hang"}])
def test_a_start_can_be_given_up(instance: Instance, script: dict[str, object]) -> None:
    """Ctrl-C during the import or the warm-up ends everything, and says so in the exit status."""
    instance.script(**script)
    instance.start()
    wait_until(lambda: len(instance.family()) == (1 if "import" in script else 2), what="it is under way")
    family = instance.family()
    instance.signal(signal.SIGINT)
    assert instance.wait() == ExitCode.INTERRUPTED
    wait_until(lambda: not any(map(is_alive, family)), what="nobody is left")


def test_workers_of_a_killed_master_leave(instance: Instance) -> None:
    """The channels' ends tell workers and generation that the master is gone."""
    instance.start().serving()
    family = instance.family()
    instance.signal(signal.SIGKILL)
    instance.wait()
    wait_until(lambda: not any(map(is_alive, family)), what="nobody is left")


# Idleness


def test_idle_workers_are_stopped_only_when_asked_for_and_come_back(instance: Instance) -> None:
    """With `--idle-timeout` the workers end, the sockets stay, and the next connection is answered."""
    instance.start("idle_timeout=1s").serving()
    before = [worker.pid for worker in instance.warm().values()]
    instance.event("Asleep")
    wait_until(lambda: not any(map(is_alive, before)), what="the workers are gone")
    status = instance.status()
    assert (status.state, status.healthy) == ("asleep", True)
    assert instance.get()["pid"] not in before
    instance.event("Woken")
    wait_until(lambda: instance.status().healthy, what="it is whole again")
