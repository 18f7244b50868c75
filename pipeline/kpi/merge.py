"""Merging shares into windows: what the owner of an exhibit holds.

Shares of all source partitions are summed per pane, panes into windows. Windows are running sums:
a changed share moves every window it lies in by the difference, and the clock moves sliding windows
by the seconds that enter and leave.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import product
from typing import NamedTuple

from pipeline.kpi.calendar import bucket
from pipeline.kpi.panes import QUARTER_MS, SECOND_MS, PaneKey
from pipeline.kpi.plan import ExhibitPlan, Group, settles_ms
from schemas.exhibit import All, Sliding, Today, Tumbling, TumblingSize, Window
from schemas.values import TOTAL

Cell = tuple[str, ...]
Vector = list[int]


class Slot(NamedTuple):
    """One window at one place in time; ``start_ms`` is None where the clock decides it."""

    window: Window
    start_ms: int | None


@dataclass(eq=False)
class _Panes:
    """Merged panes and windows of one group in one cell, roll-ups included."""

    everything: Vector
    fine: dict[int, Vector] = field(default_factory=dict)
    buckets: dict[Slot, Vector] = field(default_factory=dict)
    running: dict[str, Vector] = field(default_factory=dict)
    shares: dict[PaneKey, dict[str, tuple[int, ...]]] = field(default_factory=dict)


class Merge:
    """State of one exhibit: shares of every source, windows, and which cells changed."""

    def __init__(self, plan: ExhibitPlan) -> None:
        exhibit = plan.exhibit
        self.plan = plan
        self.clock_ms = 0
        self._edge_ms = 0
        self.zone = exhibit.time_zone
        self.sliding = [w for w in exhibit.windows if isinstance(w, Sliding)]
        self.tumbling: list[Tumbling] = [w for w in exhibit.windows if isinstance(w, Tumbling)]
        self.today = Today() in exhibit.windows
        sizes = {w.size for w in self.tumbling}
        if self.today:
            sizes.add("day")
        self._sizes: list[TumblingSize] = sorted(sizes)
        self._groups = {group.key: group for group in plan.groups}
        # A bucket is published again when it ends, and when what lies in it has settled.
        self._delays_ms = {0} | {settles_ms(kpi) for kpi in plan.kpis}
        self._ages = [g for g in plan.groups if any(s.kpi.reads == "age" for s in g.series)]
        self._shares: dict[PaneKey, dict[str, tuple[int, ...]]] = defaultdict(dict)
        self._by_source: defaultdict[str, set[PaneKey]] = defaultdict(set)
        self._panes: dict[tuple[int, Cell], _Panes] = {}
        self._seconds: defaultdict[int, set[tuple[int, Cell]]] = defaultdict(set)
        self._ends: dict[int, set[tuple[Cell, Slot]]] = {}
        self._end_heap: list[int] = []
        self.cells: set[Cell] = {(TOTAL,) * len(exhibit.by)}
        self.dirty: set[tuple[Cell, Slot]] = set()
        self._mark_current(self.cells)

    # --- shares ---------------------------------------------------------------------------------

    def apply(self, source: str, key: PaneKey, share: Sequence[int]) -> None:
        """Let ``share`` be what ``source`` has in pane ``key`` from now on."""
        group = self._groups.get(key.group)
        if group is None:
            return
        sources = self._shares[key]
        old = sources.get(source)
        new = tuple(share)
        if any(new):
            sources[source] = new
            self._by_source[source].add(key)
        else:
            sources.pop(source, None)
            self._by_source[source].discard(key)
        if old == new or (old is None and not any(new)):
            return
        delta = [b - a for a, b in zip(old or (0,) * len(new), new, strict=True)]
        for cell in _rollups(key.cell):
            self._move(group, cell, key, delta)
        if not sources:
            del self._shares[key]

    def forget(self, source: str) -> None:
        """Take back everything ``source`` ever gave: it begins anew."""
        for key in list(self._by_source.pop(source, ())):
            width = len(self._shares[key][source])
            self.apply(source, key, (0,) * width)

    def _move(self, group: Group, cell: Cell, key: PaneKey, delta: Vector) -> None:
        panes = self._panes.get((group.key, cell))
        if panes is None:
            panes = self._panes[group.key, cell] = _Panes([0] * len(delta))
        if cell not in self.cells:
            self.cells.add(cell)
            self._mark_current([cell])
        if group.aggregate != "sum":
            panes.shares[key] = self._shares[key]
        if key.grain == "a":
            _add(panes.everything, delta)
            self._mark_all(cell, gauge=group.gauge)
            if not self.is_alive(cell):
                self.cells.discard(cell)
                self._mark_current([cell])
        elif key.grain == "q":
            self._move_buckets(panes, cell, key.number * QUARTER_MS, delta)
        else:
            self._move_fine(panes, group, cell, key.number, delta)

    def _move_buckets(self, panes: _Panes, cell: Cell, pane_ms: int, delta: Vector) -> None:
        for size in self._sizes:
            start_ms, end_ms = bucket(self.zone, size, pane_ms)
            slot = Slot(Tumbling(size), start_ms)
            vector = panes.buckets.get(slot)
            if vector is None:
                vector = panes.buckets[slot] = [0] * len(delta)
                if slot.window in self.tumbling:
                    for delay_ms in self._delays_ms:
                        self._await(end_ms + delay_ms, cell, slot)
            _add(vector, delta)
            if slot.window in self.tumbling:
                self.dirty.add((cell, slot))
        if self.today:
            self.dirty.add((cell, Slot(Today(), None)))

    def _move_fine(
        self, panes: _Panes, group: Group, cell: Cell, second: int, delta: Vector
    ) -> None:
        vector = panes.fine.get(second)
        if vector is None:
            vector = panes.fine[second] = [0] * len(delta)
            self._seconds[second].add((group.key, cell))
        _add(vector, delta)
        at_ms = second * SECOND_MS
        for window in self.sliding:
            if self._edge_ms - window.size_ms <= at_ms < self._edge_ms:
                self._add_running(panes, cell, window, delta)

    def _add_running(self, panes: _Panes, cell: Cell, window: Sliding, delta: Vector) -> None:
        running = panes.running.get(window.size)
        if running is None:
            running = panes.running[window.size] = [0] * len(delta)
        _add(running, delta)
        self.dirty.add((cell, Slot(window, None)))

    # --- the clock ------------------------------------------------------------------------------

    def advance(self, clock_ms: int) -> None:
        """Move the clock to ``clock_ms``; it never goes back. Sliding windows move by seconds."""
        if clock_ms <= self.clock_ms:
            return
        if self.clock_ms and self.today and self._day(self.clock_ms) != self._day(clock_ms):
            self.dirty.update((cell, Slot(Today(), None)) for cell in self.cells)
        self.clock_ms = clock_ms
        self._age()
        self._settle(clock_ms)
        self._advance_edge(clock_ms // SECOND_MS * SECOND_MS)

    def _age(self) -> None:
        """Whatever is told as an age grows with the clock."""
        for group in self._ages:
            for key, cell in self._panes:
                if key == group.key and self.vector(group, cell, Slot(All(), None))[2]:
                    self._mark_current([cell])

    def _advance_edge(self, clock_ms: int) -> None:
        before_ms, self._edge_ms = self._edge_ms, clock_ms
        if clock_ms == before_ms:
            return
        for window in self.sliding:
            if clock_ms - before_ms >= window.size_ms:
                self._refill(window)
            else:
                self._slide(window, before_ms, clock_ms)
        if self.sliding:
            longest_ms = max(window.size_ms for window in self.sliding)
            self._forget_seconds(clock_ms - longest_ms)

    def _slide(self, window: Sliding, before_ms: int, clock_ms: int) -> None:
        for shift_ms, sign in ((0, 1), (window.size_ms, -1)):
            first = (before_ms - shift_ms) // SECOND_MS
            for second in range(first, (clock_ms - shift_ms) // SECOND_MS):
                for group, cell in self._seconds.get(second, ()):
                    panes = self._panes[group, cell]
                    vector = [sign * n for n in panes.fine[second]]
                    self._add_running(panes, cell, window, vector)

    def _refill(self, window: Sliding) -> None:
        first = (self._edge_ms - window.size_ms) // SECOND_MS
        last = self._edge_ms // SECOND_MS
        for (_, cell), panes in self._panes.items():
            if panes.running.pop(window.size, None) is not None:
                self.dirty.add((cell, Slot(window, None)))
            for second, vector in panes.fine.items():
                if first <= second < last:
                    self._add_running(panes, cell, window, vector)

    def _forget_seconds(self, floor_ms: int) -> None:
        floor = floor_ms // SECOND_MS
        for second in [s for s in self._seconds if s < floor]:
            for place in self._seconds.pop(second):
                del self._panes[place].fine[second]

    def _day(self, at_ms: int) -> int:
        return bucket(self.zone, "day", at_ms)[0]

    def _await(self, at_ms: int, cell: Cell, slot: Slot) -> None:
        if at_ms <= self.clock_ms:
            return
        if at_ms not in self._ends:
            self._ends[at_ms] = set()
            heappush(self._end_heap, at_ms)
        self._ends[at_ms].add((cell, slot))

    def _settle(self, clock_ms: int) -> None:
        """Buckets that the clock has made final are published again."""
        while self._end_heap and self._end_heap[0] <= clock_ms:
            self.dirty |= self._ends.pop(heappop(self._end_heap))

    # --- reading --------------------------------------------------------------------------------

    def bounds(self, slot: Slot) -> tuple[int | None, int | None]:
        """Start and end of a window at the present clock, epoch ms."""
        match slot.window:
            case Sliding() as window:
                return self._edge_ms - window.size_ms, self._edge_ms
            case Today():
                return bucket(self.zone, "day", self.clock_ms)
            case Tumbling(size=size) if slot.start_ms is not None:
                return bucket(self.zone, size, slot.start_ms)
        return None, None

    def vector(self, group: Group, cell: Cell, slot: Slot) -> Sequence[int]:
        """Accumulators of ``group`` in ``cell`` over the window; zeros where there is nothing."""
        panes = self._panes.get((group.key, cell))
        zeros = [0] * group.length
        if panes is None:
            return zeros
        if group.aggregate != "sum":
            return self._extreme(group, panes, slot)
        if group.gauge:
            return panes.everything
        match slot.window:
            case Sliding(size=size):
                return panes.running.get(size, zeros)
            case Today():
                return panes.buckets.get(Slot(Tumbling("day"), self._day(self.clock_ms)), zeros)
            case Tumbling():
                return panes.buckets.get(slot, zeros)
        return panes.everything

    def _extreme(self, group: Group, panes: _Panes, slot: Slot) -> Sequence[int]:
        """Extremes are not summed: the shares in the window are looked through."""
        best: Callable[[Iterable[int]], int] = max if group.aggregate == "max" else min
        rows = exists = 0
        values = []
        for key, sources in panes.shares.items():
            if self._inside(group, key, slot):
                for share in sources.values():
                    rows += share[0]
                    exists += share[3]
                    if share[2]:
                        values.append(share[1])
        # An extreme does not tell which rows came late.
        padding = (0,) * (group.length - 4)
        extreme = (rows, best(values), 1, exists) if values else (rows, 0, 0, exists)
        return (*extreme, *padding)

    def _inside(self, group: Group, key: PaneKey, slot: Slot) -> bool:
        start_ms, end_ms = self.bounds(slot)
        if group.gauge or start_ms is None or end_ms is None:
            return key.grain == "a"
        if isinstance(slot.window, Sliding):
            return key.grain == "s" and start_ms <= key.number * SECOND_MS < end_ms
        return key.grain == "q" and start_ms <= key.number * QUARTER_MS < end_ms

    def is_alive(self, cell: Cell) -> bool:
        """Whether some fact lies in the cell; the total is always there."""
        if all(value == TOTAL for value in cell):
            return True
        found = (self._panes.get((group.key, cell)) for group in self.plan.groups)
        return any(panes is not None and panes.everything[0] for panes in found)

    def has_facts(self, cell: Cell, slot: Slot) -> bool:
        """Whether some fact of the exhibit lies in the window."""
        return any(
            self.vector(group, cell, slot)[0] for group in self.plan.groups if not group.gauge
        )

    def _mark_all(self, cell: Cell, *, gauge: bool) -> None:
        for window in self.plan.exhibit.windows:
            if window.kind == "all" or (gauge and window.kind != "tumbling"):
                self.dirty.add((cell, Slot(window, None)))

    def _mark_current(self, cells: Iterable[Cell]) -> None:
        for window in self.plan.exhibit.windows:
            if window.kind != "tumbling":
                self.dirty.update((cell, Slot(window, None)) for cell in cells)

    def everything(self) -> Iterator[tuple[Cell, Slot]]:
        """All cells and windows there are."""
        for cell in self.cells:
            for window in self.plan.exhibit.windows:
                if window.kind != "tumbling":
                    yield cell, Slot(window, None)
        for (_, cell), panes in self._panes.items():
            for slot in panes.buckets:
                if slot.window in self.tumbling:
                    yield cell, slot


def _add(vector: Vector, delta: Sequence[int]) -> None:
    for index, number in enumerate(delta):
        vector[index] += number


def _rollups(cell: Cell) -> Iterable[Cell]:
    """The cell itself and every total over some of its dimensions."""
    return product(*(((value, TOTAL) if value != TOTAL else (value,)) for value in cell))
