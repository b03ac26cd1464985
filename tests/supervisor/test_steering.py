"""Steering: the program picks slots by weight, for IPv4 and IPv6, in an interpreter and in the kernel."""

from __future__ import annotations

import socket
import sys
from collections import Counter
from contextlib import ExitStack, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotplate.supervisor import steering
from hotplate.supervisor.steering import Instruction, program

NETWORK_HEADER = 0xFFF00000


def run(steps: list[Instruction], packet: dict[tuple[int, int], int]) -> int:
    """Run a program as the kernel's interpreter does (linux/filter.h); `packet` gives loads by (size, offset)."""
    accumulator, place = 0, 0
    while True:
        code, if_true, if_false, operand = steps[place]
        place += 1
        match code:
            case 0x30 | 0x28:
                accumulator = packet[2 if code == 0x28 else 1, operand - NETWORK_HEADER]
            case 0x74:
                accumulator >>= operand
            case 0x94:
                accumulator %= operand
            case 0x05:
                place += operand
            case 0x15:
                place += if_true if accumulator == operand else if_false
            case 0x35:
                place += if_true if accumulator >= operand else if_false
            case 0x06:
                return operand
            case _:
                raise AssertionError(code)


def packet(version: int, port: int) -> dict[tuple[int, int], int]:
    """Return what a connection's first packet has at the offsets that may be read."""
    return {(1, 0): version << 4 | 5, (2, 20 if version == 4 else 40): port}


@settings(deadline=None)  # a starved machine is no failure
@given(st.dictionaries(st.integers(0, 1023), st.integers(0, 50), min_size=1).filter(lambda each: any(each.values())))
def test_each_slot_gets_its_share(weights: dict[int, int]) -> None:
    """Over a whole turn of ports, each slot is picked as often as its weight says; the others never."""
    total = sum(weights.values())
    for version in (4, 6):
        picked = Counter(run(program(weights), packet(version, 2 * number)) for number in range(total))
        assert picked == {slot: weight for slot, weight in weights.items() if weight}


@settings(deadline=None)  # a starved machine is no failure
@given(st.integers(0, 65535), st.integers(2, 9))
def test_a_connection_meets_one_slot_only(port: int, slots: int) -> None:
    """The same port always gives the same slot, as SYN cookies need."""
    steps = program(dict.fromkeys(range(slots), 1))
    assert run(steps, packet(4, port)) == run(steps, packet(6, port)) == (port >> 1) % slots


@pytest.mark.parametrize("weights", [{}, {0: 0}])
def test_nobody_to_steer_to_is_a_mistake(weights: dict[int, int]) -> None:
    """Without a slot there is no program."""
    with pytest.raises(ValueError, match="slot"):
        program(weights)


@pytest.mark.parametrize("jump", range(2, 5))
def test_jumps_stay_within_the_program(jump: int) -> None:
    """Every step ends in a verdict."""
    steps = program(dict.fromkeys(range(jump), 3))
    assert steps[-1].code == 0x06


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux steers")
@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_the_kernel_does_as_told(family: socket.AddressFamily, host: str) -> None:
    """Connections go where the program says, and where a later one says, also for listeners that join afterwards."""
    with ExitStack() as opened:

        def listener(port: int) -> socket.socket:
            sock = opened.enter_context(socket.socket(family))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind((host, port))
            sock.listen()
            sock.settimeout(0)
            return sock

        def spread() -> list[int]:
            for _ in range(40):
                opened.enter_context(socket.create_connection((host, port)))
            counts = []
            for each in listeners:
                counts.append(0)
                with suppress(BlockingIOError):
                    while True:
                        opened.enter_context(each.accept()[0])
                        counts[-1] += 1
            return counts

        try:
            listeners = [listener(0)]
        except OSError:
            pytest.skip(f"no {host} here")
        port = listeners[0].getsockname()[1]
        steering.attach(listeners[0], program({0: 1}))
        listeners += [listener(port), listener(port)]
        assert spread() == [40, 0, 0]
        steering.attach(listeners[0], program({2: 1}))
        assert spread() == [0, 0, 40]
        steering.attach(listeners[0], program({0: 1, 2: 1}))
        first, second, third = spread()
        assert second == 0
        assert first + third == 40
