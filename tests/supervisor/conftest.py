"""A generation, or a whole instance, in a folder of its own, ended whatever happens."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.supervisor.fake_master import FAKE, FakeMaster
from tests.supervisor.instance import Instance

StartsMaster = Callable[..., FakeMaster]


@pytest.fixture
def start_master(tmp_path: Path) -> Iterator[StartsMaster]:
    """Return what writes app.py and starts a generation beside it."""
    masters: list[FakeMaster] = []

    def start(app: str, program: tuple[str, ...] = FAKE, **environment: str) -> FakeMaster:
        (tmp_path / "app.py").write_text(textwrap.dedent(app))
        masters.append(FakeMaster(tmp_path, program, **environment))
        return masters[-1]

    yield start
    for master in masters:
        master.end()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    """An instance that is not started yet."""
    instance = Instance(tmp_path)
    yield instance
    instance.end()
