"""From integer sums to published values: the only place where floats are made of counts."""

from __future__ import annotations

import math
from typing import Final, Literal

Unit = Literal["count", "seconds", "ratio", "points", "score"]

Z_95: Final = 1.959964
"""Two-sided 95 % quantile of the normal distribution, as published with every interval."""


def wilson(numerator: int, denominator: int, z: float = Z_95) -> tuple[float, float] | None:
    """Wilson score interval of a proportion, or None where there is no denominator.

    (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n); Wilson, JASA 22 (1927) 209-212.

    Raises:
        ValueError: if the numerator is no part of the denominator.
    """
    if denominator == 0:
        return None
    if not 0 <= numerator <= denominator:
        raise ValueError(f"{numerator} of {denominator} is not a proportion")
    p = numerator / denominator
    z2 = z * z / denominator
    centre = p + z2 / 2
    margin = z * math.sqrt(p * (1 - p) / denominator + z2 / (4 * denominator))
    scale = 1 + z2
    # The ends of the range are exact, whatever the rounding.
    low = 0.0 if numerator == 0 else (centre - margin) / scale
    high = 1.0 if numerator == denominator else (centre + margin) / scale
    return low, high


def value(
    unit: Unit, numerator: int | None, denominator: int | None, *, micro: bool = False
) -> float | int | None:
    """The value that a numerator and a denominator stand for; None where it is undefined.

    Args:
        unit: ratio n/d, points 100 n/d, seconds n/d/1000, score n/d, count n.
        numerator: sum; None where nothing was aggregated.
        denominator: n; None for gauges, which have none.
        micro: the numerator is in millionths.
    """
    if numerator is None or denominator == 0:
        return None
    if unit == "count":
        return numerator
    n = 1 if denominator is None else denominator
    match unit:
        case "seconds":
            return numerator / (n * 1000)
        case "points":
            return 100 * numerator / n
        case _:
            return numerator / (n * 1_000_000 if micro else n)
