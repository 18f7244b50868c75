"""Fixed logarithmic bins for percentiles of durations: integer counts that can be taken back.

Bins never change or collapse, so shares of any partition add up and a correction leaves no trace.
They go from 1 ms to 90 days; a bin is at most 2 % wide, so its middle is at most 1 % off.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from typing import Final

GROWTH: Final = 1.02
LARGEST_MS: Final = 90 * 86_400_000


def _bins() -> tuple[int, ...]:
    """Beginnings: whole milliseconds, each at most 2 % or 1 ms above the one before."""
    found = [0, 1]
    while found[-1] < LARGEST_MS:
        found.append(max(found[-1] + 1, math.floor(found[-1] * GROWTH)))
    return tuple(found)


BINS: Final = _bins()
"""Beginnings of all bins, in milliseconds; what is longer than the last lies in it."""


def bin_floor(duration_ms: int) -> int:
    """Beginning of the bin that a duration lies in; negative durations lie in the first."""
    return BINS[max(bisect_right(BINS, duration_ms) - 1, 0)]


def bin_middle(floor_ms: int) -> int:
    """What a duration of a bin is told as: its middle, rounded down."""
    place = bisect_right(BINS, floor_ms)
    end = BINS[place] if place < len(BINS) else floor_ms + 1
    return (floor_ms + end - 1) // 2


def percentile(counts: Mapping[int, int], percent: float) -> int | None:
    """The nearest-rank percentile in milliseconds, within 1 %; None where nothing is counted.

    The rank is the smallest k with k >= percent / 100 * n, at least 1.

    Args:
        counts: Counts by beginning of bin.
        percent: From 0 to 100.
    """
    n = sum(counts.values())
    if n <= 0:
        return None
    rank = max(math.ceil(percent * n / 100), 1)
    for floor_ms in sorted(counts):
        rank -= counts[floor_ms]
        if rank <= 0:
            return bin_middle(floor_ms)
    raise AssertionError("counts do not add up")
