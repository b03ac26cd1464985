"""House rules no linter knows: size, reasons beside exceptions, no package host, commands that explain themselves."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = [room for name in ("src", "tests", "examples", "benchmarks") if (room := ROOT / name).is_dir()]
MODULES = sorted(file for room in ROOMS for file in room.rglob("*.py"))
SCRIPTS = sorted((ROOT / "scripts").iterdir())

MOST_LINES = 400
# What silences a tool, and after it the reason in words.
SILENCED = re.compile(r"#\s*(?:noqa|type: ignore|mypy: )[^#\n]*")
REASONED = re.compile(r"#\s*(?:noqa: [A-Z0-9]+(?:, ?[A-Z0-9]+)*|type: ignore\[[a-z, -]+\])[\s#(-]+\S+ \S+")
# Where packages come from is each machine's own business.
PACKAGE_HOST = re.compile(r"--(?:extra-)?index-url|--find-links|--trusted-host|pypi\.org/simple|pythonhosted\.org")


def places(pattern: re.Pattern[str], files: list[Path]) -> Iterator[tuple[str, str]]:
    """Yields "file:line" and the line, wherever the pattern is found."""
    for file in files:
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if pattern.search(line):
                yield f"{file.relative_to(ROOT)}:{number}", line


def test_no_module_is_too_long() -> None:
    """A module fits a reader's head."""
    lengths = {str(file.relative_to(ROOT)): len(file.read_text().splitlines()) for file in MODULES}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def test_every_exception_has_its_reason_beside_it() -> None:
    """Whoever silences a tool says why, on the same line."""
    others = [file for file in MODULES if file != Path(__file__)]
    assert [place for place, line in places(SILENCED, others) if not REASONED.search(line)] == []


def test_no_file_names_a_package_host() -> None:
    """The packages come from wherever the machine's pip takes them."""
    files = [ROOT / name for name in ("constraints.txt", "pyproject.toml", "Makefile", ".ci/run")] + SCRIPTS
    assert list(places(PACKAGE_HOST, files)) == []


def test_every_constraint_is_one_exact_version() -> None:
    """Two machines that install on the same day, or a year apart, get the same versions."""
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.+]+", line)] == []
    names = [line.partition("==")[0].lower() for line in lines]
    assert len(set(names)) == len(names) > 0


@pytest.mark.parametrize("script", [*SCRIPTS, ROOT / ".ci" / "run"], ids=lambda script: script.name)
def test_scripts_run_and_say_what_they_do(script: Path) -> None:
    """A script can be started, parses, and its second line says what it is for."""
    lines = script.read_text().splitlines()
    assert os.access(script, os.X_OK)
    checks = {
        "#!/bin/sh": ["/bin/sh", "-n"],
        "#!/bin/bash": ["/bin/bash", "-n"],
        "#!/usr/bin/env python3": [sys.executable, "-c", "import ast, sys; ast.parse(open(sys.argv[1]).read())"],
    }
    assert re.match(r'(# |""")[A-Z].{20,}', lines[1])
    subprocess.run([*checks[lines[0]], script], check=True)


def test_make_alone_lists_what_it_can_do() -> None:
    """Every target of the Makefile is listed, with its promise in words."""
    listed = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    assert [line.split()[1] for line in listed.splitlines()] == phony[1].split()
    assert all(len(line.split()) > 3 for line in listed.splitlines())


def test_a_missing_python_is_said_in_words(tmp_path: Path) -> None:
    """Without a Python that is new enough, one line says what is missing and the next what to type."""
    result = subprocess.run(
        ["/bin/sh", ROOT / "scripts" / "python"],
        check=False,
        env={"PATH": str(tmp_path), "PYTHON": "python2"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert "no Python 3.11 or newer" in result.stderr
    assert "make PYTHON=" in result.stderr
