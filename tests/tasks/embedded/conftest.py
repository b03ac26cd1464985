"""One file of the embedded broker per test."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hotplate.tasks.embedded import file, register, url
from hotplate.tasks.embedded.file import Store
from tests.tasks.embedded.kombus import Connection

register()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file will lie; nobody has made it yet."""
    return tmp_path / "state" / "tasks.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """This process's store of the file."""
    store = file.open(path)
    yield store
    store.close()


@pytest.fixture
def connection(path: Path) -> Iterator[Any]:
    """A kombu connection to it, without an event loop."""
    with Connection(url(path)) as connection:
        yield connection
