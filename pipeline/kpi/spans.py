"""Sums over what is clipped: how much of each interval lies in a window.

An interval that counts ``r`` for each millisecond adds two turns: ``+r`` at its start and ``-r`` at
its end, and with each turn rate times time. Turns before a window say how fast its sum grows from
the beginning; turns inside bend it. For a window [a, b) with the sum R of rates that turned before
a, and rates r and moments r*t of the turns inside, the sum is

    (b - a) * R  +  b * sum(r)  -  sum(r * t)

so an interval of any length costs two additions, an open one grows without events, and a correction
takes both turns back (integers throughout).

A vector of turns: their count, the intervals that are open, then of each series the rate and moment
of its numerator and of its denominator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

COUNT: Final = 0
OPEN: Final = 1
FIRST_RATE: Final = 2
_TURN: Final = 4
"""Integers a series takes in a vector of turns."""


def width(series: int) -> int:
    """Integers in a vector of turns of so many series."""
    return FIRST_RATE + _TURN * series


def goes_on(before: Sequence[int]) -> bool:
    """Whether some interval reaches beyond the turns summed up in ``before``."""
    return before[OPEN] != 0


def integrate(
    before: Sequence[int], inside: Sequence[int], start_ms: int, end_ms: int, padding: int
) -> list[int]:
    """Sums over [start_ms, end_ms), as the other groups have them.

    Args:
        before: Turns before the window.
        inside: Turns in it.
        start_ms: Beginning of the window; of no meaning if nothing turned before.
        end_ms: End of the window, or the clock if that comes first.
        padding: Integers of a series after "exists", which intervals do not fill.

    Returns:
        Rows, then of each series numerator, denominator, "exists" and the padding.
    """
    rows = 1 if inside[COUNT] or before[OPEN] else 0
    length_ms = end_ms - start_ms
    found = [rows]
    for place in range(FIRST_RATE, len(inside), _TURN):
        found += (
            length_ms * before[rate] + end_ms * inside[rate] - inside[rate + 1]
            for rate in (place, place + 2)
        )
        found += (rows, *(0,) * padding)
    return found
