"""The horizon of KPIs and exhibits."""

from __future__ import annotations

import pytest

from pipeline.kpi import catalogue
from pipeline.kpi.horizon import horizon_days
from pipeline.kpi.plan import Plan
from schemas.exhibit import ExhibitError
from schemas.exhibit_file import load_exhibit

DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("kpi", "parameters", "days"),
    [
        ("offered", {}, 8),
        ("aht", {}, 9),
        ("csat_top_box", {}, 32),
        ("calibration_agreement", {}, 35),
        ("journey_effort", {}, 92),
        # A week, and two days more.
        ("fcr_repeat", {}, 9),
        ("fcr_repeat", {"window_hours": 720}, 32),
        # 25 hours are begun as the second day.
        ("fcr_repeat", {"window_hours": 745}, 34),
    ],
)
def test_horizon_of_a_kpi(kpi, parameters, days):
    assert horizon_days(catalogue.load().compile(kpi, parameters)) == days


def exhibit(more: str) -> str:
    return f"exhibit: e\n{more}kpis:\n  - {{kpi: offered}}\n  - {{kpi: fcr_repeat}}\n"


def test_the_longest_of_all_exhibits_counts():
    one, other = (load_exhibit(exhibit(more)) for more in ("", "version: 2\nhorizon_days: 40\n"))
    loaded = catalogue.load()
    assert Plan([one], loaded).horizon_ms == 9 * DAY_MS
    assert Plan([one, other], loaded).horizon_ms == 40 * DAY_MS
    assert Plan([], loaded).horizon_ms == 8 * DAY_MS


def test_a_horizon_shorter_than_a_cohort_is_refused():
    told = load_exhibit(exhibit("horizon_days: 8\n"))
    with pytest.raises(ExhibitError, match="fcr_repeat needs a horizon of 9 days, not 8"):
        catalogue.check_exhibit(told, catalogue.load())


def test_groups_whose_intervals_last():
    """A composite over all time is combined on every interval there ever was."""
    text = "exhibit: e\nwindows: [{windows}]\nkpis:\n  - {{kpi: forecast_wape}}\n"
    for windows, lasting in (("1h, all", True), ("1h, today", False)):
        (plan,) = Plan([load_exhibit(text.format(windows=windows))], catalogue.load()).exhibits
        assert bool(plan.lasting) == lasting
