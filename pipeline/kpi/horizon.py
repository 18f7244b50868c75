"""How long facts can still change: the horizon of a KPI, of an exhibit, and of all in use.

What lies further back than the horizon is frozen: it stays counted, and no event changes it any
more. The allowances are those within which the things that a KPI counts are usually told (surveys
a month, evaluations five weeks); a cohort stays open two days longer than it takes to mature.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from schemas.exhibit import Exhibit

if TYPE_CHECKING:
    from pipeline.kpi.catalogue import CompiledKpi

DAY_MS: Final = 86_400_000

ALLOWANCE_DAYS: Final = {
    "queue_segment": 8,
    "missed_offer": 8,
    "handling_segment": 9,
    "interaction": 9,
    "session": 9,
    "performer_state": 9,
    "performer_time": 9,
    "cost": 9,
    "contact": 9,
    "survey": 32,
    "evaluation": 35,
    "ai_decision": 35,
    "plan": 35,
    "case": 92,
    "journey": 92,
}
"""Days after which nothing more is expected of a kind of fact."""

LEAST_DAYS: Final = 8
"""The longest silence after which a contact counts as ended is 7 days: none is frozen open."""

_SLACK_DAYS: Final = 2
_WHOLE_DAYS: Final = (("days", 1), ("window_days", 1), ("baseline_days", 1), ("window_hours", 24))
"""Parameters that look back or ahead, and how many of them are a day."""


def needed_days(kpi: CompiledKpi) -> int:
    """Days that the cohort or the baseline of a KPI takes, with slack; 0 where it has neither."""
    found = [
        -(-int(length) // a_day) + _SLACK_DAYS
        for name, a_day in _WHOLE_DAYS
        if isinstance(length := kpi.parameters.get(name), int | float)
    ]
    return max(found, default=0)


def horizon_days(kpi: CompiledKpi) -> int:
    """Days after which no event changes what a KPI counts."""
    kinds = (ALLOWANCE_DAYS[part.fact] for part in kpi.parts)
    return max(LEAST_DAYS, needed_days(kpi), *kinds)


def exhibit_horizon_ms(exhibit: Exhibit, kpis: Iterable[CompiledKpi]) -> int:
    """The horizon of an exhibit: the one it names, else the longest of its KPIs."""
    days = exhibit.horizon_days or max((horizon_days(kpi) for kpi in kpis), default=LEAST_DAYS)
    return days * DAY_MS


def too_short(exhibit: Exhibit, kpis: Iterable[CompiledKpi]) -> str:
    """Why the horizon that an exhibit names is too short for its KPIs; empty where it is not."""
    if exhibit.horizon_days is None:
        return ""
    for entry, kpi in zip(exhibit.kpis, kpis, strict=True):
        if needed_days(kpi) > exhibit.horizon_days:
            return (
                f"{entry.name} needs a horizon of {needed_days(kpi)} days,"
                f" not {exhibit.horizon_days}"
            )
    return ""
