"""Counts durations in buckets whose width grows with the duration, as HdrHistogram does.

64 buckets per doubling, so that a bucket is 0.8 to 1.6 % wide and its middle is off by at most 0.8 %: two significant
figures, from a microsecond to 36 hours, in 17 KiB, at a cost that does not depend on how many were counted.
Histograms of several workers add up exactly, which percentiles do not (http://hdrhistogram.org).
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, frexp, ldexp

_BITS = 6
_PER_DOUBLING = 1 << _BITS
_LOWEST = -20
_SHORTEST = 2.0**_LOWEST  # about a microsecond
_DOUBLINGS = 37
BUCKETS = _DOUBLINGS * _PER_DOUBLING

Counts = tuple[tuple[int, int], ...]


def bucket(seconds: float) -> int:
    """Return the number of the bucket that counts `seconds`; what is too short or too long goes to the ends.

    Example:
        >>> bucket(0.0201) == bucket(0.0202), bucket(0.0201) == bucket(0.0210)
        (True, False)
    """
    if seconds <= _SHORTEST:
        return 0
    mantissa, exponent = frexp(seconds)
    number = ((exponent - _LOWEST - 1) << _BITS) + int(mantissa * 2 * _PER_DOUBLING) - _PER_DOUBLING
    return number if number < BUCKETS else BUCKETS - 1


def middle(number: int) -> float:
    """Return the middle of a bucket, in seconds."""
    doubling, step = divmod(number, _PER_DOUBLING)
    return ldexp((_PER_DOUBLING + step + 0.5) / _PER_DOUBLING, doubling + _LOWEST)


class Histogram:
    """Durations, counted. Not locked: the owner sees to that.

    Args:
        counts: (bucket, count) pairs, as `pairs` gave them.

    Example:
        >>> latency = Histogram()
        >>> for milliseconds in range(1, 101):
        ...     latency.record(milliseconds / 1000)
        >>> round(latency.percentile(99), 3)
        0.099
    """

    __slots__ = ("counts",)

    def __init__(self, counts: Iterable[tuple[int, int]] = ()) -> None:
        self.counts = [0] * BUCKETS
        self.merge(counts)

    @classmethod
    def of(cls, counts: list[int]) -> Histogram:
        """Return a histogram of the count of each bucket, which it takes over."""
        histogram = cls.__new__(cls)
        histogram.counts = counts
        return histogram

    def record(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bucket(seconds)] += 1

    def merge(self, counts: Iterable[tuple[int, int]]) -> None:
        """Add another histogram's pairs, which may come from another process: out of range they go to the ends."""
        for number, count in counts:
            self.counts[min(max(number, 0), BUCKETS - 1)] += count

    def pairs(self) -> Counts:
        """Return the buckets that counted something, with their counts, ready for JSON."""
        return tuple((number, count) for number, count in enumerate(self.counts) if count)

    def percentile(self, percent: float) -> float:
        """Return the duration, in seconds, that `percent` of those counted do not exceed; 0.0 when there is none."""
        return self.percentiles(percent)[0]

    def percentiles(self, *percents: float) -> tuple[float, ...]:
        """Return several percentiles at the cost of one."""
        pairs = self.pairs()
        total = sum(count for _number, count in pairs)
        ranks = [max(1, ceil(total * percent / 100)) for percent in percents]
        answers = [0.0] * len(ranks)
        passed = 0
        for number, count in pairs:
            before, passed = passed, passed + count
            for index, rank in enumerate(ranks):
                if before < rank <= passed:
                    answers[index] = middle(number)
        return tuple(answers)
