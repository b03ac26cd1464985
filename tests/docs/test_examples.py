"""The examples of the pages are run as a reader would: files written, commands typed, output compared."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hotplate.settings import resolve
from tests.conftest import StartNginx
from tests.docs.pages import ALL, WRITTEN, Block, blocks
from tests.support.gateway_process import ROOT
from tests.support.waiting import free_port, wait_until

DOCS = ROOT / "docs"
# Whoever reads it has curl; whoever tests it may not.
_CURL = f"""#!{sys.executable}
import sys, urllib.request
sys.stdout.write(urllib.request.urlopen(sys.argv[1]).read().decode())
"""
# What the shell of whoever tests may have set, and would be heeded.
_HEEDED = (
    "HOTPLATE_", "CELERY_", "FLASK_", "PORT", "REDIS_URL", "WEB_CONCURRENCY", "NOTIFY_SOCKET", "LISTEN_", "PYTHON_CPU_",
)  # fmt: skip
# A lone dash in a column is a figure that is not there yet.
_NUMBER = re.compile(r"\d[\d.,]*(?: ?(?:ms|min|[sh]|[KMG]iB|B)\b)?|(?<= )-(?= |$)")
_LABEL = re.compile(r"  ([A-Z][\w-]+) {2,}\S")


class Reader:
    """Somebody who follows a page, in a folder of their own.

    Args:
        folder: where to type.
        port: instead of 8000.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder / "shop"
        self.port = str(port)
        tools = folder / "bin"
        self.folder.mkdir()
        tools.mkdir()
        for name, text in {"curl": _CURL, "hotplate": f'#!/bin/sh\nexec {sys.executable} -m hotplate "$@"\n'}.items():
            (tools / name).write_text(text)
            (tools / name).chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_HEEDED)}
        self.environ = kept | {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "src"),
            "HOTPLATE_BIND": f":{port}",
            "HOTPLATE_WORKERS": "2",
            "XDG_RUNTIME_DIR": str(folder),
            "XDG_STATE_HOME": str(folder),
        }

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        (self.folder / name).write_text(text)

    def type(self, line: str) -> tuple[int, str]:
        """Return the exit status of a line of shell, and all that it wrote."""
        ended = subprocess.run(
            ["bash", "-c", line.replace("8000", self.port)],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return ended.returncode, ended.stdout

    @contextmanager
    def serving(self, line: str) -> Iterator[Path]:
        """Have a server running; yield what it writes."""
        log = self.folder.parent / "log"
        with log.open("wb") as out:
            server = subprocess.Popen(
                ["bash", "-c", f"exec {line}"], cwd=self.folder, env=self.environ, stdout=out, stderr=out
            )
        try:
            wait_until(
                lambda: server.poll() is not None or self.type("hotplate status")[0] == 0, what=f"it serves: {log}"
            )
            yield log
        finally:
            if server.poll() is None:
                server.send_signal(signal.SIGTERM)
            server.wait(60)

    def shape(self, text: str) -> list[str]:
        """Return lines without what differs from machine to machine: figures, reasons, folders, width of columns."""
        text = text.replace(str(self.folder.resolve()), "/srv/shop").replace(self.port, "8000")
        lines = (label[1] if (label := _LABEL.match(line)) else line for line in text.splitlines())
        return [" ".join(_NUMBER.sub("#", line).split()) for line in lines if line.strip()]

    def follow(self, block: Block) -> None:
        """Type the commands of a block and compare what they say; the last one's exit status is in the mark."""
        wanted = int(block.mark.partition(": ")[2] or 0)
        status = 0
        for step in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            line, _, shown = step.partition("\n")
            status, said = self.type(line)
            assert self.shape(said) == self.shape(shown), line
        assert status == wanted, block.text


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    """Somebody in a folder of their own."""
    return Reader(tmp_path, free_port())


@pytest.mark.process
def test_tour(reader: Reader) -> None:
    """README's tour goes as it is told: serve, ask, deploy, deploy something broken, stop."""
    file, serve, *steps = [block for block in blocks(ROOT / "README.md") if block.mark]
    reader.write(file.mark.removeprefix("file: "), file.text)
    line, _, shown = serve.text.removeprefix("$ ").partition("\n")
    with reader.serving(line) as log:
        wait_until(lambda: "Serving on" in log.read_text(), what=f"all is told: {log}")
        assert reader.shape(log.read_text()) == reader.shape(shown)
        for step in steps:
            reader.follow(step)
        assert "Stopped after" in log.read_text()


@pytest.mark.process
@pytest.mark.parametrize(
    "page",
    [page for page in WRITTEN if page.name != "README.md" and any(block.mark for block in blocks(page))],
    ids=lambda page: page.name,
)
def test_marked_examples(page: Path, reader: Reader) -> None:
    """Marked examples of a page run, say what is shown, and end as it says."""
    for block in blocks(page):
        if block.mark.startswith("file: "):
            reader.write(block.mark.removeprefix("file: "), block.text)
        elif block.mark == "settings":
            reader.write("hotplate.toml", block.text)
            assert set(resolve({}, {}, reader.folder).origins.values()) >= {"hotplate.toml"}
            (reader.folder / "hotplate.toml").unlink()
        elif block.language == "python" and block.mark == "run":
            reader.write("example.py", block.text)
            assert reader.type(f"{sys.executable} example.py") == (0, "")
        elif block.mark.startswith("run"):
            reader.follow(block)


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.name)
def test_python_compiles(page: Path) -> None:
    """Every Python example is Python."""
    for block in blocks(page):
        if block.language == "python":
            ast.parse(block.text)


@pytest.mark.nginx
def test_nginx_takes_its_example(nginx: StartNginx, tmp_path: Path) -> None:
    """The nginx configuration of docs/run.md is taken by nginx, which would not start with another."""
    (block,) = [block for block in blocks(DOCS / "run.md") if block.language == "nginx"]
    text = block.text.replace("listen 80;", f"listen 127.0.0.1:{free_port()};").replace("/run/", f"{tmp_path}/")
    nginx(f"http {{\n{text}\n}}\n")
