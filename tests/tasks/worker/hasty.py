"""The chores, by a worker that seems to be on a machine of its own and looks after others often."""

from __future__ import annotations

import os

from hotplate.tasks.redis import owners, transport
from tests.tasks.worker.chores import app

__all__ = ["app"]

vars(transport)["PAUSE"] = 0.2
vars(owners)["place"] = lambda: os.environ["CHORES_PLACE"]
if os.environ.get("CHORES_POOL"):
    app.conf.worker_pool = os.environ["CHORES_POOL"]
