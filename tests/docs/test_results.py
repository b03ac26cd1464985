"""The figures in README.md are those of benchmarks/results, and there are none where there are none."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.docs import made_up
from tests.support.gateway_process import ROOT

SCRIPT = ROOT / "scripts/readme_results"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a README of its own."""
    (tmp_path / "README.md").write_text(f"before\n\n{BEGIN}\nold\n{END}\n\nafter\n")
    return tmp_path


def fill(project: Path) -> subprocess.CompletedProcess[str]:
    """Run the script on a project."""
    return subprocess.run([sys.executable, SCRIPT, project], capture_output=True, text=True, check=False)


def readme(project: Path) -> str:
    """Return its README."""
    return (project / "README.md").read_text()


def test_asked_rows_become_one_table(project: Path) -> None:
    """Every line with a bar is in the table, those that fall short too, in the order of the benchmarks."""
    made_up.write(project)
    assert fill(project).returncode == 0
    rows = [line for line in readme(project).splitlines() if line.startswith("|")][2:]
    assert rows == [
        "| Flask hello world, 64 connections: hotplate / granian | 1.22 (1.2-1.3) | >= 1.2 | holds |",
        "| Flask hello world, 64 connections: p99 against its | 9 (8-10) / 7 (6-8) ms | no worse | **falls short** |",
        "| Share of the busiest of two workers: 4 connections | 0.5 (0.5-0.75) | <= 0.75 | holds |",
    ]


def test_figures_come_with_machine_and_versions(project: Path) -> None:
    """Below the table stand rounds, date, machine, versions and how the load was made."""
    made_up.write(project)
    fill(project)
    told = readme(project)
    assert all(each in told for each in ("5 interleaved", "2026-11-21", "Made-up CPU", "granian 2.8.7", "Load: wrk"))


def test_only_what_is_between_the_markers_changes(project: Path) -> None:
    """The rest of the page stays as it is, and a second run changes nothing."""
    made_up.write(project)
    fill(project)
    once = readme(project)
    fill(project)
    assert readme(project) == once
    assert once.startswith(f"before\n\n{BEGIN}\n")
    assert once.endswith(f"\n{END}\n\nafter\n")


def test_picture_stands_alone(project: Path) -> None:
    """It is well-formed, fetches and runs nothing, and has a bar per server, ours marked, longest first."""
    made_up.write(project)
    fill(project)
    text = (project / "docs/images/results.svg").read_text()
    root = ET.fromstring(text)  # noqa: S314  our own picture
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags == {"svg", "title", "desc", "style", "text", "rect"}
    assert not re.search(r"href|url\(|@import|<!", text)
    lengths = [float(bar.attrib["width"]) for bar in root.iter(f"{SVG}rect")]
    assert lengths == sorted(lengths, reverse=True)
    assert len(lengths) == 4
    assert [element.text for element in root.iter(f"{SVG}text") if element.get("class") == "ours"] == [
        "hotplate",
        "12,000, 9 ms",
    ]
    assert "docs/images/results.svg" in readme(project)


@pytest.mark.parametrize("page", ["#ffffff", "#0d1117"])
def test_text_is_legible_on_every_page(project: Path, page: str) -> None:
    """Its contrast is at least 4.2 on GitHub's light and dark page, whatever theme the system has."""
    made_up.write(project)
    fill(project)
    found = re.search(r"fill: (#\w{6})", (project / "docs/images/results.svg").read_text())
    assert found is not None
    lighter, darker = sorted((luminance(found[1]), luminance(page)), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.2


def luminance(colour: str) -> float:
    """Return a colour's relative luminance (WCAG 2.2)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_no_results_no_figures(project: Path) -> None:
    """Without results the page says how to get them, and a picture of before is gone."""
    made_up.write(project)
    fill(project)
    shutil.rmtree(project / "benchmarks")
    assert fill(project).returncode == 0
    assert readme(project) == f"before\n\n{BEGIN}\nNot measured on this commit yet: run `make bench`.\n{END}\n\nafter\n"
    assert not (project / "docs/images/results.svg").exists()


@pytest.mark.parametrize("text", ["", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{BEGIN}\n{END}\n"])
def test_page_without_a_place_is_left_alone(project: Path, text: str) -> None:
    """A README without the two markers, once each and in order, is not touched, and the script says so."""
    (project / "README.md").write_text(text)
    ended = fill(project)
    assert ended.returncode == 1
    assert ended.stderr.startswith("Cannot put results into ")
    assert readme(project) == text


@pytest.mark.parametrize("content", ["{", "{}", '{"result": 3}'])
def test_broken_file_is_named(project: Path, content: str) -> None:
    """A file that is no result is named, and the page keeps what it had."""
    made_up.write(project)
    (project / "benchmarks/results/hello.json").write_text(content)
    ended = fill(project)
    assert ended.returncode == 1
    assert "hello.json" in ended.stderr
    assert "\nold\n" in readme(project)


def test_readme_has_the_place() -> None:
    """The project's own README can be filled."""
    text = (ROOT / "README.md").read_text()
    assert text.count(BEGIN) == text.count(END) == 1
