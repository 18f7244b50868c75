"""What of an exhibit has to be read again: readings of windows of cells that something has moved.

A share moves one group of sums, so only the readings that are made of this group are marked. What
moves a whole window (a cell that appears or is gone, the first fact of a bucket, the end of a day)
marks all of them. A set of readings is an integer: bit n stands for reading n of the plan.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from typing import Final, NamedTuple

from pipeline.kpi.held import Cell, Held, Slot
from pipeline.kpi.plan import ExhibitPlan, Reading
from schemas.exhibit import Sliding, Today, Tumbling, TumblingSize

Readings = int
"""A set of readings of one exhibit."""

_NO_START: Final = -1
"""Start of a window that the clock decides; no fact lies before 1970."""
_REMEMBERED_SETS: Final = 10_000

_Window = tuple[int, int]
"""Place of a window in the exhibit, and its start."""


class Due(NamedTuple):
    """A cell and window, and what has to be read of it; ``gone`` if nothing lies in it any more."""

    cell: Cell
    slot: Slot
    readings: tuple[Reading, ...]
    gone: bool


class Dependents:
    """Which readings of an exhibit depend on what.

    Attributes:
        every: All readings.
        of_group: Those made of a group of sums, by its key.
        ages: Those of ``of_group`` that are told as an age.
        averages: Averages over time: they change with the clock.
        compared: Those of ``of_group`` that are compared with days before.
        combined: Composites of a group on intervals of a size.
        with_target: Those with a target, which may trend.
        of_now: Gauges, and composites with one: in a bucket they are read along with anything.
        settling: Those that are final so many milliseconds after the end of a bucket; what changes
            with the clock does so for the last time at the end.
    """

    def __init__(self, plan: ExhibitPlan) -> None:
        self.every: Readings = (1 << len(plan.readings)) - 1
        self.of_group: defaultdict[int, Readings] = defaultdict(int)
        self.ages: defaultdict[int, Readings] = defaultdict(int)
        self.averages: Readings = 0
        self.compared: defaultdict[int, Readings] = defaultdict(int)
        self.combined: defaultdict[tuple[int, str], Readings] = defaultdict(int)
        self.with_target: Readings = 0
        self.of_now: Readings = 0
        self.settling: defaultdict[int, Readings] = defaultdict(int)
        for number, reading in enumerate(plan.readings):
            self._take(1 << number, reading)

    def _take(self, bit: Readings, reading: Reading) -> None:
        kpi = reading.kpi
        for group, _ in reading.places:
            self.of_group[group.key] |= bit
            if kpi.reads in ("age", "mean_age"):
                self.ages[group.key] |= bit
            if kpi.reads == "psi":
                self.compared[group.key] |= bit
            if kpi.combination is not None:
                self.combined[group.key, kpi.grid] |= bit
            if group.gauge:
                self.of_now |= bit
        if kpi.reads == "time_average":
            self.averages |= bit
        if reading.entry.target is not None:
            self.with_target |= bit
        self.settling[reading.settles_ms] |= bit
        if bit & (self.of_now | self.averages):
            self.settling[0] |= bit


class Marks:
    """Marked windows of one exhibit, and what was known of them when they were last read.

    Args:
        held: The windows; who moves them marks them.
    """

    def __init__(self, held: Held) -> None:
        plan = held.plan
        self.of = Dependents(plan)
        self._held = held
        self._readings = plan.readings
        self._chosen: dict[Readings, tuple[Reading, ...]] = {}
        windows = plan.exhibit.windows
        self._windows = windows
        self._current = [n for n, window in enumerate(windows) if window.kind != "tumbling"]
        self._sliding = {w.size: n for n, w in enumerate(windows) if isinstance(w, Sliding)}
        self._bucket = {w.size: n for n, w in enumerate(windows) if isinstance(w, Tumbling)}
        self._today = [n for n, window in enumerate(windows) if window == Today()]
        self._all_time = [n for n, window in enumerate(windows) if window.kind == "all"]
        self._marked: dict[Cell, dict[_Window, Readings]] = {}
        self._ends: dict[int, dict[tuple[Cell, _Window], Readings]] = {}
        self._end_heap: list[int] = []
        # By start of a bucket: windows that were read, and whether anything was in them.
        self._known: defaultdict[int, dict[tuple[Cell, int], bool]] = defaultdict(dict)

    # --- marking --------------------------------------------------------------------------------

    def current(self, cell: Cell, readings: Readings) -> None:
        """Mark the windows whose place the clock decides."""
        for number in self._current:
            self._mark(cell, (number, _NO_START), readings)

    def sliding(self, cell: Cell, size: str, readings: Readings) -> None:
        """Mark a sliding window of the exhibit."""
        self._mark(cell, (self._sliding[size], _NO_START), readings)

    def today(self, cell: Cell, readings: Readings) -> None:
        """Mark the present day, if the exhibit has it."""
        for number in self._today:
            self._mark(cell, (number, _NO_START), readings)

    def all_time(self, cell: Cell, readings: Readings) -> None:
        """Mark the window of everything, if the exhibit has it."""
        for number in self._all_time:
            self._mark(cell, (number, _NO_START), readings)

    def bucket(self, cell: Cell, size: TumblingSize, start_ms: int, readings: Readings) -> None:
        """Mark a bucket of a size of the exhibit."""
        self._mark(cell, (self._bucket[size], start_ms), readings)

    def _mark(self, cell: Cell, window: _Window, readings: Readings) -> None:
        if not readings:
            return
        of_cell = self._marked.get(cell)
        if of_cell is None:
            of_cell = self._marked[cell] = {}
        of_cell[window] = of_cell.get(window, 0) | readings

    # --- what the clock marks -------------------------------------------------------------------

    def await_bucket(
        self, at_ms: int, cell: Cell, size: TumblingSize, start_ms: int, readings: Readings
    ) -> None:
        """Mark a bucket when the clock has come to ``at_ms``."""
        self._await(at_ms, cell, (self._bucket[size], start_ms), readings)

    def await_sliding(self, at_ms: int, cell: Cell, size: str, readings: Readings) -> None:
        """Mark a sliding window when the clock has come to ``at_ms``."""
        self._await(at_ms, cell, (self._sliding[size], _NO_START), readings)

    def await_current(self, at_ms: int, cell: Cell, readings: Readings) -> None:
        """Mark the windows whose place the clock decides when it has come to ``at_ms``."""
        for number in self._current:
            self._await(at_ms, cell, (number, _NO_START), readings)

    def _await(self, at_ms: int, cell: Cell, window: _Window, readings: Readings) -> None:
        if at_ms <= self._held.clock_ms or not readings:
            return
        ends = self._ends.get(at_ms)
        if ends is None:
            ends = self._ends[at_ms] = {}
            heappush(self._end_heap, at_ms)
        ends[cell, window] = ends.get((cell, window), 0) | readings

    def pass_to(self, clock_ms: int) -> None:
        """Mark what was to be marked up to a moment."""
        while self._end_heap and self._end_heap[0] <= clock_ms:
            for (cell, window), readings in self._ends.pop(heappop(self._end_heap)).items():
                self._mark(cell, window, readings)

    def let_go(self, floor_ms: int) -> None:
        """Forget what is known of buckets that start before ``floor_ms``."""
        for start_ms in [at for at in self._known if _NO_START < at < floor_ms]:
            del self._known[start_ms]

    # --- reading --------------------------------------------------------------------------------

    def due(self, *, everything: bool = False, moving_only: bool = False) -> Iterator[Due]:
        """What has to be read, by cell and window; it is marked no longer once it was handed out.

        Args:
            everything: All that is held, marked or not.
            moving_only: Leave buckets marked.
        """
        marked, self._marked = self._marked, {}
        for cell in sorted(marked.keys() | self._held.places if everything else marked):
            windows = marked.get(cell, {})
            if everything:
                windows = windows | dict.fromkeys(self._all_of(cell), self.of.every)
            for window, readings in sorted(windows.items()):
                if window[1] == _NO_START:
                    yield from self._due_now(cell, window[0], readings)
                elif moving_only:
                    self._mark(cell, window, readings)
                elif window[1] >= self._held.floor_ms:
                    yield from self._due_bucket(cell, window, readings)

    def _all_of(self, cell: Cell) -> Iterator[_Window]:
        if cell in self._held.cells:
            for number in self._current:
                yield number, _NO_START
        for size, number in self._bucket.items():
            for start_ms in self._held.starts(cell, size):
                yield number, start_ms

    def _due_now(self, cell: Cell, number: int, readings: Readings) -> Iterable[Due]:
        known, place = self._known[_NO_START], (cell, number)
        gone = cell not in self._held.cells
        if gone or place not in known:
            readings = self.of.every
        if gone:
            known.pop(place, None)
        else:
            known[place] = True
        yield Due(cell, Slot(self._windows[number], None), self._choose(readings), gone)

    def _due_bucket(self, cell: Cell, window: _Window, readings: Readings) -> Iterable[Due]:
        number, start_ms = window
        slot = Slot(self._windows[number], start_ms)
        gone = not self._held.has_facts(cell, slot)
        was_gone = self._known[start_ms].get((cell, number))
        if gone and was_gone:
            return
        if gone != was_gone:
            readings = self.of.every
            self._known[start_ms][cell, number] = gone
        yield Due(cell, slot, self._choose(readings | self.of.of_now), gone)

    def _choose(self, readings: Readings) -> tuple[Reading, ...]:
        found = self._chosen.get(readings)
        if found is None:
            if len(self._chosen) >= _REMEMBERED_SETS:
                self._chosen.clear()
            found = self._chosen[readings] = tuple(
                reading for n, reading in enumerate(self._readings) if readings >> n & 1
            )
        return found
