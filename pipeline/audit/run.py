"""An audit: what was published against facts, and against accepted events.

Both sides of the first comparison share the facts, so a mistake of a fold is in both. The second
uses no row that a fold has written: the lifecycle is told again in SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from clickhouse_connect.driver.client import Client

from pipeline.audit.lifecycle import Lifecycle, lifecycle
from pipeline.audit.values import (
    Differences,
    Published,
    Values,
    computed,
    differences,
    published,
)
from pipeline.kpi.catalogue import Catalogue, CompiledKpi
from pipeline.kpi.plan import ExhibitPlan, Plan
from pipeline.kpi.warehouse.names import view_of
from schemas.exhibit import Exhibit

ATTEMPTS: Final = 3
"""Tries on an installation that goes on meanwhile; what differs in all of them differs."""

Against = Literal["facts", "events"]


@dataclass(frozen=True)
class Comparison:
    """Published values against one computation.

    Attributes:
        against: What was computed from.
        compared: Cells on either side.
        not_audited: KPIs (by their name in the exhibit) that it cannot tell, with the reason.
    """

    against: Against
    compared: int
    different: Differences
    not_audited: Mapping[str, str]


@dataclass(frozen=True)
class Report:
    """What an audit found.

    Attributes:
        as_of_ms: The clock of the comparison.
        restated: Cells compared whose value was published as restated.
        late: Accepted events that came after one of their partition that occurred over an hour
            later.
        uncounted: Late records: accepted events that are in neither side.
        not_covered: What some events say that the lifecycle in SQL does not understand, with the
            count of these events.
    """

    exhibit: str
    as_of_ms: int
    restated: int
    late: int
    uncounted: int
    comparisons: tuple[Comparison, ...]
    not_covered: Mapping[str, int]

    @property
    def compared(self) -> int:
        """Cells compared with what was computed from events."""
        return self.comparisons[-1].compared

    @property
    def passed(self) -> bool:
        """Whether everything was compared, and nothing differs."""
        each = (c.compared and not c.different and not c.not_audited for c in self.comparisons)
        return all(each) and not self.not_covered


class Audit:
    """Audits of one installation.

    Args:
        client: A client on the database of the installation that may make databases beside it.
        catalogue: The definitions in use.
    """

    def __init__(self, client: Client, catalogue: Catalogue) -> None:
        self._client = client
        self._catalogue = catalogue
        self._database = str(client.database)

    def run(self, exhibit: Exhibit, as_of_ms: int | None = None) -> Report:
        """Audit one exhibit as of a clock; without one, as of its newest value.

        The clock must be the one at which the values hold. Where values go on changing meanwhile,
        it is tried again, and only what differs each time is a difference.
        """
        plan = Plan([exhibit], self._catalogue).exhibits[0]
        report = self._once(plan, as_of_ms)
        for _ in range(ATTEMPTS - 1):
            now_ms = published(self._client, plan).clock_ms
            if report.passed or as_of_ms is not None or now_ms == report.as_of_ms:
                break
            report = _both(report, self._once(plan, None))
        return report

    def _once(self, plan: ExhibitPlan, as_of_ms: int | None) -> Report:
        found = published(self._client, plan)
        clock_ms = found.clock_ms if as_of_ms is None else as_of_ms
        told = lifecycle(self._client, self._database, f"{self._database}_lifecycle", clock_ms)
        comparisons = (
            self._compare("facts", found, plan, self._database, clock_ms, {}),
            self._from_events(found, plan, told, clock_ms),
        )
        return Report(
            plan.exhibit.exhibit, clock_ms, len(found.restated), self._count(_LATE, clock_ms),
            self._count(_UNCOUNTED, clock_ms), comparisons, told.not_covered,
        )  # fmt: skip

    def _from_events(
        self, found: Published, plan: ExhibitPlan, told: Lifecycle, clock_ms: int
    ) -> Comparison:
        reasons = {
            entry.name: reason
            for entry, kpi in zip(plan.exhibit.kpis, plan.kpis, strict=True)
            if (reason := _unknown(plan.exhibit, kpi, told))
        }
        left = tuple(entry for entry in plan.exhibit.kpis if entry.name not in reasons)
        if not left:
            return Comparison("events", 0, {}, reasons)
        known = plan.exhibit.model_copy(update={"kpis": left})
        part = Plan([known], self._catalogue).exhibits[0]
        return self._compare("events", found, part, told.database, clock_ms, reasons)

    def _compare(
        self,
        against: Against,
        found: Published,
        plan: ExhibitPlan,
        facts: str,
        clock_ms: int,
        reasons: Mapping[str, str],
    ) -> Comparison:
        scratch = f"{self._database}_from_{against}"
        expected = computed(self._client, plan, facts, scratch, clock_ms)
        values: Values = found.values
        if reasons:
            # Where only facts lie that are not known here, there is a row of nothing.
            values = {
                cell: numbers
                for cell, numbers in found.values.items()
                if cell.name not in reasons
                and (cell in expected or numbers.numerator or numbers.denominator)
            }
        compared = len({*values, *expected})
        return Comparison(against, compared, differences(values, expected), reasons)

    def _count(self, query: str, clock_ms: int) -> int:
        ((count,),) = self._client.query(query, parameters={"as_of_ms": clock_ms}).result_rows
        return int(count)


_LATE: Final = """
SELECT countIf(occurred_at < latest - INTERVAL 1 HOUR)
FROM
(
    SELECT
        occurred_at,
        max(occurred_at) OVER (
            PARTITION BY kafka_topic, kafka_partition ORDER BY kafka_offset
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS latest
    FROM interaction_events FINAL
    WHERE occurred_at <= fromUnixTimestamp64Milli({as_of_ms:Int64}, 'UTC')
)
"""


_UNCOUNTED: Final = """
SELECT count()
FROM interaction_events FINAL
WHERE occurred_at <= fromUnixTimestamp64Milli({as_of_ms:Int64}, 'UTC')
    AND event_id IN (SELECT event_id FROM uncounted_events)
"""


def _unknown(exhibit: Exhibit, kpi: CompiledKpi, told: Lifecycle) -> str:
    """Why the lifecycle in SQL cannot tell a KPI; empty if it can."""
    for part in kpi.parts:
        has = told.columns.get(view_of(part.fact))
        if has is None:
            return f"no {part.fact} in the lifecycle in SQL"
        wanted = {*part.columns, *exhibit.by, *exhibit.effective_where}
        if missing := sorted(wanted - has):
            return f"no {', '.join(missing)} of {part.fact} in the lifecycle in SQL"
    return ""


def _both(one: Report, other: Report) -> Report:
    """The later report, with what differed in both."""
    comparisons = tuple(
        Comparison(
            later.against,
            later.compared,
            {c: pair for c, pair in later.different.items() if c in earlier.different},
            later.not_audited,
        )
        for earlier, later in zip(one.comparisons, other.comparisons, strict=True)
    )
    return Report(
        other.exhibit, other.as_of_ms, other.restated, other.late, other.uncounted, comparisons,
        other.not_covered,
    )  # fmt: skip
