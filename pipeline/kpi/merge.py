"""Merging shares into windows: what the owner of an exhibit holds.

Shares of all source partitions are summed per pane, panes into windows of each cell and of each
total over cells. The clock moves sliding windows by the seconds that enter and leave, and lets what
is clipped and still open grow.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import product
from typing import NamedTuple

from pipeline.kpi.calendar import bucket
from pipeline.kpi.group import Group
from pipeline.kpi.held import TRENDING_PERIODS, Cell, Held, Place, rows_of
from pipeline.kpi.marks import Marks, Readings
from pipeline.kpi.panes import QUARTER_MS, SECOND_MS, PaneKey
from pipeline.kpi.plan import ExhibitPlan
from pipeline.kpi.spans import COUNT, OPEN
from pipeline.kpi.vectors import Told, add, change, is_empty
from pipeline.kpi.windows import Windows
from schemas.exhibit import Sliding, Today, TumblingSize
from schemas.values import TOTAL

DAY_MS = 86_400_000


class _Bucket(NamedTuple):
    size: TumblingSize
    start_ms: int
    end_ms: int


class Merge(Held):
    """State of one exhibit: shares of every source, windows, and which values may have changed.

    Attributes:
        marks: What has to be read again.
    """

    def __init__(self, plan: ExhibitPlan) -> None:
        super().__init__(plan)
        exhibit = plan.exhibit
        self._let_go_of: dict[Place, list[int]] = {}
        self.sliding = [w for w in exhibit.windows if isinstance(w, Sliding)]
        self.today = Today() in exhibit.windows
        self._groups = {group.key: group for group in plan.groups}
        self._baseline_days = {
            group.key: int(str(r.kpi.parameters["baseline_days"]))
            for r in plan.readings
            if r.kpi.reads == "psi"
            for group, _ in r.places
        }
        self._shares: dict[PaneKey, dict[str, Told]] = defaultdict(dict)
        self._by_source: defaultdict[str, set[PaneKey]] = defaultdict(set)
        self._seconds: defaultdict[int, set[Place]] = defaultdict(set)
        self._aging: set[Place] = set()
        # By size of a sliding window: where what is clipped begins or ends in it.
        self._turning: defaultdict[str, set[Place]] = defaultdict(set)
        self._open: set[Place] = set()
        self._turned: dict[Place, int] = {}
        self._told_spans: set[Place] = set()
        self.marks = Marks(self)
        self._of = self.marks.of
        for cell in self.cells:
            self.marks.current(cell, self._of.every)

    # --- shares ---------------------------------------------------------------------------------

    def apply(self, source: str, key: PaneKey, share: Told) -> None:
        """Let ``share`` be what ``source`` has in pane ``key`` from now on."""
        group = self._groups.get(key.group)
        if group is None or self._is_old(key):
            return
        sources = self._shares[key]
        old = sources.get(source)
        empty = is_empty(share)
        if empty:
            sources.pop(source, None)
            self._by_source[source].discard(key)
        else:
            sources[source] = share
            self._by_source[source].add(key)
        if old == share or (old is None and empty):
            return
        self._looked_at = None
        delta = change(old, share)
        buckets = self._buckets_of(group, key)
        for cell in _rollups(key.cell):
            self._move(group, cell, key, delta, buckets)
        if not sources:
            del self._shares[key]

    def forget(self, source: str) -> None:
        """Take back everything ``source`` ever gave: it begins anew."""
        for key in list(self._by_source.pop(source, ())):
            self.apply(source, key, ())

    def let_go(self, floor_ms: int) -> None:
        """Hold no buckets any more that start before ``floor_ms``; it never goes back."""
        if floor_ms <= self.floor_ms:
            return
        self._looked_at = None
        self.floor_ms = floor_ms
        self.marks.let_go(floor_ms)
        lasting = self.plan.lasting
        for (key, _), windows in self._windows.items():
            kept = self.plan.grids if key in lasting else ()
            windows.let_go(floor_ms, [s for s in windows.group.bucket_sizes if s not in kept])
            if windows.shares:
                windows.shares = {k: v for k, v in windows.shares.items() if not self._is_old(k)}
        for pane in [pane for pane in self._shares if self._is_old(pane)]:
            for source in self._shares.pop(pane):
                self._by_source[source].discard(pane)
        for place, windows in self._windows.items():
            if windows.group.shape == "span":
                self._note_let_go(place, corrected=False)

    def _is_old(self, key: PaneKey) -> bool:
        """Whether no bucket that is held contains a pane."""
        old = key.grain == "q" and key.number * QUARTER_MS < self.floor_ms
        return old and key.group not in self.plan.lasting

    def _note_let_go(self, place: Place, *, corrected: bool) -> None:
        """What is clipped may reach out of what is held no longer, and be corrected there."""
        sizes = self._windows[place].group.bucket_sizes
        if not self.floor_ms or not sizes:
            return
        turns = self._windows[place].let_go_of(sizes[0])
        if corrected and turns != self._let_go_of.get(place, [0] * len(turns)):
            self._turned[place] = self.floor_ms
        self._let_go_of[place] = turns

    def _buckets_of(self, group: Group, key: PaneKey) -> Sequence[_Bucket]:
        """The buckets that a pane lies in."""
        if key.grain != "q":
            return ()
        pane_ms = key.number * QUARTER_MS
        return [_Bucket(size, *bucket(self.zone, size, pane_ms)) for size in group.bucket_sizes]

    def _move(
        self, group: Group, cell: Cell, key: PaneKey, delta: Told, buckets: Sequence[_Bucket]
    ) -> None:
        place = (group.key, cell)
        windows = self._windows.get(place)
        if windows is None:
            windows = self._windows[place] = Windows(group, delta, group.bucket_sizes)
            windows.floor_ms = self.floor_ms
            self._windows_of.setdefault(cell, []).append(windows)
            if self._of.ages[group.key]:
                self._aging.add(place)
        if group.shape in ("max", "min"):
            windows.shares[key] = self._shares[key]
        elif group.shape == "span":
            self._told_spans.add(place)
        if key.grain == "a":
            self._move_everything(windows, place, delta)
        elif key.grain == "q":
            self._move_buckets(windows, place, key.number * QUARTER_MS, delta, buckets)
        else:
            self._move_fine(windows, place, key.number, delta)

    def _move_everything(self, windows: Windows, place: Place, delta: Told) -> None:
        cell, group = place[1], windows.group
        add(windows.everything, delta)
        if group.shape == "span":
            open_ = isinstance(windows.everything, list) and windows.everything[OPEN] != 0
            (self._open.add if open_ else self._open.discard)(place)
        mark = self.marks.current if group.gauge else self.marks.all_time
        mark(cell, self._of.of_group[group.key])
        if self.is_alive(cell) != (cell in self.cells):
            (self.cells.discard if cell in self.cells else self.cells.add)(cell)
            self.marks.current(cell, self._of.every)

    def _move_buckets(
        self,
        windows: Windows,
        place: Place,
        pane_ms: int,
        delta: Told,
        buckets: Sequence[_Bucket],
    ) -> None:
        key, cell = place
        readings = self._of.of_group[key]
        for size, start_ms, end_ms in buckets:
            if start_ms < self.floor_ms and not self._lasts(windows, size):
                continue
            if windows.add_bucket(size, start_ms, delta):
                self._await_end(size, start_ms, end_ms, place)
            self._mark_bucket(cell, size, start_ms, readings)
        if key in self._baseline_days:
            self._mark_compared(place, pane_ms, self._baseline_days[key])
        if windows.group.shape == "span":
            self._turned[place] = min(self._turned.get(place, pane_ms), pane_ms)
        self.marks.today(cell, readings)

    def _lasts(self, windows: Windows, size: TumblingSize) -> bool:
        return windows.group.key in self.plan.lasting and size in self.plan.grids

    def _mark_bucket(
        self, cell: Cell, size: TumblingSize, start_ms: int, readings: Readings
    ) -> None:
        if size not in self.plan.sizes:
            return
        self.marks.bucket(cell, size, start_ms, readings)
        if readings & self._of.with_target:
            # Whether later periods are better than this one may have changed with it.
            for _ in range(TRENDING_PERIODS):
                start_ms = bucket(self.zone, size, start_ms)[1]
                if any(start_ms in w.buckets[size] for w in self._of_cell(cell)):
                    self.marks.bucket(cell, size, start_ms, readings & self._of.with_target)

    def _mark_compared(self, place: Place, pane_ms: int, days: int) -> None:
        """Windows of the days after a pane are compared with a baseline that holds it."""
        key, cell = place
        readings = self._of.compared[key]
        self.marks.current(cell, readings)
        day_end_ms = bucket(self.zone, "day", pane_ms)[1]
        until_ms = day_end_ms + (days + 1) * DAY_MS
        for size in self.plan.sizes:
            for windows in self._of_cell(cell):
                for start_ms in windows.starts(size, day_end_ms, until_ms):
                    self._mark_bucket(cell, size, start_ms, readings)

    def _move_fine(self, windows: Windows, place: Place, second: int, delta: Told) -> None:
        if windows.add_fine(second, delta):
            self._seconds[second].add(place)
        at_ms = second * SECOND_MS
        for window in self.sliding:
            if self._edge_ms - window.size_ms <= at_ms < self._edge_ms:
                self._run(windows, place, window, delta)

    def _run(
        self, windows: Windows, place: Place, window: Sliding, delta: Told, sign: int = 1
    ) -> None:
        windows.add_running(window.size, delta, sign)
        if windows.group.shape == "span":
            self._turning[window.size].add(place)
        self._mark_sliding(place, window)

    def _mark_sliding(self, place: Place, window: Sliding) -> None:
        self.marks.sliding(place[1], window.size, self._of.of_group[place[0]])

    # --- the clock ------------------------------------------------------------------------------

    def advance(self, clock_ms: int, span_ms: int | None = None) -> None:
        """Move the clock to ``clock_ms``; it never goes back. Sliding windows move by seconds.

        What is clipped grows to ``span_ms``, if that is earlier than the clock.
        """
        if clock_ms <= self.clock_ms:
            return
        if self.clock_ms and self.today and self._day(self.clock_ms) != self._day(clock_ms):
            for cell in self.cells:
                self.marks.today(cell, self._of.every)
        self._looked_at = None
        self.clock_ms = clock_ms
        grown_from_ms = self.span_ms
        self.span_ms = max(self.span_ms, clock_ms if span_ms is None else span_ms)
        self._age()
        self.marks.pass_to(clock_ms)
        told, self._told_spans = self._told_spans, set()
        for place in told:
            self._note_let_go(place, corrected=True)
        self._grow(grown_from_ms)
        self._advance_edge(clock_ms // SECOND_MS * SECOND_MS)

    def _age(self) -> None:
        """Whatever is told as an age grows with the clock, and so does what is averaged over."""
        for place in self._aging:
            if rows_of(self._windows[place].everything):
                self.marks.current(place[1], self._of.ages[place[0]])
        if self._of.averages:
            starts = [(size, bucket(self.zone, size, self.clock_ms)[0]) for size in self.plan.sizes]
            for cell in self.cells:
                self.marks.current(cell, self._of.averages)
                for size, start_ms in starts:
                    self.marks.bucket(cell, size, start_ms, self._of.averages)

    def _grow(self, from_ms: int) -> None:
        """Whatever is clipped and open reaches into the windows up to the clock."""
        turned, self._turned = self._turned, {}
        for place in {*turned, *self._open}:
            begin_ms = min(from_ms, turned.get(place, from_ms))
            key, cell = place
            self.marks.current(cell, self._of.of_group[key])
            for size in self._windows[place].group.bucket_sizes:
                if size in self.plan.sizes or self._of.combined[key, size]:
                    self._reach(self._windows[place], place, size, begin_ms)

    def _reach(self, windows: Windows, place: Place, size: TumblingSize, from_ms: int) -> None:
        key, cell = place
        start_ms, end_ms = bucket(self.zone, size, max(from_ms, self.floor_ms))
        while start_ms < self.span_ms:
            if start_ms < self.floor_ms:
                start_ms, end_ms = bucket(self.zone, size, end_ms)
                continue
            if windows.goes_on(size, start_ms):
                if windows.add_bucket(size, start_ms, None):
                    self._await_end(size, start_ms, end_ms, place)
            elif start_ms not in windows.buckets[size]:
                following = next(windows.starts(size, start_ms, self.span_ms), None)
                if following is None:
                    return
                start_ms, end_ms = bucket(self.zone, size, following)
            self._mark_bucket(cell, size, start_ms, self._of.of_group[key])
            start_ms, end_ms = bucket(self.zone, size, end_ms)

    def _advance_edge(self, clock_ms: int) -> None:
        before_ms, self._edge_ms = self._edge_ms, clock_ms
        if clock_ms == before_ms:
            return
        for window in self.sliding:
            if self._baseline_days and self._begins_another_day(window, before_ms, clock_ms):
                for key, cell in self._windows:
                    self.marks.sliding(cell, window.size, self._of.compared[key])
            if clock_ms - before_ms >= window.size_ms:
                self._refill(window)
            else:
                self._slide(window, before_ms, clock_ms)
            self._clip(window)
        if self.sliding:
            longest_ms = max(window.size_ms for window in self.sliding)
            self._forget_seconds(clock_ms - longest_ms)

    def _clip(self, window: Sliding) -> None:
        """What reaches into a sliding window from before it, and ends in it, grows less."""
        turning = self._turning[window.size]
        for place in list(turning):
            windows = self._windows[place]
            inside, all_ = windows.running.get(window.size), windows.everything
            if not isinstance(inside, list) or not isinstance(all_, list) or not inside[COUNT]:
                turning.discard(place)
            elif all_[OPEN] != inside[OPEN]:
                self._mark_sliding(place, window)

    def _begins_another_day(self, window: Sliding, before_ms: int, clock_ms: int) -> bool:
        """Whether the days that a sliding window is compared with are others than before."""
        return self._day(before_ms - window.size_ms) != self._day(clock_ms - window.size_ms)

    def _slide(self, window: Sliding, before_ms: int, clock_ms: int) -> None:
        for shift_ms, sign in ((0, 1), (window.size_ms, -1)):
            first = (before_ms - shift_ms) // SECOND_MS
            for second in range(first, (clock_ms - shift_ms) // SECOND_MS):
                for place in self._seconds.get(second, ()):
                    windows = self._windows[place]
                    self._run(windows, place, window, windows.fine[second], sign)

    def _refill(self, window: Sliding) -> None:
        first = (self._edge_ms - window.size_ms) // SECOND_MS
        last = self._edge_ms // SECOND_MS
        for place, windows in self._windows.items():
            if windows.running.pop(window.size, None) is not None:
                self._mark_sliding(place, window)
            for second, vector in windows.fine.items():
                if first <= second < last:
                    self._run(windows, place, window, vector)

    def _forget_seconds(self, floor_ms: int) -> None:
        floor = floor_ms // SECOND_MS
        for second in [s for s in self._seconds if s < floor]:
            for place in self._seconds.pop(second):
                del self._windows[place].fine[second]

    def _await_end(self, size: TumblingSize, start_ms: int, end_ms: int, place: Place) -> None:
        key, cell = place
        if size in self.plan.sizes:
            # A bucket is published again when it ends, and when what lies in it has settled.
            for delay_ms, readings in self._of.settling.items():
                self.marks.await_bucket(end_ms + delay_ms, cell, size, start_ms, readings)
        self._await_interval(start_ms, end_ms, cell, self._of.combined[key, size])

    def _await_interval(self, start_ms: int, end_ms: int, cell: Cell, readings: Readings) -> None:
        """An interval of a grid counts in every window it lies in, from its end on."""
        self.marks.await_current(end_ms, cell, readings)
        for window in self.sliding:
            at_ms = start_ms + window.size_ms + SECOND_MS
            self.marks.await_sliding(at_ms, cell, window.size, readings)
        for size in self.plan.sizes:
            slot_ms = bucket(self.zone, size, start_ms)[0]
            self.marks.await_bucket(end_ms, cell, size, slot_ms, readings)


def _rollups(cell: Cell) -> Iterable[Cell]:
    """The cell itself and every total over some of its dimensions."""
    return product(*(((value, TOTAL) if value != TOTAL else (value,)) for value in cell))
