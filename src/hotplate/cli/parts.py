"""Commands, flags and arguments as click has them, with headings, examples and completion of values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem

_GENERAL = "General"
CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Example(NamedTuple):
    """A command line that people type, and what it is for."""

    typed: str
    purpose: str


class Flag(click.Option):
    """An option under a heading; a metavar of choices or FILE completes itself.

    Args:
        names: as click takes them.
        group: the heading.
        attributes: as click takes them.
    """

    def __init__(self, names: Sequence[str], group: str = _GENERAL, **attributes: Any) -> None:  # noqa: ANN401  click's own
        super().__init__(names, **attributes)
        self.group = group

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer what the metavar tells."""
        return _offered((self.metavar or "").strip("[]"), incomplete) or super().shell_complete(ctx, incomplete)


class Place(click.Argument):
    """An argument with a description, which older clicks do not have.

    Args:
        names: as click takes them.
        description: one sentence.
        group: the heading.
        attributes: as click takes them.
    """

    def __init__(self, names: Sequence[str], description: str, group: str = _GENERAL, **attributes: Any) -> None:  # noqa: ANN401  click's own
        super().__init__(names, **attributes)
        self.description = description
        self.group = group

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer files, for a target may be one."""
        return _offered((self.metavar or "").strip("[]"), incomplete) or super().shell_complete(ctx, incomplete)


def _offered(metavar: str, incomplete: str) -> list[CompletionItem]:
    if "|" in metavar:
        return [CompletionItem(word) for word in metavar.split("|") if word.startswith(incomplete)]
    kinds = {"FILE": "file", "TARGET": "file", "DIR": "dir"}
    return [CompletionItem(incomplete, type=kinds[metavar])] if metavar in kinds else []


class Entry(NamedTuple):
    """One line of help: what is typed, and what it does."""

    typed: str
    purpose: str


class Section(NamedTuple):
    """A heading and what stands under it."""

    title: str
    entries: list[Entry]


class Command(click.Command):
    """A command whose help has headings and ends with examples.

    Args:
        name: what is typed after `hotplate`.
        callback: what it does; returns the exit status.
        help: what it is for; the first sentence stands in the list of commands.
        params: its flags and arguments.
        examples: the last part of its help.
        settings: click's context settings.
    """

    def __init__(
        self,
        name: str,
        callback: Callable[..., int],
        *,
        help: str,  # noqa: A002  click's own name for it
        params: Sequence[click.Parameter] = (),
        examples: Sequence[Example] = (),
        settings: dict[str, Any] | None = None,
    ) -> None:
        context = {**CONTEXT, **(settings or {})}
        super().__init__(name, callback=callback, help=help, params=list(params), context_settings=context)
        self.examples = tuple(examples)

    def sections(self, ctx: click.Context) -> Iterator[Section]:
        """Yield the headings and what stands under each, in the order of the flags."""
        for title, group in groupby(self.get_params(ctx), key=lambda each: getattr(each, "group", _GENERAL)):
            yield Section(title, [entry for each in group if (entry := described(each, ctx))])

    def format_arguments(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Leave arguments to their headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each heading with what stands under it."""
        for section in self.sections(ctx):
            with formatter.section(section.title):
                formatter.write_dl(section.entries)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  click gives it
        """Write the examples."""
        write_examples(self.examples, formatter)


class Family(click.Group):
    """Commands under one name, such as `hotplate cache stats`; its help ends with examples.

    Args:
        name: what is typed after `hotplate`.
        members: the commands.
        help: what they are for; the first sentence stands in the list of commands.
        examples: the last part of its help.
    """

    def __init__(self, name: str, members: Sequence[Command], *, help: str, examples: Sequence[Example]) -> None:  # noqa: A002  click's own name for it
        super().__init__(
            name,
            callback=click.pass_context(_show_help),
            invoke_without_command=True,
            help=help,
            context_settings=dict(CONTEXT),
        )
        self.examples = tuple(examples)
        for each in members:
            self.add_command(each)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click gives it
        """Return the names, in the order they were given in."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that `args` begin with.

        Raises:
            HotplateError: USAGE; there is none of that name.
        """
        if args[0] not in self.commands and not args[0].startswith("-") and not ctx.resilient_parsing:
            from hotplate.cli import failures

            raise failures.no_such_command(args[0], list(self.commands), ctx.command_path)
        return super().resolve_command(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  click gives it
        """Write the examples."""
        write_examples(self.examples, formatter)


def _show_help(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), color=ctx.color)


def described(each: click.Parameter, ctx: click.Context) -> Entry | None:
    """Return a parameter's line of help."""
    if isinstance(each, Place):
        return Entry(each.metavar or each.human_readable_name, each.description)
    record = each.get_help_record(ctx)
    return Entry(*record) if record else None


def write_examples(examples: Sequence[Example], formatter: click.HelpFormatter) -> None:
    """Write command lines and what each is for."""
    if examples:
        with formatter.section("Examples"):
            formatter.write_dl(examples, col_max=46)
