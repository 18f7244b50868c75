"""A report on a month: published buckets of an exhibit, summed up per entry and cell.

A value of the month is made of the sums of numerators and denominators, never of values. Buckets of
another definition than the exhibit's are not mixed in; they are counted.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final, NamedTuple

from pipeline.exhibit.period import Period
from pipeline.kpi.catalogue import Catalogue, CompiledKpi, check_exhibit
from pipeline.kpi.definition import Definition
from pipeline.kpi.held import TRENDING_PERIODS
from pipeline.kpi.settling import settles_ms
from pipeline.kpi.stats import value as value_of
from pipeline.kpi.stats import wilson
from schemas.exhibit import Exhibit, KpiEntry, Tumbling, TumblingSize
from schemas.values import TOTAL, Status

QUERY: Final = """\
SELECT `as`, kpi, kpi_version, parameters, attribution, dimensions, state, revision,
       toUnixTimestamp64Milli(assumeNotNull(window_start)) AS start_ms,
       toUnixTimestamp64Milli(assumeNotNull(window_end)) AS end_ms,
       toUnixTimestamp64Milli(as_of) AS as_of_ms, numerator, denominator, value, status
FROM kpis
WHERE exhibit = {exhibit:String} AND window_kind = 'tumbling' AND window_size = {size:String}
  AND start_ms >= {start_ms:Int64} AND start_ms < {end_ms:Int64}
ORDER BY `as`, start_ms, dimensions, state"""
"""Published buckets of an exhibit; columns as :class:`Bucket` names them."""

_LONGEST_FIRST: Final[tuple[TumblingSize, ...]] = ("day", "1h", "30m", "15m")

Cell = tuple[str, ...]


class ReportError(ValueError):
    """An exhibit that a report cannot be made of."""


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """One published value of one closed or running bucket."""

    name: str
    kpi: str
    kpi_version: int
    parameters: str
    attribution: str
    dimensions: Mapping[str, str]
    state: str
    revision: int
    start_ms: int
    end_ms: int
    as_of_ms: int
    numerator: int | None
    denominator: int | None
    value: float | None
    status: str

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Bucket:
        """A row of :data:`QUERY`."""
        return cls(**{"name" if key == "as" else key: value for key, value in row.items()})


@dataclass(frozen=True, kw_only=True)
class Line:
    """One entry in one cell over the month.

    Attributes:
        cell: Values of the ``by`` dimensions, ``*`` for totals.
        value: None where nothing is counted, or where buckets cannot be summed up.
        provisional: Buckets that are not final yet.
        restated: Buckets that changed after they were final.
        buckets: What was summed up, in the order of time.
    """

    entry: KpiEntry
    kpi: CompiledKpi
    cell: Cell
    numerator: int | None = None
    denominator: int | None = None
    value: float | int | None = None
    n: int | None = None
    low: float | None = None
    high: float | None = None
    status: Status = "no_target"
    provisional: int = 0
    restated: int = 0
    buckets: tuple[Bucket, ...] = ()

    @property
    def is_total(self) -> bool:
        """Whether the line sums over all cells."""
        return all(name == TOTAL for name in self.cell)


@dataclass(frozen=True, kw_only=True)
class Report:
    """A report on one month; ``foreign`` counts buckets of other definitions, by name."""

    exhibit: Exhibit
    period: Period
    size: TumblingSize
    lines: tuple[Line, ...]
    as_of_ms: int | None
    definitions: Mapping[str, Definition]
    foreign: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether the clock has passed the end of the month."""
        end_ms = self.period.bounds_ms(self.exhibit.time_zone)[1]
        return self.as_of_ms is not None and self.as_of_ms >= end_ms


def bucket_size(exhibit: Exhibit) -> TumblingSize:
    """The longest buckets of an exhibit.

    Raises:
        ReportError: for an exhibit without any.
    """
    sizes = {window.size for window in exhibit.windows if isinstance(window, Tumbling)}
    for size in _LONGEST_FIRST:
        if size in sizes:
            return size
    raise ReportError(f"{exhibit.exhibit} has no closed windows; add {{tumbling: day}} to windows")


def query_parameters(exhibit: Exhibit, period: Period) -> dict[str, object]:
    """Parameters of :data:`QUERY`: the month, and those before it that tell a trend."""
    first = period.shifted(-TRENDING_PERIODS)
    return {
        "exhibit": exhibit.exhibit,
        "size": bucket_size(exhibit),
        "start_ms": first.start_ms(exhibit.time_zone),
        "end_ms": period.bounds_ms(exhibit.time_zone)[1],
    }


