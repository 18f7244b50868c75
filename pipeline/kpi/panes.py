"""Panes of one source partition: sums of contributions, published as cumulative shares.

A pane is a slice of time of one cell of one group. There are three grains: seconds, for sliding
windows; quarter hours of UTC, for buckets in any zone; and everything, which also holds gauges.
A share is the whole sum of this partition in one pane, so publishing it again changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal, NamedTuple

from pipeline.kpi.plan import NO_TIME, Contribution, Plan
from pipeline.kpi.vectors import Told, Wire, add, empty_like, is_empty

Grain = Literal["s", "q", "a"]
SECOND_MS: Final = 1_000
QUARTER_MS: Final = 900_000
EVERYTHING: Final = 0

FINE_LIFE_MS: Final = 2 * 3_600_000
"""Panes of seconds older than this serve no sliding window any more."""


class PaneKey(NamedTuple):
    """One pane: group, cell, grain and number (epoch divided by the grain)."""

    group: int
    cell: tuple[str, ...]
    grain: Grain
    number: int


class _Sum:
    """Linear accumulators, by place or by name."""

    __slots__ = ("vector",)

    def __init__(self, like: Told) -> None:
        self.vector = empty_like(like)

    def add(self, vector: Told, sign: int) -> None:
        add(self.vector, vector, sign)

    def share(self) -> Wire:
        return dict(self.vector) if isinstance(self.vector, dict) else tuple(self.vector)


class _Extreme:
    """An extreme that can be taken back: every value is kept with its count."""

    __slots__ = ("exists", "largest", "rows", "values")

    def __init__(self, *, largest: bool) -> None:
        self.largest = largest
        self.rows = 0
        self.exists = 0
        self.values: Counter[int] = Counter()

    def add(self, vector: Told, sign: int) -> None:
        if isinstance(vector, Mapping):
            raise TypeError("an extreme is no map")
        rows, value, known, exists, *_ = vector
        self.rows += sign * rows
        self.exists += sign * exists
        if known:
            self.values[value] += sign
            if not self.values[value]:
                del self.values[value]

    def share(self) -> Wire:
        if not self.values:
            return (self.rows, 0, 0, self.exists)
        extreme = max(self.values) if self.largest else min(self.values)
        return (self.rows, extreme, 1, self.exists)


class Panes:
    """All live panes of one source partition, and which of them changed since the last tick."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._panes: dict[PaneKey, _Sum | _Extreme] = {}
        self._dirty: set[PaneKey] = set()
        self._fine_floor_ms = 0

    def __len__(self) -> int:
        return len(self._panes)

    def change(self, old: Iterable[Contribution], new: Iterable[Contribution]) -> None:
        """Take ``old`` back exactly as it was added, and add ``new``."""
        for contribution in old:
            self._apply(contribution, -1)
        for contribution in new:
            self._apply(contribution, 1)

    def _apply(self, contribution: Contribution, sign: int) -> None:
        group = self._plan.groups.get(contribution.group)
        if group is None:
            # Of an exhibit no longer in use: its panes are gone as a whole.
            return
        for key in self._keys(contribution, slides=group.exhibit.slides):
            pane = self._panes.get(key)
            if pane is None:
                if group.shape in ("max", "min"):
                    pane = _Extreme(largest=group.shape == "max")
                else:
                    pane = _Sum(contribution.vector)
                self._panes[key] = pane
            pane.add(contribution.vector, sign)
            self._dirty.add(key)

    def _keys(self, contribution: Contribution, *, slides: bool) -> Iterator[PaneKey]:
        group, cell, time_ms = contribution.group, contribution.cell, contribution.time_ms
        yield PaneKey(group, cell, "a", EVERYTHING)
        if time_ms == NO_TIME:
            return
        yield PaneKey(group, cell, "q", time_ms // QUARTER_MS)
        if slides and time_ms >= self._fine_floor_ms:
            yield PaneKey(group, cell, "s", time_ms // SECOND_MS)

    def use(self, plan: Plan) -> list[PaneKey]:
        """Count by another plan from now on; the panes that are gone with it."""
        self._plan = plan
        gone = [key for key in self._panes if key.group not in plan.groups]
        for key in gone:
            del self._panes[key]
        self._dirty.difference_update(gone)
        return gone

    def all_dirty(self) -> None:
        """Publish every pane at the next tick: what was published before is not known."""
        self._dirty.update(self._panes)

    def drain(self, tick_ms: int) -> list[tuple[PaneKey, Wire]]:
        """Shares that changed since the last tick, in a fixed order; empty ones as no rows."""
        self._forget_fine(tick_ms)
        shares = []
        for key in sorted(self._dirty):
            pane = self._panes.get(key)
            if pane is None:
                continue
            share = pane.share()
            shares.append((key, share))
            if is_empty(share):
                del self._panes[key]
        self._dirty.clear()
        return shares

    def _forget_fine(self, tick_ms: int) -> None:
        floor_ms = (tick_ms - FINE_LIFE_MS) // QUARTER_MS * QUARTER_MS
        if floor_ms <= self._fine_floor_ms:
            return
        self._fine_floor_ms = floor_ms
        old = [k for k in self._panes if k.grain == "s" and k.number * SECOND_MS < floor_ms]
        for key in old:
            del self._panes[key]
