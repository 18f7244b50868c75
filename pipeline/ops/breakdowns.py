"""SQL of several KPIs side by side, a row each value of some dimensions, out of facts.

It is for what the exhibit of the dashboards is not split by: sites, vendors, models. The range in
view is the window; what is clipped counts as far as it lies in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pipeline.kpi.catalogue import CompiledKpi, CompiledPart
from pipeline.kpi.expression import AS_OF_PARAMETER
from pipeline.ops.queries import CLOCK, FROM, in_view, interval_sql, population
from pipeline.ops.targets import has_interval
from schemas.exhibit import Exhibit

WORK: Final = (
    "handled", "aht", "transfer_rate", "occupancy", "shrinkage", "adherence",
    "critical_error_free",
)  # fmt: skip
"""What performers are compared by, wherever they sit and whoever employs them."""

GOVERNANCE: Final = (
    "groundedness", "hallucination_rate", "leakage_rate", "disclosure_rate", "override_rate",
    "human_ai_agreement", "ai_false_pass_rate",
)  # fmt: skip
"""What AI performers are judged by."""


@dataclass(frozen=True)
class Breakdown:
    """KPIs by dimensions.

    Attributes:
        title: Of the panel that shows it.
        dimensions: Columns of facts; rows without any of them are left out.
        kpis: Plain KPIs: one part, summed, no cohort.
    """

    title: str
    dimensions: tuple[str, ...]
    kpis: tuple[CompiledKpi, ...]

    def sql(self, exhibit: Exhibit) -> str:
        """One row each value of the dimensions: of each KPI its value, n and 95 % interval."""
        by = ", ".join(self.dimensions)
        parts = "\n  UNION ALL\n".join(self._sums(exhibit, kpi) for kpi in self.kpis)
        columns = [column for kpi in self.kpis for column in _columns(kpi)]
        told = ",\n  ".join([*self.dimensions, *columns])
        return (f"SELECT\n  {told}\nFROM (\n{parts}\n)\nGROUP BY {by}\nORDER BY {by}").replace(
            AS_OF_PARAMETER, CLOCK
        )

    def _sums(self, exhibit: Exhibit, kpi: CompiledKpi) -> str:
        part = kpi.part
        by = ", ".join(self.dimensions)
        numerator, denominator = _of_range(part)
        conditions = [
            f"({part.sql['of']})", *in_view(part), *population(exhibit),
            "(" + " OR ".join(f"{name} != ''" for name in self.dimensions) + ")",
        ]  # fmt: skip
        return (
            f"  SELECT {by}, '{kpi.id}' AS kpi, toFloat64(sum({numerator})) AS k,\n"  # noqa: S608
            f"    toFloat64(sum({denominator})) AS d, count() AS n\n"
            f"  FROM {part.fact}s\n  WHERE " + "\n    AND ".join(conditions) + f"\n  GROUP BY {by}"
        )


def _of_range(part: CompiledPart) -> tuple[str, str]:
    numerator, denominator = part.sql["numerator"], part.sql["denominator"]
    if part.until is None:
        return f"({numerator})", f"({denominator})"
    end = f"least(ifNull({part.sql['until']}, {CLOCK}), {CLOCK})"
    length = f"greatest({end} - greatest({part.sql['time']}, {FROM}), 0)"
    return f"({numerator}) * {length}", f"({denominator}) * {length}"


def _columns(kpi: CompiledKpi) -> list[str]:
    """Value, n and interval of a KPI, out of the rows of all."""
    here = f"kpi = '{kpi.id}'"
    k, d = f"sumIf(k, {here})", f"sumIf(d, {here})"
    n = f"sumIf(n, {here})"
    if kpi.unit == "count":
        return [f"toUInt64({k}) AS `{kpi.title}`"]
    per = " / 1000" if kpi.unit == "seconds" else ""
    found = [f"if({d} = 0, NULL, {k} / {d}{per}) AS `{kpi.title}`"]
    # Of a share n is what it is a share of; of time it is the stretches of it.
    counted = d if kpi.part.until is None else n
    found.append(f"toUInt64({counted}) AS `n, {kpi.title}`")
    if has_interval(kpi):
        found.append(f"{interval_sql(k, d)} AS `95 %, {kpi.title}`")
    return found


def breakdowns(kpis: Mapping[str, CompiledKpi]) -> dict[str, Breakdown]:
    """Every breakdown of the dashboards, by what it is split by; ``kpis`` by id."""
    work = tuple(kpis[name] for name in WORK)
    governance = tuple(kpis[name] for name in GOVERNANCE)
    return {
        "site": Breakdown("By site and home, provisional", ("site", "location"), work),
        "vendor": Breakdown("By vendor, provisional", ("vendor", "employment"), work),
        "model": Breakdown(
            "AI governance by performer and model, provisional",
            ("performer_id", "model_version"), governance,
        ),
    }  # fmt: skip
