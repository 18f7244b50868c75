"""How long a KPI's value of a bucket stays open after the bucket's end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pipeline.kpi.catalogue import CompiledKpi

ARRIVAL_SETTLES_MS: Final = 3_600_000
"""Contacts that came in at the end of a bucket are still waited for and served after it."""


def settles_ms(kpi: CompiledKpi) -> int:
    """How long after the end of a bucket its value is final; a later change restates it."""
    return maturity_ms(kpi) or (ARRIVAL_SETTLES_MS if kpi.attribution == "arrival" else 0)


def maturity_ms(kpi: CompiledKpi) -> int:
    """How long after a contact the cohort of ``kpi`` is open; 0 where nothing waits for it."""
    if kpi.parameters.get("mature_only") is False:
        return 0
    days = kpi.parameters.get("days", 0) if kpi.cohort else 0
    if isinstance(days, int) and days:
        return days * 86_400_000
    for name, unit_ms in (("window_hours", 3_600_000), ("window_days", 86_400_000)):
        length = kpi.parameters.get(name)
        if isinstance(length, int | float):
            return round(length * unit_ms)
    return 0
