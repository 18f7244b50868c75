"""Comparisons of groups by hand: drift, least ratio, difference; and kappa from its counts."""

from __future__ import annotations

import pytest

from pipeline.kpi import catalogue
from pipeline.kpi.stats import difference, least_ratio, psi


def counts(**groups: int) -> dict[str, tuple[int, int]]:
    return {name: (0, n) for name, n in groups.items()}


@pytest.mark.parametrize(
    ("expected", "actual", "index"),
    [
        # 0.25 ln 1.5 - 0.25 ln 0.5 = 0.101366 + 0.173287
        (counts(a=4, b=4), counts(a=6, b=2), 0.274653),
        # Shares count, not numbers.
        (counts(a=400, b=400), counts(a=3, b=1), 0.274653),
        (counts(a=1, b=3), counts(a=25, b=75), 0.0),
        # A new name had a share of 0.0001: -0.5 ln 0.5 + 0.4999 ln 5000 = 0.346574 + 4.257745
        (counts(a=10), counts(a=5, b=5), 4.604319),
        # A name that is gone has one now: 0.5 ln 2 + -0.4999 ln 0.0002 = 0.346574 + 4.257745
        (counts(a=5, b=5), counts(a=10), 4.604319),
    ],
)
def test_psi(expected, actual, index):
    assert psi(expected, actual) == pytest.approx(index, abs=1e-6)


def test_psi_is_the_same_to_the_last_bit_in_any_order_of_names():
    names = [f"n{i}" for i in range(50)]
    one = {name: (0, 1 + i * 7 % 11) for i, name in enumerate(names)}
    other = {name: (0, 1 + i * 5 % 13) for i, name in enumerate(names)}
    reverse = dict(reversed(other.items()))
    assert psi(one, other) == psi(dict(reversed(one.items())), reverse)


def test_psi_needs_both_sides():
    assert psi({}, counts(a=1)) is None
    assert psi(counts(a=1), {}) is None
    assert psi(counts(a=0), counts(a=1)) is None


@pytest.mark.parametrize(
    ("groups", "min_n", "ratio"),
    [
        ({"a": (3, 4), "b": (2, 4)}, 1, (8, 12)),  # (2/4) / (3/4)
        ({"a": (3, 4), "b": (2, 4), "c": (0, 1)}, 2, (8, 12)),  # c is too small
        ({"a": (3, 4), "b": (2, 4), "c": (0, 1)}, 1, (0, 3)),  # (0/1) / (3/4)
        ({"a": (1, 2), "b": (50, 100)}, 1, (100, 100)),  # (1/2) / (50/100)
        ({"a": (3, 4)}, 1, None),
        ({"a": (0, 4), "b": (0, 9)}, 1, None),
        ({"a": (0, 0), "b": (1, 1)}, 0, None),  # nothing of a is known
        ({}, 1, None),
    ],
)
def test_least_ratio(groups, min_n, ratio):
    assert least_ratio(groups, min_n) == ratio


def test_difference_is_that_of_newcombe():
    # 56/70 against 48/80, as in his table II: method 10 gives 0.0524 to 0.3339.
    found = difference((48, 80), (56, 70))
    assert found is not None
    assert (found.numerator, found.denominator) == (56 * 80 - 48 * 70, 5600)
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    turned = difference((56, 70), (48, 80))
    assert turned is not None
    assert (turned.low, turned.high) == pytest.approx((-0.3339, -0.0524), abs=5e-5)
    assert difference((0, 0), (1, 2)) is None
    assert difference((1, 2), (0, 0)) is None


@pytest.mark.parametrize(
    ("counted", "sums"),
    [
        # scored, agreed, passed by the AI, passed by the human
        ((50, 35, 30, 25), (500, 1250)),  # 35 * 50 - (30 * 25 + 20 * 25); 2500 - 1250
        ((15, 0, 10, 5), (-100, 125)),  # 0 - (10 * 5 + 5 * 10); 225 - 100
        ((4, 4, 4, 4), (0, 0)),  # all alike: chance explains everything
        ((0, 0, 0, 0), (0, 0)),
    ],
)
def test_kappa_of_four_counts(counted, sums):
    combination = catalogue.load().compile("kappa").combination
    assert combination is not None
    assert (combination.numerator(counted), combination.denominator(counted)) == sums
