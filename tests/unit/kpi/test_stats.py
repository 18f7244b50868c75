from __future__ import annotations

import pytest

from pipeline.kpi.stats import value, wilson


@pytest.mark.parametrize(
    ("numerator", "denominator", "low", "high"),
    [
        (6, 20, 0.1455, 0.5190),
        (38, 40, 0.8350, 0.9862),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (1, 1, 0.2065, 1.0),
    ],
)
def test_wilson(numerator, denominator, low, high):
    found = wilson(numerator, denominator)
    assert found == pytest.approx((low, high), abs=5e-5)


def test_wilson_is_undefined_without_denominator_and_refuses_what_is_no_share():
    assert wilson(0, 0) is None
    for numerator in (-1, 4):
        with pytest.raises(ValueError, match=f"{numerator} of 3 is not a proportion"):
            wilson(numerator, 3)


@pytest.mark.parametrize(
    ("unit", "numerator", "denominator", "micro", "expected"),
    [
        ("ratio", 1, 4, False, 0.25),
        ("points", -1, 8, False, -12.5),
        ("seconds", 728_000, 2, False, 364.0),
        ("seconds", 7000, None, False, 7.0),
        ("score", 7, 2, False, 3.5),
        ("score", 9_500_000, 1, True, 9.5),
        ("count", 7, 9, False, 7),
        ("count", 0, 9, False, 0),
        ("count", 3, None, False, 3),
        ("ratio", 0, 0, False, None),
        ("count", 0, 0, False, None),
        ("seconds", None, None, False, None),
        ("ratio", 10**30, 4 * 10**30, False, 0.25),
    ],
)
def test_value(unit, numerator, denominator, micro, expected):
    assert value(unit, numerator, denominator, micro=micro) == expected
