"""When has a worker served long enough? Decided from figures alone; acting on it is the worker's and the master's."""

from __future__ import annotations

import random

_JITTER = 0.1
_SAMPLES = 2
_MIB = 1024 * 1024


class Recycling:
    """Says once that the worker should be replaced, and why.

    Workers are forked together and get equal shares of the load, so each one's number of requests is moved by up to
    10 % at random; otherwise all would be replaced at the same time (gunicorn's max_requests_jitter, uWSGI's issue
    2235). Memory must be too high in two samples in a row: one large upload is not a leak.

    Args:
        max_requests: requests after which it is time; 0 is never.
        max_memory: private bytes above which it is time; 0 is never.
        seed: the worker's serial number, which makes its share of the jitter.
        setting: what the limit of memory is called.

    Example:
        >>> recycling = Recycling(max_requests=0, max_memory=100 * 1024 * 1024, seed=1)
        >>> recycling.due(5, 120 * 1024 * 1024), recycling.due(6, 130 * 1024 * 1024)
        ('', 'its private memory is 130 MiB, above the limit of 100 MiB (max_memory)')
    """

    def __init__(self, max_requests: int, max_memory: int, seed: int, setting: str = "max_memory") -> None:
        spread = int(max_requests * _JITTER)
        shift = random.Random(seed).randint(-spread, spread)  # noqa: S311  spreads load, guards nothing
        self.max_requests = max_requests and max(1, max_requests + shift)
        self.max_memory = max_memory
        self.setting = setting
        self._above = 0
        self._said = False

    def due(self, requests: int, private: int = 0) -> str:
        """Return the reason to be replaced, once; otherwise "".

        Args:
            requests: how many were served.
            private: private memory in bytes; 0 if it was not sampled this time.
        """
        if private:
            self._above = self._above + 1 if 0 < self.max_memory < private else 0
        if self._said:
            return ""
        if 0 < self.max_requests <= requests:
            self._said = True
            return f"it has served {requests} requests (max_requests, give or take 10 %)"
        if self._above >= _SAMPLES:
            self._said = True
            return (
                f"its private memory is {private // _MIB} MiB, above the limit of {self.max_memory // _MIB} MiB"
                f" ({self.setting})"
            )
        return ""
