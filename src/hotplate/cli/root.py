"""`hotplate` itself: the table of commands, each loaded when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import click

from hotplate import __version__
from hotplate.cli import failures
from hotplate.cli.parts import CONTEXT, Example, write_examples

COMMANDS: Mapping[str, str] = {
    "run": "hotplate.cli.run",
    "status": "hotplate.cli.status",
    "reload": "hotplate.cli.orders",
    "scale": "hotplate.cli.orders",
    "stop": "hotplate.cli.orders",
    "cache": "hotplate.cli.cache",
    "tasks": "hotplate.cli.tasks",
    "completion": "hotplate.cli.completion",
}
EXAMPLES = (
    Example("hotplate run", "serve the app in this folder"),
    Example("hotplate run shop:app --bind 0.0.0.0:8000", "a named app, to other machines"),
    Example('hotplate run "shop:create_app(debug=False)"', "an app that its factory makes"),
    Example("hotplate status", "how it goes (from another terminal)"),
    Example("hotplate reload", "take in new code"),
    Example("hotplate cache explain /articles/7", "why a page is, or is not, in the cache"),
    Example("hotplate tasks status", "queues, what runs, what is parked"),
)


class Root(click.Group):
    """The group of all commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click gives it
        """Return the names, in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click gives it
        """Load a command."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(COMMANDS[cmd_name]), cmd_name)
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that `args` begin with.

        Raises:
            HotplateError: USAGE; there is none of that name.
        """
        if args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise failures.no_such_command(args[0], list(COMMANDS))
        return super().resolve_command(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  click gives it
        """Write the examples."""
        write_examples(EXAMPLES, formatter)


def _help(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), color=ctx.color)


root = Root(
    "hotplate",
    callback=click.pass_context(_help),
    invoke_without_command=True,
    help="Serve a Flask app, or any WSGI or ASGI app, warm, fast and always on, without a change to its code.",
    context_settings=dict(CONTEXT),
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            help="Show the version and exit.",
            callback=lambda ctx, _flag, wanted: _version(ctx) if wanted and not ctx.resilient_parsing else None,
        )
    ],
)


def _version(ctx: click.Context) -> None:
    click.echo(f"hotplate {__version__}")
    ctx.exit()
