"""What the windows of an exhibit hold at a moment, cell by cell: the reading half of a merge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from functools import lru_cache
from typing import NamedTuple

from pipeline.kpi.calendar import bucket
from pipeline.kpi.group import ROWS, Group
from pipeline.kpi.plan import ExhibitPlan
from pipeline.kpi.vectors import Told
from pipeline.kpi.windows import Windows
from schemas.exhibit import Sliding, Today, Tumbling, TumblingSize, Window
from schemas.values import TOTAL

Cell = tuple[str, ...]
Place = tuple[int, Cell]
"""A group of sums in a cell."""

_bounds_of_bucket = lru_cache(maxsize=65_536)(bucket)

TRENDING_PERIODS = 3
"""How many periods must each have been better than the one before for a missed value to trend."""


class Slot(NamedTuple):
    """One window at one place in time; ``start_ms`` is None where the clock decides it."""

    window: Window
    start_ms: int | None


class Held:
    """Windows of each cell of one exhibit, and the clock that they are read at.

    Attributes:
        clock_ms: The clock.
        span_ms: How far what is clipped has grown: the clock, unless a replay has come to its end.
        floor_ms: Buckets that start earlier are held no longer: nothing is published for them.
        cells: Those in which some fact lies, and the total.
    """

    def __init__(self, plan: ExhibitPlan) -> None:
        exhibit = plan.exhibit
        self.plan = plan
        self.clock_ms = 0
        self.span_ms = 0
        self.floor_ms = 0
        self._edge_ms = 0
        self.zone = exhibit.time_zone
        self.tumbling: list[Tumbling] = [w for w in exhibit.windows if isinstance(w, Tumbling)]
        self._windows: dict[Place, Windows] = {}
        self._windows_of: dict[Cell, list[Windows]] = {}
        # What is clipped is integrated once for all readings of a cell and window.
        self._looked_at: tuple[Cell, Slot] | None = None
        self._integrated: dict[int, list[int]] = {}
        self.cells: set[Cell] = {(TOTAL,) * len(exhibit.by)}

    def bounds(self, slot: Slot) -> tuple[int | None, int | None]:
        """Start and end of a window at the present clock, epoch ms."""
        match slot.window:
            case Sliding() as window:
                return self._edge_ms - window.size_ms, self._edge_ms
            case Today():
                return _bounds_of_bucket(self.zone, "day", self.clock_ms)
            case Tumbling(size=size) if slot.start_ms is not None:
                return _bounds_of_bucket(self.zone, size, slot.start_ms)
        return None, None

    def vector(self, group: Group, cell: Cell, slot: Slot) -> Sequence[int]:
        """Sums of ``group`` in ``cell`` over the window; zeros where there is nothing."""
        windows = self._windows.get((group.key, cell))
        if windows is None:
            return [0] * group.length
        if group.shape == "map":
            return [self.named(group, cell, slot).get(ROWS, 0), *(0,) * (group.length - 1)]
        start_ms, end_ms = self.bounds(slot)
        if group.shape == "span":
            return self._clipped(windows, cell, slot)
        if group.shape != "sum":
            timeless = group.gauge or start_ms is None
            fine = isinstance(slot.window, Sliding)
            return windows.extreme(
                None if timeless else start_ms, None if timeless else end_ms, fine=fine
            )
        found = self._told(windows, slot, start_ms)
        return found if isinstance(found, list) else [0] * group.length

    def named(self, group: Group, cell: Cell, slot: Slot) -> dict[str, int]:
        """Sums by name of a map; empty where there is nothing."""
        windows = self._windows.get((group.key, cell))
        found = None if windows is None else self._told(windows, slot, self.bounds(slot)[0])
        return found if isinstance(found, dict) else {}

    def _told(self, windows: Windows, slot: Slot, start_ms: int | None) -> Told | None:
        if windows.group.gauge:
            return windows.everything
        match slot.window:
            case Sliding(size=size):
                return windows.running.get(size)
            case Today() if start_ms is not None:
                return windows.buckets["day"].get(start_ms)
            case Tumbling(size=size) if start_ms is not None:
                return windows.buckets[size].get(start_ms)
        return windows.everything

    def _clipped(self, windows: Windows, cell: Cell, slot: Slot) -> list[int]:
        looked_at = self._looked_at
        if looked_at is None or looked_at[0] is not cell or looked_at[1] is not slot:
            self._looked_at, self._integrated = (cell, slot), {}
        found = self._integrated.get(windows.group.key)
        if found is None:
            found = self._integrated[windows.group.key] = self._span(windows, slot)
        return found

    def _span(self, windows: Windows, slot: Slot) -> list[int]:
        start_ms, end_ms = self.bounds(slot)
        until_ms = self.span_ms if end_ms is None else min(end_ms, self.span_ms)
        match slot.window:
            case Sliding(size=size):
                return windows.span(start_ms, until_ms, sliding=size, edge_ms=end_ms or 0)
            case Today():
                size_: TumblingSize = "day"
            case Tumbling(size=size_):
                pass
            case _:
                return windows.span(None, until_ms)
        if start_ms is not None and until_ms <= start_ms:
            return [0] * windows.group.length
        return windows.span(start_ms, until_ms, size=size_)

    def intervals(
        self, groups: Iterable[Group], cell: Cell, slot: Slot, size: TumblingSize
    ) -> Iterator[Slot]:
        """Whole intervals of the window that the clock has passed, where any group has facts."""
        start_ms, end_ms = self.bounds(slot)
        until_ms = self.clock_ms if end_ms is None else min(end_ms, self.clock_ms)
        starts: set[int] = set()
        for group in groups:
            windows = self._windows.get((group.key, cell))
            if windows is not None:
                starts.update(windows.starts(size, start_ms, until_ms))
        for begin_ms in sorted(starts):
            if bucket(self.zone, size, begin_ms)[1] <= until_ms:
                yield Slot(Tumbling(size), begin_ms)

    def days_before(self, slot: Slot, days: int) -> Iterator[Slot]:
        """The whole local days before the day that a window begins in, the latest first."""
        start_ms, _ = self.bounds(slot)
        if start_ms is None:
            return
        at_ms = self._day(start_ms)
        for _ in range(days):
            at_ms = self._day(at_ms - 1)
            yield Slot(Tumbling("day"), at_ms)

    def periods_before(self, slot: Slot, count: int) -> Iterator[Slot]:
        """The buckets right before a bucket, the latest first; none for other windows."""
        if not isinstance(slot.window, Tumbling) or slot.start_ms is None:
            return
        start_ms = slot.start_ms
        for _ in range(count):
            start_ms = bucket(self.zone, slot.window.size, start_ms - 1)[0]
            yield Slot(slot.window, start_ms)

    def is_alive(self, cell: Cell) -> bool:
        """Whether some fact lies in the cell; the total is always there."""
        if all(value == TOTAL for value in cell):
            return True
        return any(rows_of(windows.everything) for windows in self._of_cell(cell))

    def has_facts(self, cell: Cell, slot: Slot) -> bool:
        """Whether some fact of the exhibit lies in the window."""
        return any(
            self.vector(windows.group, cell, slot)[0]
            for windows in self._of_cell(cell)
            if not windows.group.gauge
        )

    @property
    def places(self) -> Set[Cell]:
        """Cells in which something was ever told."""
        return self._windows_of.keys() | self.cells

    def starts(self, cell: Cell, size: TumblingSize) -> set[int]:
        """Starts of the buckets that any group has in a cell."""
        return {start_ms for windows in self._of_cell(cell) for start_ms in windows.buckets[size]}

    def _of_cell(self, cell: Cell) -> Sequence[Windows]:
        return self._windows_of.get(cell, ())

    def _day(self, at_ms: int) -> int:
        return bucket(self.zone, "day", at_ms)[0]


def rows_of(told: Told) -> int:
    """How many facts lie in sums."""
    return told.get(ROWS, 0) if isinstance(told, dict) else told[0]
