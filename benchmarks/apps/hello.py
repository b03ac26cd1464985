"""Flask's own first example, and a view that waits as one does for another service."""

from __future__ import annotations

import time

from flask import Flask

app = Flask(__name__)


@app.get("/")
def hello() -> str:
    """Answer at once."""
    return "Hello, World!"


@app.get("/wait")
def wait() -> str:
    """Wait 20 ms, holding no core."""
    time.sleep(0.02)
    return "waited"
