"""Nothing of one visitor reaches another: real login sites, the real command, every mode of the cache."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.leaks.visitors import MISTAKES, PERSONAL, Site, visit
from tests.support.gateway_process import ROOT
from tests.support.instance import instance

# Requests per site, over all modes together. LEAK_REQUESTS=10000 for the whole promise.
REQUESTS = int(os.environ.get("LEAK_REQUESTS", "1500"))
SITES = ("flask_sessions", "flask_logins", "fastapi_cookies", "fastapi_tokens", "django_site")
SHARED = ("/hello", "/public/hello")
# By flags; with what the cache is to protect there. RFC 9111 lets a cache keep what says max-age and nothing else.
MODES = {
    "off": (("--cache", "off"), (*PERSONAL, *MISTAKES, *SHARED)),
    "headers": ((), (*PERSONAL, *MISTAKES, *SHARED)),
    "suggest": (("--cache", "suggest"), (*PERSONAL, *MISTAKES, *SHARED)),
    "rfc": (("--cache-profile", "rfc"), (*PERSONAL, *SHARED)),
}


@pytest.mark.process
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", SITES)
def test_no_byte_of_one_visitor_reaches_another(name: str, tmp_path: Path) -> None:
    """Two users and anonymous visitors, all at once: each gets their own page, in their language, and nothing stale."""
    hits = {}
    for mode, (flags, paths) in MODES.items():
        folder = tmp_path / mode
        folder.mkdir()
        env = {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
        target = f"tests.e2e.leaks.{name}:app"
        with instance(folder, "", "--workers", "2", "--cache-status", *flags, target=target, env=env) as served:
            site = Site(served, tokens="tokens" in name)
            visit(site, REQUESTS // len(MODES), paths)
        assert site.wrong == [], f"{len(site.wrong)} wrong answers, mode {mode}: {site.wrong[:5]}"
        assert sum(site.asked.values()) > REQUESTS // len(MODES) // 2
        hits[mode] = site.hits
        # An anonymous visitor's /mistake is public: it was answered right, or it would be among what is wrong.
        assert not any(site.hits[path] for path in (*PERSONAL, "/mistake/cookie", "/hello")), (mode, site.hits)
    # It was the cache that was looked at.
    for mode in ("headers", "rfc"):
        assert hits[mode]["/article"] > 0, hits
        assert hits[mode]["/public/hello"] > 0, hits
    for mode in ("off", "suggest"):
        assert hits[mode].total() == 0, hits
