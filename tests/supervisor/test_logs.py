"""Promises of the log lines of generations and workers."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from hotplate.supervisor import logs


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Put the logger back."""
    ours = logging.getLogger("hotplate")
    before = (ours.handlers[:], ours.level, ours.propagate)
    yield
    ours.handlers[:], ours.level, ours.propagate = before


def test_text_is_a_line_with_the_time_and_then_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    """A person sees when, how bad, what, and where."""
    logs.configure("text")
    try:
        int("no")
    except ValueError:
        logging.getLogger("hotplate.app").exception("Exception on %s", "/")
    first, *rest = capsys.readouterr().err.splitlines()
    assert first.endswith("Z Error: Exception on /")
    assert rest[-1] == "ValueError: invalid literal for int() with base 10: 'no'"


def test_json_is_one_object_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A collector gets the same, traceback included."""
    logs.configure("json")
    logging.getLogger("hotplate.worker").warning("warm\nish")
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["event"], line["message"], line["detail"]) == (
        "warning",
        "hotplate.worker",
        "warm\nish",
        "",
    )


def test_configuring_twice_doubles_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """A line is written once."""
    logs.configure("text")
    logs.configure("text")
    logging.getLogger("hotplate.worker").warning("once")
    assert capsys.readouterr().err.count("once") == 1
