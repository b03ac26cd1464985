"""Pages that caches may keep: one made slowly, and as many different ones as there are numbers."""

from __future__ import annotations

import os
import time

from flask import Flask, Response

app = Flask(__name__)
LIFE = 1  # seconds the slow page is fresh
_CALLS = os.environ.get("PAGES_CALLS", os.devnull)


@app.get("/page/<int:number>")
def page(number: int) -> Response:
    """Make 2 KB."""
    return Response(f"page {number} ".ljust(2048, "."), headers={"Cache-Control": "public, max-age=86400"})


@app.get("/slow")
def slow() -> Response:
    """Make a page in 50 ms, and leave a line in a file for each time."""
    with open(_CALLS, "a") as calls:  # noqa: PTH123  # one line each, as the kernel appends it
        calls.write("called\n")
    time.sleep(0.05)
    return Response("slow", headers={"Cache-Control": f"public, max-age={LIFE}"})
