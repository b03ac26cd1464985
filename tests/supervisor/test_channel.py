"""Promises of the line of talk between two processes."""

from __future__ import annotations

import os
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.supervisor.channel import Channel, Closed


@given(texts=st.lists(st.text(max_size=300), max_size=20), step=st.integers(1, 700))
def test_messages_arrive_whole_and_in_order_however_they_are_cut(texts: list[str], step: int) -> None:
    """A stream has no message borders; the channel has."""
    written, read = socket.socketpair()
    sender, receiver = Channel[str, str](written, str), Channel[str, str](read, str)
    kept, cut = socket.socketpair()
    with written, read, kept, cut:
        for text in texts:
            sender.send(text)
        written.shutdown(socket.SHUT_WR)
        stream = b""
        while chunk := read.recv(65536):
            stream += chunk
        slow = Channel[str, str](cut, str)
        heard: list[str] = []
        for start in range(0, len(stream), step):
            kept.sendall(stream[start : start + step])
            heard += [text for text, _fds in slow.feed()]
        assert heard == texts
        receiver.close()


def test_descriptors_come_with_their_message() -> None:
    """Each message gets its own, as many as were sent with it."""
    one, other = socket.socketpair()
    sender, receiver = Channel[str, str](one, str), Channel[str, str](other, str)
    readers = [os.pipe() for _ in range(3)]
    sender.send("two", [readers[0][0], readers[1][0]])
    sender.send("none")
    sender.send("one", [readers[2][0]])
    heard: list[tuple[str, int]] = []
    while len(heard) < 3:
        for text, fds in receiver.feed():
            heard.append((text, len(fds)))
            for fd in fds:
                os.close(fd)
    assert heard == [("two", 2), ("none", 0), ("one", 1)]
    for pipe in readers:
        os.close(pipe[0])
        os.close(pipe[1])
    sender.close()
    receiver.close()


def test_an_absurd_length_is_no_message() -> None:
    """A process that went mad does not fill the master's memory."""
    one, other = socket.socketpair()
    with one:
        receiver = Channel[str, str](other, str)
        one.sendall(struct.pack("!IB", 2**31, 0))
        with pytest.raises(ValueError, match="2147483648 bytes"):
            list(receiver.feed())
        receiver.close()


def test_the_end_of_the_talk_is_heard_by_both() -> None:
    """Reading and writing say so alike."""
    one, other = socket.socketpair()
    channel = Channel[str, str](one, str)
    other.close()
    with pytest.raises(Closed):
        list(channel.feed())
    with pytest.raises(Closed):
        channel.send("anybody?")
    channel.close()
