"""Hits from the store that workers share, full and fuller; requests that cannot be cached; 500 at once for one page."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.apps.pages import LIFE
from benchmarks.cpu import measured
from benchmarks.peers import HOTPLATE
from benchmarks.processes import ROOT, Server, free_port, running
from benchmarks.rounds import Result, Row, Spread, turning
from hotplate.cache.entry import Entry, encode
from hotplate.cache.stores.lmdb import LmdbStore

Progress = Callable[[str], None]
_ENTRIES = (1_000, 100_000, 1_000_000)
_ASKED = 1_000  # different pages
_LIMIT = 8 * 2**30
_CLIENTS = 500
_LUA = """
local number = 0
request = function()
  number = (number * 7 + 3) % {asked}
  number = (number + 1) % {asked}
  return wrk.format("GET", "/page/" .. number)
end
"""


@contextmanager
def _pages(folder: Path, *flags: str, env: dict[str, str] | None = None, app: str = "pages") -> Iterator[Server]:
    port = free_port()
    words = [*HOTPLATE.words(f"benchmarks.apps.{app}:app", port), "--workers", "2", *flags]
    paths = {"PYTHONPATH": str(ROOT), **(env or {})}
    with running(words, port, cwd=ROOT, log=folder / "log", env=paths) as server:
        yield server


def shared_hits(rounds: int, progress: Progress) -> Result:
    """CPU of a whole hit that no worker has in memory, with few, many and very many entries in the store."""
    costs: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        script = folder / "pages.lua"
        script.write_text(_LUA.format(asked=_ASKED))
        with _pages(folder, "--cache-memory", "none", "--cache-size", f"{_LIMIT // 2**20}MiB") as server:
            for number in range(_ASKED):
                server.get(f"/page/{number}")
            held = _ASKED
            for entries in _ENTRIES:
                _fill(server, entries - held, lambda done, of=entries: progress(f"filling {done:,} of {of:,}"))  # type: ignore[misc]  # binds now
                held = entries
                for number in range(rounds):
                    progress(f"hits from {entries:,} entries {number + 1}/{rounds}")
                    cost = measured(server, "/page/1", script=script)
                    costs.setdefault(f"{entries:,} entries", []).append(cost.micros)
    spreads = {name: Spread.of(of) for name, of in costs.items()}
    medians = [spread.median for spread in spreads.values()]
    apart = max(medians) / min(medians) - 1
    rows = [Row(name, f"{spread} us of CPU") for name, spread in spreads.items()]
    rows.append(Row("dearest over cheapest", f"{100 * apart:.1f} %", "<= 20 %", apart <= 0.2))
    return Result("shared-hits", "Hits from the store that workers share, by its entries", tuple(rows), costs)


def _fill(server: Server, count: int, told: Callable[[int], None]) -> None:
    """Put other entries of the same size beside those that are asked for."""
    store = LmdbStore(_folder(server), _LIMIT)
    token = store.now()
    if token is None:
        raise RuntimeError("the store has no clock")
    fields = ((b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"public, max-age=86400"))
    for number in range(count):
        key = secrets.token_bytes(32)
        entry = Entry(key, 200, fields, key * 64, received=time.time(), lifetime=86400.0, explicit=True)
        store.put(key, encode(entry), token, (number % 65536,), 86400.0)
        if number % 20_000 == 0:
            told(number)
    store.close()


def _folder(server: Server) -> Path:
    """Return where the workers of a server meet, which is the folder of the data file that they map."""
    for process in reversed(server.tree()):
        for mapped in process.memory_maps():
            path = Path(mapped.path)
            if "cache" in path.parent.name and path.is_file():
                return path.parent
    raise RuntimeError("no worker maps a file of the cache")


def uncacheable(rounds: int, progress: Progress) -> Result:
    """What the cache costs a page that it can never keep: CPU per request over that with the cache off."""
    modes = {"cache off": ("--cache", "off"), "cache on": ()}
    costs: dict[str, list[float]] = {name: [] for name in modes}
    rates: dict[str, list[float]] = {name: [] for name in modes}
    with tempfile.TemporaryDirectory() as made:
        for number, name in turning(list(modes), rounds):
            progress(f"uncacheable {number + 1}/{rounds} {name}")
            with _pages(Path(made), "--threads", "1", *modes[name], app="hello") as server:
                cost = measured(server, "/")
                costs[name].append(cost.micros)
                rates[name].append(cost.load.rate)
    rows = [Row(name, f"{Spread.of(costs[name])} us of CPU, {Spread.of(rates[name])} requests/s") for name in modes]
    off, on = (Spread.of(costs[name]).median for name in modes)
    more = 100 * (on / off - 1)
    rows.append(Row("CPU per request, on over off", f"{more:.1f} %", "< 3 %", more < 3))
    return Result("uncacheable", "Flask hello world, which nothing allows to keep", tuple(rows), costs)


def stampede(rounds: int, progress: Progress) -> Result:
    """500 clients ask at once for one page that has expired; how often it is made."""
    made_again: list[int] = []
    bad = 0
    with tempfile.TemporaryDirectory() as made:
        calls = Path(made) / "calls"
        with _pages(Path(made), env={"PAGES_CALLS": str(calls)}) as server:
            for number in range(rounds):
                progress(f"stampede {number + 1}/{rounds}")
                server.get("/slow")
                time.sleep(LIFE * 1.2)
                before = len(calls.read_text().splitlines())
                bad += asyncio.run(_ask_at_once(server.port, "/slow"))
                made_again.append(len(calls.read_text().splitlines()) - before)
    rows = (
        Row("times the view ran", str(Spread.of([float(times) for times in made_again])), "1", max(made_again) == 1),
        Row("answers that were not the page", str(bad), "0", bad == 0),
    )
    return Result(
        "stampede", f"{_CLIENTS} clients at once for one expired page, two workers", rows, {"made": made_again}
    )


async def _ask_at_once(port: int, path: str) -> int:
    """Connect, then ask all at once; return how many did not get the page."""
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(_CLIENTS)]

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        return answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"slow")

    return _CLIENTS - sum(await asyncio.gather(*(ask(*connection) for connection in connections)))