def report(
    exhibit: Exhibit, period: Period, catalogue: Catalogue, buckets: Iterable[Bucket]
) -> Report:
    """The report of a month, from the buckets of it and of the months before.

    Raises:
        ExhibitError: for KPIs or parameters that the catalogue does not know.
        ReportError: for an exhibit without closed windows.
    """
    kpis = check_exhibit(exhibit, catalogue)
    asked = {entry.name: (entry, kpi) for entry, kpi in zip(exhibit.kpis, kpis, strict=True)}
    found: defaultdict[str, list[Bucket]] = defaultdict(list)
    foreign: defaultdict[str, int] = defaultdict(int)
    for bucket in buckets:
        if bucket.name in asked:
            if _is_of(bucket, asked[bucket.name][1]):
                found[bucket.name].append(bucket)
            else:
                foreign[bucket.name] += 1
    clock_ms = max((one.as_of_ms for told in found.values() for one in told), default=None)
    lines = [
        line
        for name, (entry, kpi) in asked.items()
        for line in _Month(exhibit, period, entry, kpi, clock_ms or 0).lines(found[name])
    ]
    return Report(
        exhibit=exhibit, period=period, size=bucket_size(exhibit), lines=tuple(lines),
        as_of_ms=clock_ms, definitions={kpi.id: catalogue.definition(kpi.id) for kpi in kpis},
        foreign=dict(foreign),
    )  # fmt: skip


def _is_of(bucket: Bucket, kpi: CompiledKpi) -> bool:
    told = (bucket.kpi, bucket.kpi_version, bucket.attribution, json.loads(bucket.parameters))
    return told == (kpi.id, kpi.version, kpi.attribution, kpi.parameters)


class _Month(NamedTuple):
    """One entry of an exhibit in a month, seen at the clock."""

    exhibit: Exhibit
    period: Period
    entry: KpiEntry
    kpi: CompiledKpi
    clock_ms: int

    def lines(self, buckets: Iterable[Bucket]) -> Iterator[Line]:
        """The total, then each cell."""
        by = self.exhibit.by
        total = (TOTAL,) * len(by)
        cells: defaultdict[Cell, list[Bucket]] = defaultdict(list, {total: []})
        for bucket in buckets:
            # Of a cohort, what is not final is another measure; see docs/exactness.md.
            another = self.kpi.cohort and bucket.state == "provisional"
            if not another and bucket.dimensions.keys() == set(by):
                cells[tuple(bucket.dimensions[name] for name in by)].append(bucket)
        for cell in sorted(cells, key=lambda cell: (cell != total, cell)):
            months = [
                self._line(cell, cells[cell], self.period.shifted(-back))
                for back in range(TRENDING_PERIODS + 1)
            ]
            if months[0].buckets or months[0].is_total:
                yield replace(months[0], status=_status(months[0], months[1:]))

    def _line(self, cell: Cell, buckets: Iterable[Bucket], period: Period) -> Line:
        kpi = self.kpi
        start_ms, end_ms = period.bounds_ms(self.exhibit.time_zone)
        told = tuple(bucket for bucket in buckets if start_ms <= bucket.start_ms < end_ms)
        numerator, denominator = _summed(kpi, told)
        low = high = None
        if kpi.unit == "ratio" and kpi.proportion and kpi.attribution != "clip":
            low, high = wilson(numerator or 0, denominator or 0) or (None, None)
        divisor = None if kpi.unit == "count" or kpi.total else denominator
        return Line(
            entry=self.entry, kpi=kpi, cell=cell, numerator=numerator, denominator=denominator,
            # A count of 0 is a count: it is no share of the rows that it counts.
            value=value_of(kpi.unit, numerator, divisor, micro=kpi.micro),
            n=numerator if kpi.unit == "count" else denominator, low=low, high=high,
            provisional=sum(bucket.end_ms + settles_ms(kpi) > self.clock_ms for bucket in told),
            restated=sum(bucket.state == "restated" for bucket in told),
            buckets=told,
        )  # fmt: skip


def can_be_summed(kpi: CompiledKpi) -> bool:
    """Whether buckets of a KPI make up the value of a longer time."""
    of_maps = any(part.aggregate == "map" for part in kpi.parts)
    per_window = kpi.combination is not None and kpi.grid == "window"
    # Buckets in which nothing lies have a length, but no value.
    over_time = kpi.reads == "time_average"
    return not (kpi.gauge or of_maps or per_window or over_time)


def _summed(kpi: CompiledKpi, buckets: Sequence[Bucket]) -> tuple[int | None, int | None]:
    """Numerator and denominator of several buckets; no numerator where nothing is counted."""
    told = [bucket for bucket in buckets if bucket.value is not None]
    numerators = [bucket.numerator for bucket in told if bucket.numerator is not None]
    if not can_be_summed(kpi) or not numerators:
        return None, None
    aggregate = kpi.parts[0].aggregate
    if kpi.combination is None and aggregate in ("max", "min"):
        return (max if aggregate == "max" else min)(numerators), 1
    denominators = [bucket.denominator for bucket in told if bucket.denominator is not None]
    return sum(numerators), sum(denominators) if denominators else None


def _status(line: Line, before: Sequence[Line]) -> Status:
    target = line.entry.target
    if target is None:
        return "no_target"
    if line.value is None:
        return "undefined"
    if line.n is not None and line.n < line.entry.min_n:
        return "n_below_min"
    if target.met(line.value):
        return "met"
    values = [line.value, *(earlier.value for earlier in before)]
    distances = [None if value is None else target.distance(value) for value in values]
    nearer = (
        earlier is not None and later is not None and later < earlier
        for later, earlier in pairwise(distances)
    )
    return "trending" if before and all(nearer) else "missed"
