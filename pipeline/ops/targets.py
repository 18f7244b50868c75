"""Alerts on the targets of an exhibit: missed in a long window, and still missed in a short one.

A share is missed for certain when its whole 95 % interval lies on the wrong side. Other numbers
count from ``min_n`` observations on. Values of cohorts have no alert: what they tell happened days
ago.
"""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.kpi import catalogue
from pipeline.kpi.catalogue import CompiledKpi
from pipeline.ops.alerts import Alert, Condition
from schemas.exhibit import Exhibit, KpiEntry, Sliding, Target

_FOR_SECONDS = 120
# An answer comes long after the contact it counts for: the short window has none yet.
_TOLD_LATER = frozenset(("survey",))


def has_interval(kpi: CompiledKpi) -> bool:
    """Whether values have a 95 % interval: a share of counts, not of time."""
    return kpi.unit == "ratio" and kpi.proportion and kpi.attribution != "clip"


def alerts(exhibit: Exhibit) -> list[Alert]:
    """An alert for each end of each target; none for an exhibit without sliding windows."""
    sizes = sorted(
        (w for w in exhibit.windows if isinstance(w, Sliding)), key=lambda window: window.size_ms
    )
    if not sizes:
        return []
    short, long = sizes[0].size, sizes[-1].size
    found: list[Alert] = []
    for entry, kpi in zip(
        exhibit.kpis, catalogue.check_exhibit(exhibit, catalogue.load()), strict=True
    ):
        if entry.target is not None and not kpi.cohort:
            found += _missed(exhibit, entry, entry.target, kpi, (short, long))
    return found


def _missed(
    exhibit: Exhibit, entry: KpiEntry, target: Target, kpi: CompiledKpi, windows: tuple[str, str]
) -> Iterable[Alert]:
    for bound, sign, certain in ((target.low, "<", "high"), (target.high, ">", "low")):
        if bound is not None:
            yield Alert(
                "CxTargetMissed",
                tuple(_conditions(exhibit, entry, kpi, windows, f"{sign} {bound:g}", certain)),
                _FOR_SECONDS,
                "warning",
                f"{entry.name} of {exhibit.exhibit} misses {target.text}"
                f'{_of_whom(exhibit)}: it is {{{{ $value | printf "%.3g" }}}}.',
                matching="ignoring (window)",
                labels={"exhibit": exhibit.exhibit, "as": entry.name},
            )


def _of_whom(exhibit: Exhibit) -> str:
    named = [f"{name} {{{{ $labels.{name} }}}}" for name in exhibit.by]
    return f" ({', '.join(named)})" if named else ""


def _conditions(
    exhibit: Exhibit,
    entry: KpiEntry,
    kpi: CompiledKpi,
    windows: tuple[str, str],
    bound: str,
    certain: str,
) -> Iterable[Condition]:
    def measured(what: str, window: str) -> str:
        chosen = f'exhibit="{exhibit.exhibit}", as="{entry.name}", window="{window}"'
        return f"cx_exhibit_{what}{{{chosen}}}"

    short, long = windows
    if kpi.gauge:
        yield Condition(measured("value", short), bound)
        return
    if short != long and not _TOLD_LATER & {part.fact for part in kpi.parts}:
        yield Condition(measured("value", short), bound)
    yield Condition(measured("value", long), bound)
    if has_interval(kpi):
        yield Condition(measured(certain, long), bound)
    if entry.min_n:
        yield Condition(measured("n", long), f">= {entry.min_n}")
