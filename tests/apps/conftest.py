"""A folder with a made-up app, loaded into an interpreter that is put back afterwards."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hotplate.apps.load import LoadedApp, load
from hotplate.apps.target import parse

_ROOTS = {"app", "shop", "deps", "web"}


@pytest.fixture(autouse=True)
def _fresh_interpreter(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave sys.path and sys.modules as they were."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in _ROOTS:
            del sys.modules[name]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    """Write an app's files into a new folder."""

    def written(files: dict[str, str]) -> Path:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, "utf-8")
        importlib.invalidate_caches()
        return tmp_path

    return written


@pytest.fixture
def opened(write: Callable[[dict[str, str]], Path]) -> Callable[[str, dict[str, str]], LoadedApp]:
    """Load a target from a folder of these files."""
    return lambda target, files: load(parse(target), write(files))
