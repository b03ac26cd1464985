"""Hits: newsdesk's article page out of our cache and others', and what a hit costs beside the bare data plane."""

from __future__ import annotations

import http.client
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks import newsdesk
from benchmarks.cpu import Cost, measured
from benchmarks.peers import HOTPLATE, PEERS
from benchmarks.processes import ROOT, Server, free_port, running
from benchmarks.rounds import Result, Row, Spread, turning

Progress = Callable[[str], None]
_PAGE = "/articles/42"
_GTHREAD = next(peer for peer in PEERS if peer.name == "gunicorn gthread")
# As nginx's documentation of ngx_http_proxy_module and of keepalive for upstreams has it.
_NGINX = """
daemon off; worker_processes auto; pid {folder}/pid; error_log {folder}/error; user root;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  proxy_cache_path {folder}/cache levels=1:2 keys_zone=pages:10m;
  upstream app {{ server 127.0.0.1:{upstream}; keepalive 32; }}
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location / {{
      proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_cache pages; proxy_cache_lock on; proxy_cache_use_stale updating;
    }}
  }}
}}
"""


class Candidate(NamedTuple):
    """A way to answer the article page.

    Args:
        name: as the table shows it.
        words: the command, given a port.
        env: besides newsdesk's own; {redis} is filled in.
        behind_nginx: whether nginx with proxy_cache stands in front of it.
    """

    name: str
    words: Callable[[int], list[str]]
    env: dict[str, str]
    behind_nginx: bool = False


def _ours(*flags: str) -> Callable[[int], list[str]]:
    return lambda port: [*HOTPLATE.words("newsdesk.app:app", port), *flags]


def _theirs(app: str) -> Callable[[int], list[str]]:
    return lambda port: _GTHREAD.words(app, port)


_REDIS = {"REDIS_URL": "{redis}"}
_CACHED = "benchmarks.apps.newsdesk_cached:app"
CANDIDATES = {
    each.name: each
    for each in (
        Candidate("hotplate", _ours(), {}),
        Candidate("hotplate with Redis", _ours(), _REDIS),
        Candidate("hotplate --cache off", _ours("--cache", "off"), {}),
        Candidate("Flask-Caching in memory, gunicorn gthread", _theirs(_CACHED), {}),
        Candidate("Flask-Caching in Redis, gunicorn gthread", _theirs(_CACHED), _REDIS),
        Candidate("nginx proxy_cache, gunicorn gthread", _theirs("newsdesk.app:app"), {}, behind_nginx=True),
    )
}


def hits(rounds: int, progress: Progress) -> Result:
    """Measure the article page with every candidate; one Redis serves them all."""
    costs: dict[str, list[Cost]] = {name: [] for name in CANDIDATES}
    with tempfile.TemporaryDirectory() as made, redis(Path(made)) as url:
        for number, name in turning(list(CANDIDATES), rounds):
            progress(f"hits {number + 1}/{rounds} {name}")
            with serving(CANDIDATES[name], url) as server:
                costs[name].append(measured(server, _PAGE))
    rates = {name: [cost.load.rate for cost in of] for name, of in costs.items()}
    rows = [
        Row(
            name,
            f"{Spread.of(rates[name])} requests/s, p99 {Spread.of([c.load.p99 for c in of])} ms, "
            f"{Spread.of([c.micros for c in of])} us of CPU",
        )
        for name, of in sorted(costs.items(), key=lambda pair: -Spread.of(rates[pair[0]]).median)
    ]
    ours = rates["hotplate"]
    for ours_name, other, bar in (
        ("hotplate", "hotplate --cache off", 10),
        ("hotplate", "Flask-Caching in memory, gunicorn gthread", 10),
        ("hotplate with Redis", "Flask-Caching in Redis, gunicorn gthread", 10),
        ("hotplate", "nginx proxy_cache, gunicorn gthread", 0.5),
    ):
        ours = rates[ours_name]
        ratio = Spread.of([mine / theirs for mine, theirs in zip(ours, rates[other], strict=True)])
        rows.append(Row(f"{ours_name} / {other}", f"{ratio} x", f">= {bar} x", ratio.median >= bar))
    raw = {name: [cost.load._asdict() | {"micros": cost.micros} for cost in of] for name, of in costs.items()}
    return Result("hits", "newsdesk article page out of the cache, 64 connections", tuple(rows), raw)


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Run a redis-server that keeps nothing on disk, and give its address."""
    port = free_port()
    words = [
        "/usr/bin/env",
        "redis-server",
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--dir",
        str(folder),
    ]
    with running(words, port, cwd=folder, log=folder / "redis.log"):
        yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def serving(candidate: Candidate, redis_url: str) -> Iterator[Server]:
    """Run a candidate; the server given takes in the CPU time of nginx as well."""
    cwd, env = newsdesk.place()
    added = {name: value.format(redis=redis_url) for name, value in candidate.env.items()}
    env = {**env, **added, "PYTHONPATH": f"{env['PYTHONPATH']}:{ROOT}"}
    port = free_port()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        with running(candidate.words(port), port, cwd=cwd, log=folder / "log", env=env) as server:
            if not candidate.behind_nginx:
                yield server
                return
            front = free_port()
            (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=front, upstream=port))
            words = ["/usr/sbin/nginx", "-p", made, "-e", f"{made}/error", "-c", f"{made}/nginx.conf"]
            with running(words, front, cwd=folder, log=folder / "nginx.log") as nginx:
                yield nginx


def hit_cost(rounds: int, progress: Progress) -> Result:
    """CPU of a hit over that of the bare data plane answering the same bytes; two workers each."""
    costs: dict[str, list[float]] = {"hit": [], "bare": []}
    cwd, env = newsdesk.place()
    with tempfile.TemporaryDirectory() as made:
        page = Path(made) / "page.json"
        for number, name in turning(["hit", "bare"], rounds):
            progress(f"hit cost {number + 1}/{rounds} {name}")
            port = free_port()
            if name == "hit" or not page.exists():
                words = [*HOTPLATE.words("newsdesk.app:app", port), "--workers", "2"]
                with running(words, port, cwd=cwd, log=Path(made) / "log", env=env) as server:
                    costs["hit"].append(measured(server, _PAGE).micros)
                    _keep(port, page)
            if name == "bare":
                port = free_port()
                words = ["python", "-m", "benchmarks.bare_page", str(page), str(port)]
                paths = {"PYTHONPATH": str(ROOT)}
                with running(words, port, cwd=ROOT, log=Path(made) / "log", env=paths) as server:
                    costs["bare"].append(measured(server, _PAGE).micros)
    hit, bare = Spread.of(costs["hit"]), Spread.of(costs["bare"])
    ratio = hit.median / bare.median
    rows = (
        Row("hit in the worker's memory", f"{hit} us of CPU"),
        Row("bare data plane, same bytes", f"{bare} us of CPU"),
        Row("ratio", f"{ratio:.2f}", "<= 1.4", ratio <= 1.4),
    )
    return Result("hit-cost", "CPU of a hit on newsdesk's article page", rows, costs)


def _keep(port: int, page: Path) -> None:
    """Write down a hit as it is sent; the data plane adds its own Date."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", _PAGE)
    response = connection.getresponse()
    body = response.read().decode("latin-1")
    if "; hit" not in (response.headers.get("Cache-Status") or ""):
        raise RuntimeError(f"no hit: {response.headers}")
    fields = [(name.lower(), value) for name, value in response.getheaders()]
    page.write_text(json.dumps({"status": response.status, "fields": fields, "body": body}))
    connection.close()
