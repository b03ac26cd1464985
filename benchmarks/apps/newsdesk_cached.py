"""Newsdesk with Flask-Caching as its documentation shows: `cached` on the views, in memory or in REDIS_URL."""

from __future__ import annotations

import os
from typing import Any

from flask_caching import Cache

from newsdesk.app import app

__all__ = ["app"]

url = os.environ.get("REDIS_URL", "")
cache = Cache(config={"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": url} if url else {"CACHE_TYPE": "SimpleCache"})
cache.init_app(app)
for view in ("front_page", "article_page"):
    kept: Any = cache.cached(timeout=60)(app.view_functions[view])
    app.view_functions[view] = kept
