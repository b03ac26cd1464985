"""The command in a temporary folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.command import Terminal

OnTerminal = Callable[..., Terminal]


@pytest.fixture
def on_terminal(tmp_path: Path) -> Iterator[OnTerminal]:
    """The command on a terminal of its own, in the same folder."""
    terminals: list[Terminal] = []

    def start(*words: str, **env: str) -> Terminal:
        terminals.append(Terminal(tmp_path, *words, env=env))
        return terminals[-1]

    yield start
    for terminal in terminals:
        terminal.close()
