"""Groups of accumulators: what a fact of an exhibit adds up, and how.

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

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

from pipeline.kpi.calendar import bucket
from pipeline.kpi.catalogue import CompiledKpi, CompiledPart
from pipeline.kpi.settling import settles_ms
from pipeline.kpi.told import told_ms, told_of
from pipeline.kpi.vector_code import Counted, CountFunction, Counting, count_function
from schemas.exhibit import Today, TumblingSize
from schemas.facts import Fact

if TYPE_CHECKING:
    from pipeline.kpi.plan import ExhibitPlan

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


@dataclass(frozen=True, eq=False)
class Group:
    """Series that share exhibit, fact kind, time and way of aggregation."""

    key: int
    exhibit: ExhibitPlan
    fact: str
    shape: Shape
    gauge: bool
    series: tuple[Series, ...]

    @cached_property
    def width(self) -> int:
        """Integers a series takes in a vector as it is read."""
        return LATE + len(self.exhibit.sizes)

    @property
    def length(self) -> int:
        """Integers in a vector as it is read: rows, then each series."""
        return 1 + self.width * len(self.series)

    @cached_property
    def bucket_sizes(self) -> tuple[TumblingSize, ...]:
        """Lengths of the buckets it is summed in: those shown, combined on, and compared with."""
        plan = self.exhibit
        found = set(plan.sizes)
        if Today() in plan.exhibit.windows:
            found.add("day")
        for reading in plan.readings:
            if any(group is self for group, _ in reading.places):
                found |= reading.kpi.needs
        return tuple(sorted(found))

    def numbers(self, vector: Sequence[int], index: int) -> Sequence[int]:
        """The integers of series ``index``."""
        begin = 1 + index * self.width
        return vector[begin : begin + self.width]

    # --- contributions --------------------------------------------------------------------------

    def contributions(
        self, cell: tuple[str, ...], fact: Fact, as_of_ms: int
    ) -> Iterable[Contribution]:
        """What ``fact``, which lies in ``cell``, adds as of the clock."""
        if self.count is not None:
            found = self.count(fact, cell, as_of_ms)
            return () if found is None else (found,)
        time_ms = self.series[0].part.time(fact, as_of_ms)
        if time_ms is None:
            return ()
        if self.shape == "span":
            return self._span(cell, fact, time_ms, as_of_ms)
        hours = self.exhibit.hours
        if hours is not None and not self.gauge and not hours.is_open(time_ms):
            return ()
        named = self._named(fact, time_ms, as_of_ms)
        if not self.gauge:
            return (Contribution(self.key, cell, time_ms, named),)
        return (Contribution(self.key, cell, NO_TIME, named),) if len(named) > 1 else ()

    @cached_property
    def count(self) -> CountFunction | None:
        """What a fact of a cell adds as of the clock; None for spans and maps."""
        if self.shape in ("span", "map"):
            return None
        counted = [
            Counted(series.part.python, series.cohort == "final", settles_ms(series.kpi))
            for series in self.series
        ]
        hours = self.exhibit.hours
        counting = Counting(
            made=Contribution, group=self.key, no_time=NO_TIME, told_ms=told_of(self.fact),
            late=self._told_late, is_open=None if hours is None else hours.is_open,
        )  # fmt: skip
        return count_function(
            counted, counting, extreme=self.shape in ("max", "min"),
            sizes=len(self.exhibit.sizes), gauge=self.gauge,
        )  # fmt: skip

    def _told_late(self, place: int, settles: int, time_ms: int, late_ms: int) -> bool:
        return late_ms > settles and self._late(
            self.exhibit.sizes[place], time_ms, late_ms, settles
        )

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
        dues = [due(fact, as_of_ms) for due in self._dues]
        if self.shape == "span":
            part = self.series[0].part
            from_ms = part.time(fact, as_of_ms)
            until_ms = part.until(fact, as_of_ms) if part.until is not None else None
            dues += [from_ms, until_ms]
            hours = self.exhibit.hours
            if hours is not None and from_ms is not None and (until_ms or as_of_ms) >= as_of_ms:
                dues.append(hours.next_change_ms(as_of_ms))
        return min((due for due in dues if due is not None and due > as_of_ms), default=None)

    @cached_property
    def _dues(self) -> list[Callable[[Fact, int], int | None]]:
        """Each way of falling due once, however many series ask for it."""
        found = {s.part.python["due"]: s.part.due for s in self.series if s.part.due is not None}
        return [due for due in found.values() if due is not None]

    @property
    def is_timed(self) -> bool:
        """Whether time alone can change what a fact adds."""
        return self.shape == "span" or bool(self._dues)


def _counts(series: Series, fact: Fact, as_of_ms: int) -> bool:
    part = series.part
    if not part.of(fact, as_of_ms):
        return False
    if series.cohort != "final" or part.matures is None:
        return True
    matures_ms = part.matures(fact, as_of_ms)
    return matures_ms is not None and matures_ms <= as_of_ms
