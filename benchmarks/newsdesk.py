"""The example app as the benchmarks serve it: its own data folder, 2,000 articles, model as it ships."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.processes import ROOT

HOME = ROOT / "examples" / "newsdesk"


@functools.cache
def place() -> tuple[Path, Mapping[str, str]]:
    """Return the folder to serve it from and the environment to serve it with, seeded."""
    data = Path(tempfile.mkdtemp(prefix="newsdesk-"))
    env = {"NEWSDESK_DATA": str(data), "HOTPLATE_TASKS_DIR": str(data / "tasks"), "PYTHONPATH": str(HOME)}
    subprocess.run(
        [sys.executable, "-m", "newsdesk.seed"], cwd=HOME, env={**os.environ, **env}, check=True, capture_output=True
    )
    return HOME, env
