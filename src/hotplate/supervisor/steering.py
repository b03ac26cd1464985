"""Says to the kernel which slot's listener gets a new connection: a classic BPF program on the SO_REUSEPORT group.

The kernel runs it for each new connection and takes the listener with the index it returns, in the order in which the
group's listeners began to listen (socket(7), SO_ATTACH_REUSEPORT_CBPF; Linux 4.5). It needs no privilege. An index
beyond the group falls back to the kernel's hash, and so does everything where the program cannot be attached.

The number that is spread is the client's port without its last bit: Linux gives outgoing connections ports of one
parity, mostly one after the other, so that few clients of one proxy or load generator spread more evenly than by a
hash. It is also the same for every packet of a connection, which SYN cookies need.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Mapping
from typing import NamedTuple

SO_ATTACH_REUSEPORT_CBPF = 51  # include/uapi/asm-generic/socket.h; alpha, mips, parisc and sparc differ
_INSTRUCTION = struct.Struct("=HBBI")  # struct sock_filter: code, jt, jf, k
_PROGRAM = struct.Struct("HL")  # struct sock_fprog: length, pointer (aligned by struct's native mode)
_LONGEST = 4096  # BPF_MAXINSNS

_NETWORK_HEADER = 0xFFF00000  # SKF_NET_OFF, -0x100000: the program's data begin behind the TCP header
_IPV6, _IPV4_BYTES, _IPV6_BYTES = 6, 20, 40

# linux/bpf_common.h
_LOAD_BYTE, _LOAD_HALF = 0x30, 0x28  # BPF_LD | BPF_B or BPF_H | BPF_ABS
_SHIFT_RIGHT, _MODULO = 0x74, 0x94  # BPF_ALU | BPF_RSH or BPF_MOD | BPF_K
_JUMP, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST = 0x05, 0x15, 0x35  # BPF_JMP | BPF_JA, BPF_JEQ or BPF_JGE | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K


class Instruction(NamedTuple):
    """One step of a classic BPF program: operation, where to go if true or false, operand."""

    code: int
    if_true: int
    if_false: int
    operand: int


def program(weights: Mapping[int, int]) -> list[Instruction]:
    """Return the program that gives each slot its share of new connections.

    Args:
        weights: by slot (its index in the group); slots that are absent or 0 get nothing.

    Raises:
        ValueError: no slot has a weight, or there are more than the kernel takes.

    Example:
        >>> program({1: 5})
        [Instruction(code=6, if_true=0, if_false=0, operand=1)]
    """
    wanted = {slot: weight for slot, weight in sorted(weights.items()) if weight > 0}
    if not wanted:
        raise ValueError("a program needs a slot to steer to")
    *others, last = wanted
    steps: list[Instruction] = []
    if others:
        steps += _spread_number(sum(wanted.values()))
    bound = 0
    for slot in others:
        bound += wanted[slot]
        steps += [Instruction(_JUMP_IF_AT_LEAST, 1, 0, bound), Instruction(_RETURN, 0, 0, slot)]
    steps.append(Instruction(_RETURN, 0, 0, last))
    if len(steps) > _LONGEST:
        raise ValueError(f"{len(steps)} instructions are more than the kernel takes")
    return steps


def _spread_number(total: int) -> list[Instruction]:
    return [
        Instruction(_LOAD_BYTE, 0, 0, _NETWORK_HEADER),
        Instruction(_SHIFT_RIGHT, 0, 0, 4),  # the version is the first half of the first byte, in both versions
        Instruction(_JUMP_IF_EQUAL, 0, 2, _IPV6),
        Instruction(_LOAD_HALF, 0, 0, _NETWORK_HEADER + _IPV6_BYTES),
        Instruction(_JUMP, 0, 0, 1),
        Instruction(_LOAD_HALF, 0, 0, _NETWORK_HEADER + _IPV4_BYTES),
        Instruction(_SHIFT_RIGHT, 0, 0, 1),
        Instruction(_MODULO, 0, 0, total),
    ]


def attach(listener: socket.socket, steps: list[Instruction]) -> None:
    """Give the listener's whole group this program instead of the one before, if any.

    Raises:
        OSError: the kernel or a sandbox does not let it.
    """
    code = b"".join(_INSTRUCTION.pack(*step) for step in steps)
    buffer = ctypes.create_string_buffer(code, len(code))
    listener.setsockopt(
        socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, _PROGRAM.pack(len(steps), ctypes.addressof(buffer))
    )
