"""Waits end as soon as they can, and say what they waited for when they cannot."""

import socket
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from tests.support.services import accepts_connections, free_port, wait_until


def answers(*given: object) -> Callable[[], object]:
    """Makes a predicate that returns these one by one; exceptions are raised."""
    left: Iterator[object] = iter(given)

    def predicate() -> object:
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return predicate


def test_returns_the_first_true_answer() -> None:
    """A wait hands over what its predicate found."""
    assert wait_until(answers(None, [], "found", "later")) == "found"


def test_takes_a_refused_connection_for_not_yet() -> None:
    """A server that is still starting refuses connections, and that is waited out."""
    assert wait_until(answers(ConnectionRefusedError(), True)) is True


def test_lets_other_exceptions_through() -> None:
    """A bug in a predicate is seen at once, not when the deadline passes."""
    with pytest.raises(ZeroDivisionError):
        wait_until(answers(ZeroDivisionError(), True))


def test_says_what_it_waited_for_and_what_it_saw() -> None:
    """A wait in vain fails with the condition in words and the last answer."""
    with pytest.raises(AssertionError, match=r"until the moon is full; last seen: 0$"):
        wait_until(lambda: 0, 0, what="the moon is full")


def test_keeps_the_last_exception_as_the_cause() -> None:
    """A wait in vain shows the error that was taken for "not yet"."""

    def refuse() -> bool:
        raise ConnectionRefusedError

    with pytest.raises(AssertionError, match="ConnectionRefusedError") as caught:
        wait_until(refuse, 0)
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


def test_free_ports_can_be_bound_and_rarely_repeat() -> None:
    """A free port is free, and asking many times at once gives many ports."""
    ports = [free_port() for _ in range(20)]
    with closing(socket.create_server(("127.0.0.1", ports[0]))):
        assert accepts_connections(ports[0])
    assert len(set(ports)) > 10


def test_a_port_without_a_listener_accepts_nothing() -> None:
    """Nobody answers at a port that was never bound."""
    assert not accepts_connections(free_port())
