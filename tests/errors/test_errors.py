"""The one line, and the exit codes."""

import pickle
import subprocess
import sys

import pytest

from hotplate.errors import ExitCode, HotplateError


def test_one_line() -> None:
    """An error reads as what was attempted, why it cannot be, and what to do, on one line."""
    problem = HotplateError("listen on :80", "it is\n  privileged.", "Use :8080.", code=ExitCode.PORT_UNAVAILABLE)
    assert str(problem) == "Cannot listen on :80: it is privileged. Use :8080."
    assert problem.code == 6
    assert problem.detail == ""


def test_without_remedy() -> None:
    """A line without a remedy ends after the cause."""
    assert str(HotplateError("go", "it rains", "", code=ExitCode.FAILED)) == "Cannot go: it rains."


def test_detail_is_kept_as_it_is() -> None:
    """The detail keeps its lines and stays out of the one line."""
    problem = HotplateError("go", "it rains", "Wait.", code=ExitCode.FAILED, detail="a\n  b")
    assert problem.detail == "a\n  b"
    assert "a" not in str(problem).split()


def test_it_travels() -> None:
    """A pool of processes can hand it on, whole."""
    problem = HotplateError("go", "it rains", "Wait.", code=ExitCode.USAGE, detail="a\n  b")
    copy = pickle.loads(pickle.dumps(problem))  # noqa: S301  our own, a moment ago
    assert (type(copy), str(copy), copy.code, copy.detail) == (HotplateError, str(problem), ExitCode.USAGE, "a\n  b")


PROMISED = {
    "OK": 0, "FAILED": 1, "USAGE": 2, "APP_NOT_FOUND": 3, "ATTRIBUTE_MISSING": 4, "APP_IMPORT_FAILED": 5,
    "PORT_UNAVAILABLE": 6, "TLS_INVALID": 7, "WARMUP_FAILED": 8, "WORKER_BOOT_FAILED": 9, "NO_MEMORY": 10,
    "NOT_RUNNING": 11, "ALREADY_RUNNING": 12, "RELOAD_FAILED": 13, "UNHEALTHY": 14, "MISSING_EXTRA": 15,
    "INTERRUPTED": 130,
}  # fmt: skip


def test_exit_codes_never_change() -> None:
    """Scripts rely on the numbers: a code may be added, but none may change its number or go."""
    assert {code.name: code.value for code in ExitCode} == PROMISED


@pytest.mark.parametrize("code", list(ExitCode), ids=lambda code: code.name)
def test_every_code_is_explained(code: ExitCode) -> None:
    """Every exit code has its own meaning, in a sentence."""
    assert code.meaning.endswith(".")
    assert [other for other in ExitCode if other.meaning == code.meaning] == [code]


LAZY = """
import sys
import hotplate
heavy = {"granian", "click", "rich", "msgspec", "asyncio", "inspect", "typing", "psutil"} & set(sys.modules)
assert not heavy, heavy
assert hotplate.HotplateError.__module__ == "hotplate.errors"
assert hotplate.warmup.__module__ == "hotplate.apps.warmups"
assert not {"granian", "click", "rich", "psutil"} & set(sys.modules)
assert {"warmup", "asgi", "HotplateError"} <= set(dir(hotplate))
try:
    hotplate.nothing
except AttributeError as problem:
    assert "no attribute 'nothing'" in str(problem)
else:
    raise AssertionError
"""


def test_importing_hotplate_imports_nothing_heavy() -> None:
    """`import hotplate` in a user's module costs next to nothing: its names are looked up when they are used."""
    subprocess.run([sys.executable, "-S", "-E", "-c", f"import sys; sys.path[:] = {sys.path!r}\n{LAZY}"], check=True)
