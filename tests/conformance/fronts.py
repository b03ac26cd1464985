"""The caches that are put before the suite's server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.support.gateway_process import ROOT
from tests.support.instance import instance
from tests.support.nginx import nginx_server
from tests.support.services import free_port

# Serves a folder of its own before the suite's server on a port, and gives the port of the cache.
Front = Callable[[Path, int], AbstractContextManager[int]]

# As in the suite's own docker/nginx/nginx.conf, with the paths of a private nginx.
_NGINX = """
http {{
  proxy_cache_path {folder}/cache levels=1:2 keys_zone=my-cache:8m max_size=1000m inactive=600m;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{upstream};
      proxy_cache my-cache;
      proxy_cache_revalidate on;
    }}
  }}
}}
"""


def hotplate(*flags: str) -> Front:
    """`hotplate run` with `flags`, around the app in origin.py."""

    @contextmanager
    def front(folder: Path, upstream: int) -> Iterator[int]:
        path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
        env = {"PYTHONPATH": path, "ORIGIN_PORT": str(upstream)}
        with instance(folder, "", "--workers", "2", *flags, target="tests.conformance.origin:app", env=env) as site:
            yield site.port

    return front


@contextmanager
def nginx(folder: Path, upstream: int) -> Iterator[int]:
    """Nginx as the suite's own configuration has it."""
    port = free_port()
    with nginx_server(folder, _NGINX.format(folder=folder, port=port, upstream=upstream)):
        yield port


@contextmanager
def nothing(_folder: Path, upstream: int) -> Iterator[int]:
    """No cache at all: the suite's own server."""
    yield upstream


# By the names that docs/conformance.md has for them.
FRONTS: dict[str, Front] = {
    "default": hotplate(),
    "rfc": hotplate("--cache-profile", "rfc"),
    "off": hotplate("--cache", "off"),
    "nginx": nginx,
    "nothing": nothing,
}
