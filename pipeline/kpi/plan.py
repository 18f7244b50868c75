"""From exhibits to what a fold adds up: the groups of all exhibits in use, and what facts add."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from typing import Any, NamedTuple

from pipeline.kpi.catalogue import Catalogue, CompiledKpi, CompiledPart, check_exhibit
from pipeline.kpi.group import Cohort, Contribution, Group, Series, Shape
from pipeline.kpi.horizon import LEAST_DAYS, exhibit_horizon_ms
from pipeline.kpi.hours import OpenHours
from pipeline.kpi.settling import maturity_ms, settles_ms
from pipeline.kpi.vector_code import CountFunction
from schemas.exhibit import All, Exhibit, KpiEntry, Sliding, Today, Tumbling, TumblingSize
from schemas.facts import Fact, Header
from schemas.values import key_of_name


@dataclass(frozen=True, eq=False)
class Reading:
    """One row kind of an exhibit, and where each part of its KPI is summed up."""

    entry: KpiEntry
    kpi: CompiledKpi
    cohort: Cohort
    places: tuple[tuple[Group, int], ...]

    @cached_property
    def settles_ms(self) -> int:
        """How long after the end of a bucket its value is final."""
        return settles_ms(self.kpi)

    @cached_property
    def key_of_name(self) -> bytes:
        """What the keys of its values begin with."""
        return key_of_name(self.places[0][0].exhibit.exhibit.exhibit, self.entry.name)


@dataclass(eq=False)
class ExhibitPlan:
    """One exhibit, compiled."""

    exhibit: Exhibit
    kpis: tuple[CompiledKpi, ...]
    groups: tuple[Group, ...] = ()
    readings: tuple[Reading, ...] = ()
    slides: bool = False
    sizes: tuple[TumblingSize, ...] = ()
    grids: tuple[TumblingSize, ...] = ()
    hours: OpenHours | None = None
    horizon_ms: int = LEAST_DAYS * 86_400_000
    _cells: dict[Any, tuple[str, ...] | None] = field(default_factory=dict)

    @cached_property
    def lasting(self) -> frozenset[int]:
        """Keys of groups all of whose intervals are needed for ever.

        A composite over all time is combined on each interval there ever was.
        """
        if All() not in self.exhibit.windows:
            return frozenset()
        return frozenset(
            group.key
            for reading in self.readings
            if reading.kpi.combination is not None and reading.kpi.grid != "window"
            for group, _ in reading.places
            if not group.gauge
        )

    def cell(self, header: Header) -> tuple[str, ...] | None:
        """Values of the exhibit's ``by`` dimensions, None outside its population."""
        chosen = self._choosing(header)
        try:
            return self._cells[chosen]
        except KeyError:
            if len(self._cells) > _REMEMBERED_CELLS:
                self._cells.clear()
            matches = self._matches(header)
            found = tuple(getattr(header, name) for name in self.exhibit.by) if matches else None
            self._cells[chosen] = found
            return found

    def __post_init__(self) -> None:
        exhibit = self.exhibit
        self._matches = exhibit.matcher()
        # What chooses a cell: with it, not with whole headers, cells are remembered.
        names = sorted({*exhibit.by, *exhibit.effective_where}) or ["channel"]
        self._choosing: Callable[[Header], Any] = attrgetter(*names)
        self.slides = any(isinstance(window, Sliding) for window in exhibit.windows)
        found = {w.size for w in exhibit.windows if isinstance(w, Tumbling)}
        self.sizes = tuple(sorted(found))
        grids: set[TumblingSize] = set()
        for kpi in self.kpis:
            grids |= kpi.needs
        if Today() in exhibit.windows:
            grids.add("day")
        self.grids = tuple(sorted(grids))
        self.horizon_ms = exhibit_horizon_ms(exhibit, self.kpis)
        if exhibit.business_hours is not None:
            self.hours = OpenHours(exhibit.time_zone, exhibit.business_hours)


_LAYOUT = 3
"""Layout of vectors; a change of it must not meet contributions of another."""

_REMEMBERED_CELLS = 100_000


