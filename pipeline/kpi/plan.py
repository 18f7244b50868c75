"""From exhibits to what a fold adds up: groups of accumulators, and contributions of facts.

A *group* is all KPIs of one exhibit that count rows of one fact kind at one time. Its accumulators
are integers in one vector: first the rows that lie there, then of each of its series numerator,
denominator, "exists", and for each bucket size of the exhibit how many rows were told only after
their bucket had settled. Sums are linear, so a correction takes back exactly what was added.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

import msgspec

from pipeline.kpi.calendar import bucket
from pipeline.kpi.catalogue import Aggregate, Catalogue, CompiledKpi, check_exhibit
from pipeline.kpi.told import told_ms
from schemas.exhibit import Exhibit, KpiEntry, Sliding, Tumbling, TumblingSize
from schemas.facts import Fact, Header

Cohort = Literal["all", "provisional", "final"]

NO_TIME: Final = -1
"""Time of a contribution to a gauge: it holds at the clock, in no window."""

NUMERATOR, DENOMINATOR, EXISTS, LATE = 0, 1, 2, 3
"""Places in the integers of a series; from ``LATE`` on there is one for each bucket size."""


class Contribution(msgspec.Struct, frozen=True, array_like=True):
    """What one fact adds to one cell of one group at ``time_ms``; taken back as it was added."""

    group: int
    cell: tuple[str, ...]
    time_ms: int
    vector: tuple[int, ...]


class Series(NamedTuple):
    """One row kind of an exhibit: a KPI, or the provisional or final reading of a cohort."""

    entry: KpiEntry
    kpi: CompiledKpi
    cohort: Cohort


@dataclass(frozen=True, eq=False)
class Group:
    """Series that share exhibit, fact kind, time and way of aggregation."""

    key: int
    exhibit: ExhibitPlan
    fact: str
    aggregate: Aggregate
    gauge: bool
    series: tuple[Series, ...]

    @property
    def width(self) -> int:
        """Integers a series takes in the vector."""
        return LATE + len(self.exhibit.sizes)

    @property
    def length(self) -> int:
        """Integers in the vector."""
        return 1 + self.width * len(self.series)

    def numbers(self, vector: Sequence[int], index: int) -> Sequence[int]:
        """The integers of series ``index``."""
        begin = 1 + index * self.width
        return vector[begin : begin + self.width]

    def vector(self, fact: Fact, time_ms: int, as_of_ms: int) -> tuple[int, ...]:
        """Accumulators of one fact of this group's kind and cell that lies at ``time_ms``."""
        found = [1]
        late_ms = told_ms(fact) - time_ms
        for series in self.series:
            kpi = series.kpi
            counts = bool(kpi.of(fact, as_of_ms))
            if counts and series.cohort == "final" and kpi.matures is not None:
                matures_ms = kpi.matures(fact, as_of_ms)
                counts = matures_ms is not None and matures_ms <= as_of_ms
            if counts:
                numerator = kpi.numerator(fact, as_of_ms)
                known = numerator is not None or self.aggregate == "sum"
                found.append(int(numerator or 0))
                found.append(int(kpi.denominator(fact, as_of_ms)) if known else 0)
            else:
                found += (0, 0)
            found.append(1 if kpi.exists(fact, as_of_ms) else 0)
            settles = settles_ms(kpi)
            for size in self.exhibit.sizes:
                late = counts and late_ms > settles and not self.gauge
                found.append(1 if late and self._late(size, time_ms, late_ms, settles) else 0)
        return tuple(found)

    def _late(self, size: TumblingSize, time_ms: int, late_ms: int, settles: int) -> bool:
        end_ms = bucket(self.exhibit.exhibit.time_zone, size, time_ms)[1]
        return time_ms + late_ms > end_ms + settles


@dataclass(eq=False)
class ExhibitPlan:
    """One exhibit, compiled."""

    exhibit: Exhibit
    kpis: tuple[CompiledKpi, ...]
    groups: tuple[Group, ...] = ()
    slides: bool = False
    sizes: tuple[TumblingSize, ...] = ()
    _cells: dict[tuple[str, ...], tuple[str, ...] | None] = field(default_factory=dict)

    def cell(self, header: Header) -> tuple[str, ...] | None:
        """Values of the exhibit's ``by`` dimensions, None outside its population."""
        place = header[_IDENTITY_FIELDS:]
        try:
            return self._cells[place]
        except KeyError:
            if len(self._cells) > _REMEMBERED_CELLS:
                self._cells.clear()
            matches = self._matches(header)
            found = tuple(getattr(header, name) for name in self.exhibit.by) if matches else None
            self._cells[place] = found
            return found

    def __post_init__(self) -> None:
        self._matches = self.exhibit.matcher()
        self.slides = any(isinstance(window, Sliding) for window in self.exhibit.windows)
        found = {w.size for w in self.exhibit.windows if isinstance(w, Tumbling)}
        self.sizes = tuple(sorted(found))


