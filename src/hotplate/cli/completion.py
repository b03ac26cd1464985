"""`hotplate completion`: what makes a shell complete commands, flags and their values."""

from __future__ import annotations

from collections.abc import Mapping

import click

from hotplate.cli.parts import Command, Example, Place
from hotplate.errors import ExitCode, HotplateError

_INSTALL: Mapping[str, str] = {
    "bash": "hotplate completion bash > ~/.local/share/bash-completion/completions/hotplate",
    "zsh": "hotplate completion zsh > ~/.zfunc/_hotplate   # with fpath+=~/.zfunc before compinit in ~/.zshrc",
    "fish": "hotplate completion fish > ~/.config/fish/completions/hotplate.fish",
}


def complete(shell: str) -> int:
    """Write the shell's script, with how to install it at its top.

    Raises:
        HotplateError: USAGE; no such shell.
    """
    from click.shell_completion import get_completion_class

    from hotplate.cli.root import root

    maker = get_completion_class(shell) if shell in _INSTALL else None
    if maker is None:
        raise HotplateError(
            f"complete for {shell!r}", "it is none of the shells", f"Give {_shells()}.", code=ExitCode.USAGE
        )
    script = maker(root, {}, "hotplate", "_HOTPLATE_COMPLETE")
    # `source` would start a shell to ask for its version; the text is the same.
    text = (script.source_template % script.source_vars()).strip()
    marker, body = text.partition("\n")[::2] if text.startswith("#compdef") else ("", text)
    note = f"# To install: {_INSTALL[shell]}\n# For this shell only: {_try(shell)}"
    click.echo("\n".join(filter(None, (marker, note, body))))
    return int(ExitCode.OK)


def _try(shell: str) -> str:
    return "hotplate completion fish | source" if shell == "fish" else f'eval "$(hotplate completion {shell})"'


def _shells() -> str:
    *most, last = _INSTALL
    return f"{', '.join(most)} or {last}"


completion = Command(
    "completion",
    complete,
    help=f"""\
Write a shell's completion script.

It makes {_shells()} complete commands, flags and values. The script begins with how to install it.
""",
    params=[Place(["shell"], f"{_shells()}.", group="Shell", metavar="|".join(_INSTALL))],
    examples=tuple(Example(line.partition("   #")[0], shell) for shell, line in _INSTALL.items()),
)
