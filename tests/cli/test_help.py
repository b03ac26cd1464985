"""Help, completion, the reference page, and what the command line costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from hotplate import __version__
from hotplate.cli import main, reference
from hotplate.cli.parts import Command, Family
from hotplate.cli.root import COMMANDS, root
from hotplate.cli.run import run
from hotplate.errors import ExitCode
from hotplate.settings import SETTINGS
from hotplate.settings.options import options
from tests.cli.command import ROOT, Hotplate, environment


def helped(*words: str) -> str:
    """Return the help of a command."""
    result = CliRunner().invoke(root, [*words, "--help"], prog_name="hotplate", terminal_width=100)
    assert result.exit_code == 0
    return result.output


WORDS = [(), *((name,) for name in COMMANDS), ("cache", "stats"), ("cache", "explain"), ("cache", "purge")]


@pytest.mark.parametrize("words", WORDS, ids=lambda words: " ".join(words) or "hotplate")
def test_help_ends_with_commands_that_people_type(words: tuple[str, ...]) -> None:
    """Every help ends with examples, each of which begins with a command."""
    examples = helped(*words).partition("\nExamples:\n")[2]
    assert "  hotplate " in examples
    assert "\n\n" not in examples


def test_the_list_of_commands_cuts_no_sentence() -> None:
    """Each command's first sentence fits."""
    assert "..." not in helped().partition("Commands:")[2].partition("Examples:")[0]


def test_every_setting_is_a_flag_under_its_heading() -> None:
    """Nothing of the table is left out, and headings come in its order."""
    text = helped("run")
    headings = list(dict.fromkeys(setting.row.group for setting in SETTINGS.values()))
    assert [line[:-1] for line in text.splitlines() if line.endswith(":") and line[:-1] in headings] == headings
    for option in options():
        assert all(flag.replace("/", " / ") in text for flag in option.flags), option


def test_flags_reach_the_settings_as_typed() -> None:
    """What is not given is None or (), so that other sources count."""
    context = run.make_context("run", ["shop:app", "--bind", ":1", "--bind", ":2", "--no-access-log", "--workers", "2"])
    given = {name: value for name, value in context.params.items() if value not in (None, (), False)}
    assert given == {"target": "shop:app", "bind": (":1", ":2"), "workers": "2"}
    assert context.params["access_log"] is False
    assert run.make_context("run", []).params["access_log"] is None


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """The version, and nothing else."""
    assert main(["--version"]) == ExitCode.OK
    assert capsys.readouterr().out == f"hotplate {__version__}\n"


def test_no_command_is_a_wish_for_help(capsys: pytest.CaptureFixture[str]) -> None:
    """`hotplate` alone shows its help."""
    assert main([]) == ExitCode.OK
    assert capsys.readouterr().out.startswith("Usage: hotplate")


def test_bugs_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only our own error type becomes a line."""
    monkeypatch.setitem(COMMANDS, "status", "no.such.module")
    with pytest.raises(ModuleNotFoundError):
        main(["status"])


def test_help_imports_nothing_heavy() -> None:
    """Neither the event loop nor the supervisor nor rich is loaded to show help; that keeps it under 150 ms."""
    code = (
        "import sys; from hotplate.cli import main; main(['--help']);"
        "print([name for name in ('asyncio', 'psutil', 'rich', 'uvloop', 'granian', 'ssl', 'hotplate.supervisor',"
        " 'hotplate.gateway', 'hotplate.apps') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), check=True, capture_output=True, text=True)
    assert done.stderr == "[]\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_say_how_to_install_them(shell: str, hotplate: Hotplate) -> None:
    """The note is a comment, so that the script can be sourced as it is."""
    done = hotplate.run("completion", shell)
    assert (done.status, done.err) == (ExitCode.OK, "")
    assert f"# To install: hotplate completion {shell} > " in done.out
    assert f"_HOTPLATE_COMPLETE={shell}_complete" in done.out
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=done.out, text=True, check=True)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("hotplate re", ["plain,reload"]),
        ("hotplate run --pre", ["plain,--preload"]),
        ("hotplate run --preload o", ["plain,on", "plain,off"]),
        ("hotplate run --cert ", ["file,"]),
        ("hotplate run ", ["file,"]),
        ("hotplate status --folder ", ["dir,"]),
        ("hotplate completion z", ["plain,zsh"]),
        ("hotplate cache p", ["plain,purge"]),
        ("hotplate cache explain / --he", ["plain,--header", "plain,--help"]),
        ("hotplate run --cache s", ["plain,suggest"]),
    ],
)
def test_completion_offers_what_fits(typed: str, offered: list[str], hotplate: Hotplate) -> None:
    """Commands, flags, choices and files complete themselves."""
    words = {"_HOTPLATE_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    assert hotplate.run(env=words).out.splitlines() == offered


def test_the_reference_page_is_in_step() -> None:
    """docs/cli.md has what the commands say; if not, run `python -m hotplate.cli.reference`."""
    assert (ROOT / "docs" / "cli.md").read_text("utf-8") == reference.page()


def test_the_check_says_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A page out of step fails the check, which writes nothing; writing it again mends it."""
    assert reference.main(["--check", str(tmp_path)]) == 1
    assert list(tmp_path.iterdir()) == []
    assert reference.main([str(tmp_path)]) == 0
    assert reference.main(["--check", str(tmp_path)]) == 0
    page = tmp_path / "cli.md"
    page.write_text(page.read_text("utf-8").replace("# Commands", "# Commandments"), "utf-8")
    capsys.readouterr()
    assert reference.main(["--check", str(tmp_path)]) == 1
    assert "-# Commandments\n+# Commands" in capsys.readouterr().out


def test_everything_is_on_the_reference_page() -> None:
    """Every command, every flag, and every field of the status."""
    page = reference.page()
    context = click.Context(root)
    for name in COMMANDS:
        command = root.get_command(context, name)
        assert isinstance(command, Command | Family)
        assert f"## hotplate {name}\n" in page
        members = command.commands.values() if isinstance(command, Family) else [command]
        for each in members:
            assert f"# hotplate {name}{'' if each is command else f' {each.name}'}\n" in page
            assert all(flag in page for param in each.params if isinstance(param, click.Option) for flag in param.opts)
    assert "| `p99` |" in page
    assert "| `healthy` | whether every worker" in page