_LAYOUT = 2
"""Layout of vectors; a change of it must not meet contributions of another."""

_REMEMBERED_CELLS = 100_000
# Who it was does not choose a cell, so the first fields of a header are left out of what is
# remembered.
_IDENTITY_FIELDS = Header._fields.index("channel")


class Plan:
    """All exhibits in use. Groups are found by fact kind and by key."""

    def __init__(self, exhibits: Iterable[Exhibit], catalogue: Catalogue) -> None:
        self.exhibits = tuple(_plan(exhibit, catalogue) for exhibit in exhibits)
        self.groups: dict[int, Group] = {g.key: g for e in self.exhibits for g in e.groups}
        self._by_fact: defaultdict[str, list[Group]] = defaultdict(list)
        for group in self.groups.values():
            self._by_fact[group.fact].append(group)
        self._timed: defaultdict[str, list[CompiledKpi]] = defaultdict(list)
        for plan in self.exhibits:
            for kpi in plan.kpis:
                if kpi.due is not None:
                    self._timed[kpi.fact].append(kpi)

    def contributions(self, kind: str, fact: Fact, as_of_ms: int) -> tuple[Contribution, ...]:
        """What ``fact`` adds, as of the clock."""
        found = []
        for group in self._by_fact.get(kind, ()):
            cell = group.exhibit.cell(fact.header)
            if cell is None:
                continue
            time_ms = group.series[0].kpi.time(fact, as_of_ms)
            if time_ms is None:
                continue
            vector = group.vector(fact, time_ms, as_of_ms)
            if group.gauge:
                if not any(vector[1:]):
                    continue
                time_ms = NO_TIME
            found.append(Contribution(group.key, cell, time_ms, vector))
        return tuple(found)

    def is_timed(self, kind: str) -> bool:
        """Whether time alone can change what a fact of ``kind`` adds."""
        return kind in self._timed

    def due_ms(self, kind: str, fact: Fact, as_of_ms: int) -> int | None:
        """When time alone will next change what ``fact`` adds; None if it never will."""
        dues = [kpi.due(fact, as_of_ms) for kpi in self._timed.get(kind, ()) if kpi.due]
        return min((due for due in dues if due is not None and due > as_of_ms), default=None)

    @property
    def allowance_ms(self) -> int:
        """Longest time after a fact at which some KPI in use is still open for it."""
        return max((maturity_ms(kpi) for plan in self.exhibits for kpi in plan.kpis), default=0)


ARRIVAL_SETTLES_MS: Final = 3_600_000
"""Contacts that came in at the end of a bucket are still waited for and served after it."""


def settles_ms(kpi: CompiledKpi) -> int:
    """How long after the end of a bucket its value is final; a later change restates it."""
    return maturity_ms(kpi) or (ARRIVAL_SETTLES_MS if kpi.attribution == "arrival" else 0)


def maturity_ms(kpi: CompiledKpi) -> int:
    """How long after a contact the cohort of ``kpi`` is open; 0 where there is no cohort."""
    hours = kpi.parameters.get("window_hours", 0)
    return round(hours * 3_600_000) if isinstance(hours, int | float) else 0


def _plan(exhibit: Exhibit, catalogue: Catalogue) -> ExhibitPlan:
    kpis = check_exhibit(exhibit, catalogue)
    plan = ExhibitPlan(exhibit, kpis)
    series: defaultdict[tuple[str, str, Aggregate, bool, str], list[Series]] = defaultdict(list)
    for entry, kpi in zip(exhibit.kpis, kpis, strict=True):
        cohorts: Sequence[Cohort] = ("all",) if kpi.matures is None else ("provisional", "final")
        # Extremes and gauges stand alone: they are not summed with others.
        alone = entry.name if kpi.aggregate != "sum" else ""
        key = (kpi.fact, "" if kpi.gauge else kpi.sql["time"], kpi.aggregate, kpi.gauge, alone)
        series[key].extend(Series(entry, kpi, cohort) for cohort in cohorts)
    plan.groups = tuple(
        Group(_key(exhibit, key, found), plan, key[0], key[2], key[3], tuple(found))
        for key, found in series.items()
    )
    return plan


def _key(exhibit: Exhibit, parts: tuple[object, ...], series: Sequence[Series]) -> int:
    """64 bits of everything that decides what is added up, so two definitions never mix."""
    told = json.dumps(
        [
            exhibit.exhibit,
            exhibit.version,
            exhibit.time_zone,
            sorted(exhibit.effective_where.items()),
            exhibit.by,
            parts,
            [(s.entry.name, s.kpi.key, s.kpi.sql, s.cohort) for s in series],
            _LAYOUT,
            sorted(w.size for w in exhibit.windows if isinstance(w, Tumbling)),
        ],
        sort_keys=True,
        default=list,
    )
    return int.from_bytes(hashlib.blake2b(told.encode(), digest_size=7).digest(), "big")
