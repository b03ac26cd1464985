"""Nothing is served from cache that another implementation of RFC 9111 would not serve."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from hishel._core import _spec

from hotplate.cache.http import profile
from tests.conformance.engine import Engine, How
from tests.conformance.oracle import Oracle, control_of
from tests.conformance.sequences import sequence

# In all, over all parts and both profiles; each part is a test of its own, so that they run side by side.
SEQUENCES = int(os.environ.get("HISHEL_SEQUENCES", "100000"))
PARTS = 4
PROFILES = {"safe": profile.safe(), "rfc": profile.rfc()}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", PROFILES)
def test_what_is_served_from_cache_hishel_would_serve(name: str, part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked and answered: every use of a stored response is one that RFC 9111 allows."""
    oracle = Oracle(heeds_client=PROFILES[name].heeds_client)
    monkeypatch.setattr(_spec, "time", oracle.clock)
    monkeypatch.setattr(_spec, "parse_cache_control", control_of)
    used: Counter[How] = Counter()
    for seed in range(part, SEQUENCES // 2, PARTS):
        engine = Engine(PROFILES[name])
        for step in sequence(seed):
            found = engine.ask(step)
            if found is not None:
                used[found.how] += 1
                objection = oracle.objection(step, found)
                assert not objection, f"sequence {seed}: {objection}:\n{step}\n{found}"
    # It was the cache that was looked at.
    assert used[How.FRESH] > SEQUENCES // 2 // PARTS // 4, used
    assert used[How.CONFIRMED] > SEQUENCES // 2 // PARTS // 10, used
