"""How many workers and threads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.errors import ExitCode, HotplateError
from hotplate.machine.cores import Cores
from hotplate.machine.memory import Memory
from hotplate.machine.sizing import USABLE, fit, threads, workers

MIB = 1024**2
CORES = Cores(4, "4 cores: affinity 4")
SMALL = Memory(512 * MIB, "512 MiB: cgroup limit, machine 4 GiB")
LARGE = Memory(4096 * MIB, "4 GiB: machine")

ROWS: dict[str, tuple[Memory, int, int, int, int, str, str]] = {
    "one per core": (LARGE, 100 * MIB, 100 * MIB, 0, 4, "4 cores: affinity 4", ""),
    "not measured yet": (SMALL, 0, 0, 0, 4, "4 cores: affinity 4", ""),
    "bounded by memory": (SMALL, 150 * MIB, 100 * MIB, 0, 2, "2 fit into memory (512 MiB: cgroup limit", ""),
    "just one fits": (SMALL, 300 * MIB, 100 * MIB, 0, 1, "1 fits into memory", ""),
    "asked for": (LARGE, 100 * MIB, 100 * MIB, 9, 9, "asked for", ""),
    "asked for, not measured": (SMALL, 0, 0, 99, 99, "asked for", ""),
    "asked for more than fits": (SMALL, 150 * MIB, 100 * MIB, 4, 4, "asked for", "Try --workers 2."),
    "asked for fewer than cores": (LARGE, 100 * MIB, 100 * MIB, 1, 1, "asked for", ""),
}


@pytest.mark.parametrize(("memory", "each", "base", "asked", "value", "why", "warning"), ROWS.values(), ids=ROWS)
def test_workers(memory: Memory, each: int, base: int, asked: int, value: int, why: str, warning: str) -> None:
    """Workers are as many as cores or fit into memory, or as asked for with a warning, and the reason is said."""
    decision = workers(CORES, memory, each, base, asked)
    assert decision.value == value
    assert why in decision.why
    assert warning in decision.warning
    assert bool(warning) == bool(decision.warning)


@pytest.mark.parametrize("asked", [0, 1, 4])
def test_no_memory_for_one_worker(asked: int) -> None:
    """When not one worker fits, nothing is started, whatever was asked for, and the needed limit is said."""
    with pytest.raises(HotplateError) as caught:
        workers(CORES, SMALL, 600 * MIB, 100 * MIB, asked)
    assert caught.value.code is ExitCode.NO_MEMORY
    assert "it needs 600 MiB beside 100 MiB" in str(caught.value)
    assert "Allow at least 778 MiB" in str(caught.value)


@given(st.integers(1, 2**40), st.integers(1, 2**36), st.integers(0, 2**36))
def test_what_fits_really_fits(limit: int, each: int, base: int) -> None:
    """The number that fits stays within the usable memory, and one more would not."""
    count = fit(Memory(limit, ""), each, base)
    assert count is not None
    if count:
        assert base + count * each <= limit * USABLE
    assert base + (count + 1) * each > limit * USABLE - 1


def test_threads() -> None:
    """A number is taken as it is, auto has the bound of max_threads."""
    assert threads(3, 256).value == 3
    assert threads(3, 256).why == "asked for"
    assert threads("auto", 64).value == 64
    assert "event loop" in threads("auto", 64, on_loop=True).why
