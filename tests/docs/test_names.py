"""What the pages name exists, and what exists is named: commands, flags, variables, exit codes, signals, refusals."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from hotplate.cli import status
from hotplate.cli.parts import Family
from hotplate.cli.root import COMMANDS, root
from hotplate.errors import ExitCode, HotplateError
from hotplate.gateway import body_hygiene, request_rules
from hotplate.gateway.refusal import Refusal
from hotplate.settings import SETTINGS, resolve
from hotplate.settings.handed import HANDED_ON
from hotplate.supervisor.signals import SIGNALS
from tests.docs.pages import ALL, WRITTEN, Typed, blocks, commands, inline, prose, rows
from tests.support.gateway_process import ROOT

DOCS = ROOT / "docs"
# Everybody's, and those between Hotplate's own processes and of its tests.
_VARIABLE = re.compile(r"\bHOTPLATE_[A-Z][A-Z_]*\b")
_MISSPELT = {"HOTPLATE_WROKERS"}


def check(typed: Typed, cwd: Path) -> None:
    """Have the real command line read a command, and the real settings its values."""
    context = click.Context(root, info_name="hotplate")
    if typed.words[:1] in (["--help"], ["--version"]):
        return
    command = root.get_command(context, typed.words[0])
    assert command is not None, typed.words
    if isinstance(command, Family) and typed.words[1:]:
        member = command.commands.get(typed.words[1])
        assert member is not None, typed.words
        typed, command = Typed(typed.environ, typed.words[1:]), member
    try:
        with command.make_context(typed.words[0], list(typed.words[1:]), parent=context) as parsed:
            if typed.words[0] == "run":
                resolve(parsed.params, typed.environ, cwd)
    except click.exceptions.Exit:
        pass
    except click.MissingParameter:
        assert len(typed.words) == 1, typed.words  # it is only mentioned
    except HotplateError as error:
        # An example's certificate need not be on this machine.
        assert error.code is ExitCode.TLS_INVALID, error  # noqa: PT017  the other codes are the failure


def is_meant_to_fail(typed: Typed) -> bool:
    """Whether a command is shown for the error it gives; `test_examples` runs those."""
    return "10X" in typed.words or not _MISSPELT.isdisjoint(typed.environ)


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_commands_are_understood(page: Path, tmp_path: Path) -> None:
    """Every command of a page is read by the real command line, with its flags and their values."""
    for typed in commands(page):
        if not is_meant_to_fail(typed):
            check(typed, tmp_path)


def flags_of(page: Path) -> list[str]:
    """Return what a page gives as our flags; in the tables of migrate.md they are in the last column."""
    text = prose(page)
    if page.name == "migrate.md":
        text = "\n".join(row[-1] for row in rows(page))
    return [each for each in inline(text) if each.startswith("--")]


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_flags_exist(page: Path, tmp_path: Path) -> None:
    """Every flag in backquotes is one of ours, and takes the value it is shown with."""
    context = click.Context(root, info_name="hotplate")
    named = [each for name in COMMANDS if (each := root.get_command(context, name))]
    loaded = [each for one in named for each in (one.commands.values() if isinstance(one, Family) else [one])]
    known = {flag for each in loaded for option in each.params for flag in (*option.opts, *option.secondary_opts)}
    for shown in flags_of(page):
        flag, *values = shlex.split(shown)
        assert flag in {*known, "--help"}, shown
        if values and SETTINGS.get(flag[2:].replace("-", "_")):
            check(Typed({}, ["run", flag, *values]), tmp_path)


def test_every_setting_is_explained() -> None:
    """Each setting's flag, or variable if it has none, stands on a page that somebody wrote."""
    written = " ".join(page.read_text() for page in WRITTEN)
    named = [each.flag if each.row.offered else each.variable for each in SETTINGS.values() if each.name != "target"]
    assert [each for each in named if each not in written] == []


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.name)
def test_variables_exist(page: Path) -> None:
    """Every HOTPLATE_ variable is a setting's, or one that workers hand on to what they start."""
    named = set(_VARIABLE.findall(page.read_text())) - _MISSPELT
    assert named <= {*(each.variable for each in SETTINGS.values()), *HANDED_ON}


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.name)
def test_exit_codes_exist(page: Path) -> None:
    """Every exit code that is mentioned is one of the table."""
    named = {int(number) for number in re.findall(r"[Ee]xit code (\d+)", page.read_text())}
    assert named <= {code.value for code in ExitCode}


def test_every_exit_code_has_a_remedy() -> None:
    """docs/trouble.md has a row for each exit code, in order."""
    named = [(row[0], row[1]) for row in rows(DOCS / "trouble.md") if len(row) == 4]
    assert named == [(str(code.value), f"`{code.name}`") for code in ExitCode]


def test_every_signal_is_explained() -> None:
    """docs/reload.md says of each signal what the master does."""
    told = {
        name.split()[0]: row[1]
        for row in rows(DOCS / "reload.md")
        if row[0].startswith("SIG")
        for name in row[0].split(", ")
    }
    assert told == {number.name: action.value for number, action in SIGNALS.items()}


def refusals() -> list[Refusal]:
    """Return every refusal of a malformed request."""
    found: list[object] = [*vars(request_rules).values(), *vars(body_hygiene).values()]
    tables = [request_rules.SINGLE.values(), request_rules.REFUSED_METHODS.values()]
    return [each for each in [*found, *(one for table in tables for one in table)] if isinstance(each, Refusal)]


def test_every_refusal_is_explained() -> None:
    """docs/security.md has a row with the status and the rule of each refusal."""
    told = {(row[1], row[2]) for row in rows(DOCS / "security.md") if len(row) == 3}
    wanted = {(str(each.status), rule[0]) for each in refusals() if (rule := re.findall(r"\((RFC [^)]*)\)", each.text))}
    assert wanted - told == set()


def test_every_column_of_status_is_explained() -> None:
    """docs/size.md explains the columns of `hotplate status`, none left out."""
    named = [name for row in rows(DOCS / "size.md") for name in row[0].split(", ") if len(row) == 2]
    assert [name for name in named if name in status._HEAD] == list(status._HEAD)


def test_readme_mentions_real_commands() -> None:
    """README's commands are those of `hotplate --help`, and its `make` targets are there."""
    page = ROOT / "README.md"
    assert {typed.words[0] for typed in commands(page)} <= set(COMMANDS)
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = page.read_text()
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE)) <= targets
    assert {"make run", "make test"} <= set(re.findall(r"^make [a-z]+", text, re.MULTILINE))


@pytest.mark.parametrize(
    "page", sorted(set(WRITTEN) - {ROOT / "README.md", ROOT / "CHANGELOG.md"}), ids=lambda page: page.name
)
def test_pages_begin_with_the_command(page: Path) -> None:
    """A page that answers a question begins with the command that answers it."""
    if page.name in {"README.md", "design.md"}:
        return
    lines = page.read_text().splitlines()
    assert lines[0].startswith("# ")
    assert lines[0].endswith("?")
    assert lines[2] == "```sh"
    assert blocks(page)
