"""wrk (Debian package), one thread, on the same machine: closed loop, so for throughput and the shape of the tail."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
_LATENCY = re.compile(r"^\s+(\d+)%\s+([\d.]+)(us|ms|s|m)\s*$", re.MULTILINE)
_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_COUNT = re.compile(r"(\d+) requests in")
_ERRORS = re.compile(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)")
_BAD = re.compile(r"Non-2xx or 3xx responses: (\d+)")


class Load(NamedTuple):
    """What wrk measured; latencies in milliseconds."""

    rate: float
    p50: float
    p99: float
    requests: int
    timeouts: int
    broken: int
    bad: int


def wrk(port: int, path: str, *, connections: int, seconds: int, script: Path | None = None) -> Load:
    """Ask for `path`, or for what a Lua script says, on `connections` keep-alive connections."""
    url = f"http://127.0.0.1:{port}{path}"
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "--latency", url]
    if script is not None:
        words[1:1] = ["-s", str(script)]
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    latency = {int(percent): float(value) * _UNITS[unit] for percent, value, unit in _LATENCY.findall(text)}
    _connect, read, write, timeouts = map(int, found.groups()) if (found := _ERRORS.search(text)) else (0, 0, 0, 0)
    return Load(
        rate=float(_first(_RATE, text)),
        p50=latency[50],
        p99=latency[99],
        requests=int(_first(_COUNT, text)),
        timeouts=timeouts,
        broken=read + write,
        bad=int(found.group(1)) if (found := _BAD.search(text)) else 0,
    )


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    if found is None:
        raise RuntimeError(f"wrk said something else:\n{text}")
    return found.group(1)
