"""From integer sums to published values: the only place where floats are made of counts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Final, Literal, NamedTuple

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


# --- comparisons of groups ------------------------------------------------------------------------

Grouped = Mapping[str, tuple[int, int]]
"""Numerator and denominator by name of a group."""


def covered(groups: Grouped) -> tuple[int, int]:
    """How many names with a denominator have a numerator, too, and how many have a denominator.

    A name counts once, whatever is summed up under it.
    """
    known = [numerator for numerator, denominator in groups.values() if denominator > 0]
    return sum(numerator > 0 for numerator in known), len(known)


def least_ratio(groups: Grouped, min_n: int) -> tuple[int, int] | None:
    """The lowest rate of a group over the highest, as numerator and denominator.

    (n_low / d_low) / (n_high / d_high), in whole numbers; the four-fifths rule alarms below 0.8.
    None with fewer than two groups of at least ``min_n``, or where no group has any.
    """
    rates = sorted(
        (Fraction(numerator, denominator), name)
        for name, (numerator, denominator) in groups.items()
        if denominator >= max(min_n, 1)
    )
    if len(rates) < 2 or rates[-1][0] == 0:
        return None
    lowest, highest = groups[rates[0][1]], groups[rates[-1][1]]
    return lowest[0] * highest[1], lowest[1] * highest[0]


class Difference(NamedTuple):
    """The difference of two rates with its 95 % interval."""

    numerator: int
    denominator: int
    value: float
    low: float
    high: float


def difference(old: tuple[int, int], new: tuple[int, int]) -> Difference | None:
    """Rate of ``new`` minus rate of ``old`` (each numerator, denominator); None if one has no n.

    The interval is Newcombe's from the two Wilson intervals, Statistics in Medicine 17 (1998)
    873-890, method 10.
    """
    first, second = wilson(*old), wilson(*new)
    if first is None or second is None:
        return None
    p1, p2 = old[0] / old[1], new[0] / new[1]
    low = p2 - p1 - math.sqrt((p2 - second[0]) ** 2 + (first[1] - p1) ** 2)
    high = p2 - p1 + math.sqrt((second[1] - p2) ** 2 + (p1 - first[0]) ** 2)
    numerator = new[0] * old[1] - old[0] * new[1]
    return Difference(numerator, new[1] * old[1], p2 - p1, low, high)


PSI_FLOOR: Final = 1e-4
"""Least share of a bin, so that an empty one does not make the index infinite."""


def psi(expected: Grouped, actual: Grouped) -> float | None:
    """Population stability index: sum of (a - e) ln(a / e) over shares of denominators by name.

    None where one side is empty. Names are taken in order, so that the sum is always the same.
    """
    n_expected = sum(d for _, d in expected.values())
    n_actual = sum(d for _, d in actual.values())
    if n_expected <= 0 or n_actual <= 0:
        return None
    total = 0.0
    for name in sorted({*expected, *actual}):
        e = max(expected.get(name, (0, 0))[1] / n_expected, PSI_FLOOR)
        a = max(actual.get(name, (0, 0))[1] / n_actual, PSI_FLOOR)
        total += (a - e) * math.log(a / e)
    return total


def median_survival(groups: Mapping[int, tuple[int, int]]) -> int | None:
    """Kaplan-Meier's median: the first duration by which at most half go on; None before that.

    Args:
        groups: By duration, how many ended then, and how many ended or were last seen then.

    Kaplan and Meier, JASA 53 (1958) 457-481: the product of (1 - ended / at risk). Those last seen
    at a duration are at risk until after it.
    """
    at_risk = sum(seen for _, seen in groups.values())
    survival = Fraction(1)
    for duration in sorted(groups):
        ended, seen = groups[duration]
        if ended:
            survival *= Fraction(at_risk - ended, at_risk)
        if survival <= Fraction(1, 2):
            return duration
        at_risk -= seen
    return None
