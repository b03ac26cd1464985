"""The README's pointers lead where they say."""

import re

import pytest

from tests.examples.conftest import ROOT

POINTER = re.compile(r'\[([\w/]+\.\w+):(\d+)\]\((newsdesk/[\w/.]+)#L(\d+) "([^"]+)"\)')
POINTERS = POINTER.findall((ROOT / "README.md").read_text())


@pytest.mark.parametrize(("shown", "line", "path", "anchor", "code"), POINTERS, ids=lambda value: str(value)[:40])
def test_a_pointer_leads_to_the_code_it_names(shown: str, line: str, path: str, anchor: str, code: str) -> None:
    """The line that a pointer names holds the code in its title."""
    assert (path, anchor) == (f"newsdesk/{shown}", line)
    assert code in (ROOT / path).read_text().splitlines()[int(line) - 1].replace('"', "'")


def test_every_fault_has_a_pointer_and_a_cure() -> None:
    """Each row of the table of faults points to the fault and to how `app` does it."""
    table = (ROOT / "README.md").read_text().split("## The faults")[1].split("\n\n")[1].splitlines()[2:]
    assert len(table) >= 10
    for row in table:
        fault, where, cure = row.strip("| ").split(" | ")
        assert fault
        assert "#L" in where
        assert "#L" in cure
