"""The pages as the tests read them: fenced blocks with the mark before each, inline code, headings, links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.support.gateway_process import ROOT

GENERATED = {"cli.md", "settings.md", "exit-codes.md"}
ALL = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
WRITTEN = [page for page in ALL if page.name not in GENERATED]

_BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]*?) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_ENDS = {"&&", "||", ";", "|", "&", "do", "done", "then", "until"}
_ASSIGNMENT = re.compile(r"[A-Z_]+=.*")


class Block(NamedTuple):
    """A fenced block.

    Args:
        mark: what the comment right before it says, such as "run: 3"; "" for none.
        language: after the fence.
        text: what is in it.
    """

    mark: str
    language: str
    text: str


class Typed(NamedTuple):
    """A `hotplate` command as somebody would type it: the variables before it, and the words after it."""

    environ: dict[str, str]
    words: list[str]


def blocks(page: Path) -> list[Block]:
    """Return a page's fenced blocks."""
    return [Block(each["mark"] or "", each["language"], each["text"]) for each in _BLOCK.finditer(page.read_text())]


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return _BLOCK.sub("", page.read_text())


def inline(text: str) -> list[str]:
    """Return what stands in backquotes."""
    return [each.replace("\\|", "|") for each in _INLINE.findall(text)]


def links(page: Path) -> list[str]:
    """Return where a page's links lead."""
    return _LINK.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """Return the fragments a page's headings can be reached by, as GitHub makes them."""
    slugs = (re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(prose(page)))
    return set(slugs)


def commands(page: Path) -> Iterator[Typed]:
    """Yield every `hotplate` command of a page's shell blocks and inline code."""
    for block in blocks(page):
        if block.language == "sh":
            yield from typed_in(block.text.splitlines())
        elif block.language == "console":
            yield from typed_in(line[2:] for line in block.text.splitlines() if line.startswith("$ "))
        elif block.language == "ini":
            yield from typed_in(re.findall(r"^Exec\w+=(.*)$", block.text, re.MULTILINE))
    yield from typed_in(each for each in inline(prose(page)) if each.startswith("hotplate ") and "..." not in each)


def typed_in(lines: Iterator[str] | Sequence[str]) -> Iterator[Typed]:
    """Yield the `hotplate` commands in lines of shell."""
    for line in lines:
        segment: list[str] = []
        for word in [*shlex.split(line.replace(";", " ; "), comments=True), ";"]:
            if word not in _ENDS:
                segment.append(word)
                continue
            named = [place for place, each in enumerate(segment) if each.rpartition("/")[2] == "hotplate"]
            if named and segment[0] != "pip":
                given = [each for each in segment[: named[-1]] if _ASSIGNMENT.fullmatch(each)]
                yield Typed(dict(each.split("=", 1) for each in given), segment[named[-1] + 1 :])
            segment = []


def rows(page: Path) -> list[list[str]]:
    """Return the rows of all tables of a page, heads and rules left out."""
    text = prose(page)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    heads = {place - 1 for place, line in enumerate(lines) if re.fullmatch(r"\|[-:|]+\|", line)}
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for place, line in enumerate(lines)
        if place not in heads and place - 1 not in heads
    ]
