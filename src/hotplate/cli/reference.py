"""Makes docs/cli.md: `python -m hotplate.cli.reference [--check] [FOLDER]`.

With `--check` nothing is written; it exits 1 and shows what differs.
"""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import click
import msgspec

from hotplate.cli.parts import Command, Example, Family
from hotplate.cli.root import EXAMPLES, root

_HEAD = """\
<!-- Made by `python -m hotplate.cli.reference`; change the commands in the code instead. -->
# Commands

Every failure that you can do something about is one line on stderr that begins with `Error: Cannot`, followed by the
app's own traceback where that is the reason; [exit-codes.md](exit-codes.md) lists what the exit status means. Colours
and progress are for terminals only: not in pipes and files, not with `NO_COLOR`, not with `TERM=dumb`.
"""


def page() -> str:
    """Return docs/cli.md."""
    context = click.Context(root, info_name="hotplate", **root.context_settings)
    return _HEAD + "".join(_chapters(context))


def _chapters(context: click.Context) -> Iterator[str]:
    yield f"\n{_examples(EXAMPLES)}"
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        if isinstance(command, Command):
            yield from _chapter(command, click.Context(command, info_name=name, parent=context))
        elif isinstance(command, Family):
            yield from _family(command, click.Context(command, info_name=name, parent=context))


def _family(family: Family, context: click.Context) -> Iterator[str]:
    yield f"\n## {context.command_path}\n\n{inspect.cleandoc(family.help or '')}\n\n{_examples(family.examples)}"
    for name, member in family.commands.items():
        if isinstance(member, Command):
            yield from _chapter(member, click.Context(member, info_name=name, parent=context), level=3)
            yield from _records(_answers(context.command_path).get(name, {}), f"{context.command_path} {name} --json")


def _chapter(command: Command, context: click.Context, level: int = 2) -> Iterator[str]:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    text = inspect.cleandoc(command.help or "")
    yield f"\n{'#' * level} {context.command_path}\n\n```console\n{usage}\n```\n\n{text}\n"
    for section in command.sections(context):
        yield f"\n**{section.title}**\n\n| what | does |\n|---|---|\n"
        for typed, purpose in section.entries:
            yield f"| `{_cell(typed)}` | {_cell(purpose)} |\n"
    yield f"\n{_examples(command.examples)}"
    if context.command_path == "hotplate run":
        yield "\nMore on every setting: [settings.md](settings.md).\n"
    if context.command_path == "hotplate status":
        yield from _status_fields()


def _examples(examples: tuple[Example, ...]) -> str:
    width = max(len(example.typed) for example in examples)
    lines = [f"{example.typed:<{width}}  # {example.purpose}" for example in examples]
    return "\n".join(["```sh", *lines, "```", ""])


def _status_fields() -> Iterator[str]:
    """Yield a table for each record of the status report."""
    from hotplate.supervisor.report import StatusReport, Totals, WorkerReport

    records: dict[str, type[msgspec.Struct]] = {
        "": StatusReport,
        "`totals`": Totals,
        "each of `workers`": WorkerReport,
    }
    yield from _records(records, "hotplate status --json")
    yield "\n`traffic` of each worker (durations in seconds):\n\n| field | meaning |\n|---|---|\n"
    yield from (f"| `{field}` | {_cell(text)} |\n" for field, text in _traffic())


def _answers(family: str) -> Mapping[str, Mapping[str, type[msgspec.Struct]]]:
    """Return what the commands of a family answer with; imported when wanted."""
    return {"hotplate cache": _of_cache, "hotplate tasks": _of_tasks}[family]()


def _of_cache() -> Mapping[str, Mapping[str, type[msgspec.Struct]]]:
    from hotplate.cache.measured import Suggestion
    from hotplate.cli.cache_explain import Explanation
    from hotplate.cli.cache_probe import Probe
    from hotplate.cli.cache_purge import Purged
    from hotplate.cli.cache_stats import Stats

    return {
        "stats": {"": Stats, "each of `suggestions`": Suggestion},
        "explain": {"": Explanation, "`answer`": Probe},
        "purge": {"": Purged},
    }


def _of_tasks() -> Mapping[str, Mapping[str, type[msgspec.Struct]]]:
    from hotplate.tasks.admin import report

    status: Mapping[str, type[msgspec.Struct]] = {
        "": report.TasksReport,
        "each of `problems`": report.Problem,
        "`broker`": report.BrokerReport,
        "each of `queues`": report.QueueReport,
        "each of `workers`": report.TaskWorker,
        "each of `running`": report.RunningTask,
        "`minute`": report.Rates,
        "`parked`": report.ParkedReport,
        "each of `newest`": report.ParkedTask,
    }
    return {"status": status, "retry": {"": report.Retried}, "purge": {"": report.Purged}}


def _records(records: Mapping[str, type[msgspec.Struct]], command: str) -> Iterator[str]:
    """Yield a table for each record, from the descriptions of its fields."""
    if records:
        yield f"\n### What `{command}` says\n"
    for title, record in records.items():
        yield f"\n{title[:1].upper() + title[1:]}:\n\n" if title else "\n"
        yield "| field | meaning |\n|---|---|\n"
        for field, hint in get_type_hints(record, include_extras=True).items():
            yield f"| `{field}` | {_cell(_description(hint))} |\n"


def _traffic() -> Iterator[tuple[str, str]]:
    """Yield the fields of `Traffic` with what its docstring says of each."""
    from hotplate.gateway.traffic import Traffic

    described = inspect.getdoc(Traffic) or ""
    name = text = ""
    for line in described.partition("Args:\n")[2].splitlines():
        head, colon, rest = line.strip().partition(": ")
        if colon and head in Traffic.__struct_fields__:
            if name:
                yield name, text
            name, text = head, rest
        else:
            text = f"{text} {line.strip()}"
    yield name, text


def _description(hint: Any) -> str:  # noqa: ANN401  a type hint may be anything
    metas = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return next((meta.description or "" for meta in metas if isinstance(meta, msgspec.Meta)), "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Write the page, or with `--check` compare it; return the exit status."""
    path = Path(next((word for word in arguments if not word.startswith("-")), "docs")) / "cli.md"
    wanted = page()
    found = path.read_text("utf-8") if path.exists() else ""
    if "--check" not in arguments:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted, "utf-8")
    elif found != wanted:
        lines = difflib.unified_diff(found.splitlines(), wanted.splitlines(), str(path), "the commands", lineterm="")
        sys.stdout.write("\n".join(lines) + "\nRun `python -m hotplate.cli.reference`.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
