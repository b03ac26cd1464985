"""The data plane in a process of its own, with and without the layers in front of the app."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.corpus.plane import Address, plane


@pytest.fixture(scope="module")
def bare() -> Iterator[Address]:
    """Granian's data plane with nothing between it and the app."""
    with plane("bare") as address:
        yield address


@pytest.fixture(scope="module")
def front() -> Iterator[Address]:
    """The data plane with hygiene, forwarded headers and health, at their defaults."""
    with plane("front") as address:
        yield address
