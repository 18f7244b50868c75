"""From exhibits to what a fold adds up: groups of accumulators, and contributions of facts.

A *group* is everything of one exhibit that counts rows of one fact kind at one time. Its
accumulators are integers in one vector, so a correction takes back exactly what was added. There
are three kinds of groups:

* sums: the rows that lie there, then for each series numerator, denominator, "exists", and for each
  bucket size how many rows were told only after their bucket had settled;
* spans, of what is clipped: two contributions a fact, at its start and at its end, each with how
  much the rate changes there and with rate times time (see :mod:`pipeline.kpi.spans`);
* maps: sums by name, for percentiles and comparisons of groups.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal, NamedTuple

import msgspec

from pipeline.kpi.calendar import bucket
from pipeline.kpi.catalogue import Catalogue, CompiledKpi, CompiledPart, check_exhibit
from pipeline.kpi.horizon import LEAST_DAYS, exhibit_horizon_ms
from pipeline.kpi.hours import OpenHours
from pipeline.kpi.told import told_ms
from pipeline.kpi.vector_code import Counted, VectorFunction, vector_function
from schemas.exhibit import All, Exhibit, KpiEntry, Sliding, Today, Tumbling, TumblingSize
from schemas.facts import Fact, Header

Cohort = Literal["all", "provisional", "final"]
Shape = Literal["sum", "max", "min", "map", "span"]

NO_TIME: Final = -1
"""Time of a contribution to a gauge: it holds at the clock, in no window."""

NUMERATOR, DENOMINATOR, EXISTS, LATE = 0, 1, 2, 3
"""Places in the integers of a series; from ``LATE`` on there is one for each bucket size."""

ROWS: Final = "#"
"""Name under which a map counts its rows; ``+name`` and ``/name`` are its sums."""
LATE_ROWS: Final = "!"
"""Begins, before a bucket size, the name under which a map counts rows told too late for it."""


class Contribution(msgspec.Struct, frozen=True, array_like=True):
    """What one fact adds to one cell of one group at ``time_ms``; taken back as it was added."""

    group: int
    cell: tuple[str, ...]
    time_ms: int
    vector: tuple[int, ...] | dict[str, int]


class Series(NamedTuple):
    """What is summed up: a part of a KPI, or the provisional or final reading of a cohort."""

    kpi: CompiledKpi
    part: CompiledPart
    cohort: Cohort


class Reading(NamedTuple):
    """One row kind of an exhibit, and where each part of its KPI is summed up."""

    entry: KpiEntry
    kpi: CompiledKpi
    cohort: Cohort
    places: tuple[tuple[Group, int], ...]


@dataclass(frozen=True, eq=False)
class Group:
    """Series that share exhibit, fact kind, time and way of aggregation."""

    key: int
    exhibit: ExhibitPlan
    fact: str
    shape: Shape
    gauge: bool
    series: tuple[Series, ...]

    @property
    def width(self) -> int:
        """Integers a series takes in a vector as it is read."""
        return LATE + len(self.exhibit.sizes)

    @property
    def length(self) -> int:
        """Integers in a vector as it is read: rows, then each series."""
        return 1 + self.width * len(self.series)

    def numbers(self, vector: Sequence[int], index: int) -> Sequence[int]:
        """The integers of series ``index``."""
        begin = 1 + index * self.width
        return vector[begin : begin + self.width]

    # --- contributions --------------------------------------------------------------------------

    def contributions(
        self, cell: tuple[str, ...], fact: Fact, as_of_ms: int
    ) -> Iterable[Contribution]:
        """What ``fact``, which lies in ``cell``, adds as of the clock."""
        part = self.series[0].part
        time_ms = part.time(fact, as_of_ms)
        if time_ms is None:
            return
        if self.shape == "span":
            yield from self._span(cell, fact, time_ms, as_of_ms)
            return
        hours = self.exhibit.hours
        if hours is not None and not self.gauge and not hours.is_open(time_ms):
            return
        if self.shape == "map":
            named = self._named(fact, time_ms, as_of_ms)
            if not self.gauge:
                yield Contribution(self.key, cell, time_ms, named)
            elif len(named) > 1:
                yield Contribution(self.key, cell, NO_TIME, named)
            return
        vector = self._vector(fact, time_ms, as_of_ms)
        if not self.gauge:
            yield Contribution(self.key, cell, time_ms, vector)
        elif any(vector[1:]):
            yield Contribution(self.key, cell, NO_TIME, vector)

    @cached_property
    def _vector_of(self) -> VectorFunction:
        counted = [
            Counted(series.part.python, series.cohort == "final", settles_ms(series.kpi))
            for series in self.series
        ]
        return vector_function(
            counted, extreme=self.shape in ("max", "min"), sizes=len(self.exhibit.sizes)
        )

    def _vector(self, fact: Fact, time_ms: int, as_of_ms: int) -> tuple[int, ...]:
        late_ms = told_ms(fact) - time_ms if not self.gauge else 0

        def late(place: int, settles: int) -> bool:
            size = self.exhibit.sizes[place]
            return late_ms > settles and self._late(size, time_ms, late_ms, settles)

        return self._vector_of(fact, as_of_ms, late_ms, late)

    def _late(self, size: TumblingSize, time_ms: int, late_ms: int, settles: int) -> bool:
        end_ms = bucket(self.exhibit.exhibit.time_zone, size, time_ms)[1]
        return time_ms + late_ms > end_ms + settles

    def _named(self, fact: Fact, time_ms: int, as_of_ms: int) -> dict[str, int]:
        series = self.series[0]
        found = {ROWS: 1}
        key = series.part.key(fact, as_of_ms) if series.part.key is not None else None
        if key is not None and _counts(series, fact, as_of_ms):
            found[f"+{key}"] = int(series.part.numerator(fact, as_of_ms) or 0)
            found[f"/{key}"] = int(series.part.denominator(fact, as_of_ms))
            if self.gauge:
                return found
            settles, late_ms = settles_ms(series.kpi), told_ms(fact) - time_ms
            for size in self.exhibit.sizes:
                if late_ms > settles and self._late(size, time_ms, late_ms, settles):
                    found[f"{LATE_ROWS}{size}"] = 1
        return found

    def _span(
        self, cell: tuple[str, ...], fact: Fact, from_ms: int, as_of_ms: int
    ) -> Iterable[Contribution]:
        part = self.series[0].part
        until_ms = part.until(fact, as_of_ms) if part.until is not None else None
        rates: list[int] = []
        for series in self.series:
            counts = _counts(series, fact, as_of_ms)
            rates.append(int(series.part.numerator(fact, as_of_ms) or 0) if counts else 0)
            rates.append(int(series.part.denominator(fact, as_of_ms)) if counts else 0)
        hours = self.exhibit.hours
        spans = [(from_ms, until_ms)] if hours is None else hours.open_spans(
            from_ms, until_ms, as_of_ms
        )  # fmt: skip
        for begin_ms, end_ms in spans:
            # What lies ahead of the clock is added when the clock has come to it.
            if begin_ms <= as_of_ms and begin_ms != end_ms:
                yield self._turn(cell, begin_ms, rates, 1)
                if end_ms is not None and end_ms <= as_of_ms:
                    yield self._turn(cell, end_ms, rates, -1)

    def _turn(
        self, cell: tuple[str, ...], at_ms: int, rates: Sequence[int], sign: int
    ) -> Contribution:
        found = [1, sign]
        for rate in rates:
            found += (sign * rate, sign * rate * at_ms)
        return Contribution(self.key, cell, at_ms, tuple(found))

    def due_ms(self, fact: Fact, as_of_ms: int) -> int | None:
        """When time alone will next change what ``fact`` adds; None if it never will."""
        dues = [s.part.due(fact, as_of_ms) for s in self.series if s.part.due is not None]
        if self.shape == "span":
            part = self.series[0].part
            from_ms = part.time(fact, as_of_ms)
            until_ms = part.until(fact, as_of_ms) if part.until is not None else None
            dues += [from_ms, until_ms]
            hours = self.exhibit.hours
            if hours is not None and from_ms is not None and (until_ms or as_of_ms) >= as_of_ms:
                dues.append(hours.next_change_ms(as_of_ms))
        return min((due for due in dues if due is not None and due > as_of_ms), default=None)

    @property
    def is_timed(self) -> bool:
        """Whether time alone can change what a fact adds."""
        return self.shape == "span" or any(s.part.due is not None for s in self.series)


def _counts(series: Series, fact: Fact, as_of_ms: int) -> bool:
    part = series.part
    if not part.of(fact, as_of_ms):
        return False
    if series.cohort != "final" or part.matures is None:
        return True
    matures_ms = part.matures(fact, as_of_ms)
    return matures_ms is not None and matures_ms <= as_of_ms


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
    _cells: dict[tuple[str, ...], tuple[str, ...] | None] = field(default_factory=dict)

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
        exhibit = self.exhibit
        self._matches = exhibit.matcher()
        self.slides = any(isinstance(window, Sliding) for window in exhibit.windows)
        found = {w.size for w in exhibit.windows if isinstance(w, Tumbling)}
        self.sizes = tuple(sorted(found))
        grids: set[TumblingSize] = set()
        for kpi in self.kpis:
            if kpi.combination is not None and kpi.grid != "window":
                grids.add(kpi.grid)
            if kpi.reads == "psi":
                grids.add("day")
        if Today() in exhibit.windows:
            grids.add("day")
        self.grids = tuple(sorted(grids))
        self.horizon_ms = exhibit_horizon_ms(exhibit, self.kpis)
        if exhibit.business_hours is not None:
            self.hours = OpenHours(exhibit.time_zone, exhibit.business_hours)


_LAYOUT = 3
"""Layout of vectors; a change of it must not meet contributions of another."""

_REMEMBERED_CELLS = 100_000
# Who it was does not choose a cell, so the first fields of a header are left out of what is
# remembered.
_IDENTITY_FIELDS = Header._fields.index("channel")


class Plan:
    """All exhibits in use. Groups are found by fact kind and by key.

    ``digest`` is equal for plans that count the same.
    """

    def __init__(self, exhibits: Iterable[Exhibit], catalogue: Catalogue) -> None:
        self.exhibits = tuple(_plan(exhibit, catalogue) for exhibit in exhibits)
        self.groups: dict[int, Group] = {g.key: g for e in self.exhibits for g in e.groups}
        self.digest = _digest_of(sorted(self.groups))
        self._by_fact: defaultdict[str, list[Group]] = defaultdict(list)
        for group in self.groups.values():
            self._by_fact[group.fact].append(group)
        self._timed = {
            kind: [group for group in groups if group.is_timed]
            for kind, groups in self._by_fact.items()
        }

    def contributions(
        self, kind: str, fact: Fact, as_of_ms: int, span_ms: int | None = None
    ) -> tuple[Contribution, ...]:
        """What ``fact`` adds as of the clock; ``span_ms``: as of when what is clipped counts."""
        still_ms = as_of_ms if span_ms is None else span_ms
        found: list[Contribution] = []
        for group in self._by_fact.get(kind, ()):
            cell = group.exhibit.cell(fact.header)
            if cell is not None:
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
        # Once what is clipped stands still, time does not change it any more.
        still = span_ms is not None and span_ms < as_of_ms
        dues = [
            group.due_ms(fact, as_of_ms)
            for group in self._timed.get(kind, ())
            if not (still and group.shape == "span")
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


ARRIVAL_SETTLES_MS: Final = 3_600_000
"""Contacts that came in at the end of a bucket are still waited for and served after it."""


def settles_ms(kpi: CompiledKpi) -> int:
    """How long after the end of a bucket its value is final; a later change restates it."""
    return maturity_ms(kpi) or (ARRIVAL_SETTLES_MS if kpi.attribution == "arrival" else 0)


def maturity_ms(kpi: CompiledKpi) -> int:
    """How long after a contact the cohort of ``kpi`` is open; 0 where there is no cohort."""
    days = kpi.parameters.get("days", 0) if kpi.cohort else 0
    if isinstance(days, int) and days:
        return days * 86_400_000
    for name, unit_ms in (("window_hours", 3_600_000), ("window_days", 86_400_000)):
        length = kpi.parameters.get(name)
        if isinstance(length, int | float):
            return round(length * unit_ms)
    return 0


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