class Plan:
    """All exhibits in use. Groups are found by fact kind and by key.

    ``digest`` is equal for plans that count the same.
    """

    def __init__(self, exhibits: Iterable[Exhibit], catalogue: Catalogue) -> None:
        self.exhibits = tuple(_plan(exhibit, catalogue) for exhibit in exhibits)
        self.groups: dict[int, Group] = {g.key: g for e in self.exhibits for g in e.groups}
        self.digest = _digest_of(sorted(self.groups))
        by_fact: defaultdict[str, list[Group]] = defaultdict(list)
        for group in self.groups.values():
            by_fact[group.fact].append(group)
        self._by_fact = {kind: _by_exhibit(groups) for kind, groups in by_fact.items()}
        self._timed = {
            kind: [group for group in groups if group.is_timed] for kind, groups in by_fact.items()
        }

    def contributions(
        self, kind: str, fact: Fact, as_of_ms: int, span_ms: int | None = None
    ) -> tuple[Contribution, ...]:
        """What ``fact`` adds as of the clock; ``span_ms``: as of when what is clipped counts."""
        still_ms = as_of_ms if span_ms is None else span_ms
        found: list[Contribution] = []
        header = fact[0]
        for exhibit, counts, others in self._by_fact.get(kind, ()):
            cell = exhibit.cell(header)
            if cell is None:
                continue
            for count in counts:
                one = count(fact, cell, as_of_ms)
                if one is not None:
                    found.append(one)
            for group in others:
                clock_ms = still_ms if group.shape == "span" else as_of_ms
                found.extend(group.contributions(cell, fact, clock_ms))
        return tuple(found)

    def is_timed(self, kind: str) -> bool:
        """Whether time alone can change what a fact of ``kind`` adds."""
        return bool(self._timed.get(kind))

    def due_ms(
        self, kind: str, fact: Fact, as_of_ms: int, span_ms: int | None = None
    ) -> int | None:
        """When time alone will next change what ``fact`` adds; None if it never will."""
        timed = self._timed.get(kind)
        if not timed:
            return None
        # Once what is clipped stands still, time does not change it any more.
        still = span_ms is not None and span_ms < as_of_ms
        dues = [
            group.due_ms(fact, as_of_ms) for group in timed if not (still and group.shape == "span")
        ]
        return min((due for due in dues if due is not None), default=None)

    @property
    def allowance_ms(self) -> int:
        """Longest time after a fact at which some KPI in use is still open for it."""
        return max((maturity_ms(kpi) for plan in self.exhibits for kpi in plan.kpis), default=0)

    @property
    def horizon_ms(self) -> int:
        """Longest horizon of the exhibits in use: what is older is frozen."""
        return max((plan.horizon_ms for plan in self.exhibits), default=LEAST_DAYS * 86_400_000)


class _Counting(NamedTuple):
    """How one exhibit counts one kind of fact: by functions, and by groups that have none."""

    exhibit: ExhibitPlan
    counts: list[CountFunction]
    others: list[Group]


def _by_exhibit(groups: Iterable[Group]) -> list[_Counting]:
    found: dict[int, _Counting] = {}
    for group in groups:
        counting = found.setdefault(id(group.exhibit), _Counting(group.exhibit, [], []))
        if group.count is None:
            counting.others.append(group)
        else:
            counting.counts.append(group.count)
    return list(found.values())


_GroupKey = tuple[str, str, Shape, bool, str]


def _plan(exhibit: Exhibit, catalogue: Catalogue) -> ExhibitPlan:
    plan = ExhibitPlan(exhibit, check_exhibit(exhibit, catalogue))
    series: defaultdict[_GroupKey, dict[tuple[object, ...], Series]] = defaultdict(dict)
    wanted: list[tuple[KpiEntry, CompiledKpi, Cohort, list[tuple[_GroupKey, int]]]] = []
    for entry, kpi in zip(exhibit.kpis, plan.kpis, strict=True):
        cohorts: Sequence[Cohort] = ("provisional", "final") if kpi.cohort else ("all",)
        for cohort in cohorts:
            places = []
            for part in kpi.parts:
                key = _group_key(kpi, part, cohort)
                # Equal series are summed up once, whatever they are called.
                same = (*sorted(part.sql.items()), cohort, settles_ms(kpi))
                found = series[key]
                found.setdefault(same, Series(kpi, part, cohort))
                places.append((key, list(found).index(same)))
            wanted.append((entry, kpi, cohort, places))
    groups = {
        key: Group(
            _digest(exhibit, key, list(found)), plan, key[0], key[2], key[3], tuple(found.values())
        )
        for key, found in series.items()
    }
    plan.groups = tuple(groups.values())
    plan.readings = tuple(
        Reading(entry, kpi, cohort, tuple((groups[key], index) for key, index in places))
        for entry, kpi, cohort, places in wanted
    )
    return plan


def _group_key(kpi: CompiledKpi, part: CompiledPart, cohort: Cohort) -> _GroupKey:
    shape: Shape = "span" if part.until is not None else part.aggregate
    time = "" if kpi.gauge else f"{part.sql['time']} {part.sql.get('until', '')}"
    # Extremes and maps stand alone: they are not summed with others.
    alone = "" if shape in ("sum", "span") else json.dumps([sorted(part.sql.items()), cohort])
    return part.fact, time, shape, kpi.gauge, alone


def _digest(exhibit: Exhibit, parts: tuple[object, ...], series: Sequence[object]) -> int:
    """56 bits of everything that decides what is added up, so two definitions never mix."""
    told = json.dumps(
        [
            exhibit.exhibit,
            exhibit.version,
            exhibit.time_zone,
            sorted(exhibit.effective_where.items()),
            exhibit.by,
            parts,
            series,
            _LAYOUT,
            sorted(w.size for w in exhibit.windows if isinstance(w, Tumbling)),
            None if exhibit.business_hours is None else exhibit.business_hours.text,
        ],
        sort_keys=True,
        default=list,
    )
    return _digest_of(told)


def _digest_of(told: object) -> int:
    return int.from_bytes(hashlib.blake2b(str(told).encode(), digest_size=7).digest(), "big")
