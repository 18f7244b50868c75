"""Panes of one source partition: sums of contributions, published as cumulative shares.

A pane is a slice of time of one cell of one group. There are three grains: seconds, for sliding
windows; quarter hours of UTC, for buckets in any zone; and everything, which also holds gauges.
A share is the whole sum of this partition in one pane, so publishing it again changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple

from pipeline.kpi.plan import NO_TIME, Contribution, Group, Plan
from pipeline.kpi.vectors import Told, Wire, add, empty_like, is_empty

Grain = Literal["s", "q", "a"]
SECOND_MS: Final = 1_000
QUARTER_MS: Final = 900_000
EVERYTHING: Final = 0

FINE_LIFE_MS: Final = 2 * 3_600_000
"""Panes of seconds older than this serve no sliding window any more."""
_TOLD_AGAIN_MS: Final = 30 * 86_400_000
"""Shares that never change are told again this often: their topic forgets records by age."""


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


def extreme_of(known: Told | None, told: Told, *, largest: bool) -> Wire:
    """Rows, extreme, whether there is any, and "exists", of two such vectors."""
    if isinstance(known, Mapping) or isinstance(told, Mapping):
        raise TypeError("an extreme is no map")
    if known is None:
        return tuple(told[:4])
    found = [vector[1] for vector in (known, told) if vector[2]]
    extreme = (max(found) if largest else min(found)) if found else 0
    return (known[0] + told[0], extreme, int(bool(found)), known[3] + told[3])


class _Extreme:
    """An extreme that can be taken back: every value is kept with its count.

    Values that can not be taken back any more are kept as the extreme of them.
    """

    __slots__ = ("exists", "frozen", "largest", "rows", "values")

    def __init__(self, *, largest: bool) -> None:
        self.largest = largest
        self.rows = 0
        self.exists = 0
        self.values: Counter[int] = Counter()
        self.frozen: int | None = None

    def freeze(self, vector: Told) -> None:
        """Let a value that was added stay for good."""
        if isinstance(vector, Mapping):
            raise TypeError("an extreme is no map")
        _, value, known, *_ = vector
        if known:
            self.values[value] -= 1
            if not self.values[value]:
                del self.values[value]
            best = max if self.largest else min
            self.frozen = value if self.frozen is None else best(self.frozen, value)

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
        found = [*self.values] if self.frozen is None else [*self.values, self.frozen]
        if not found:
            return (self.rows, 0, 0, self.exists)
        return (self.rows, max(found) if self.largest else min(found), 1, self.exists)


class Panes:
    """All live panes of one source partition, and which of them changed since the last tick.

    Quarter hours before ``floor_ms`` are held no longer, but for those of lasting groups.

    Attributes:
        floor_ms: Beginning of the first quarter hour that is held.
    """

    def __init__(self, plan: Plan) -> None:
        self.floor_ms = 0
        self._plan = plan
        self._panes: dict[PaneKey, _Sum | _Extreme] = {}
        self._dirty: set[PaneKey] = set()
        self._missed: set[PaneKey] = set()
        self._fine_floor_ms = 0
        self._told_again = 0

    def __len__(self) -> int:
        return len(self._panes)

    def change(
        self,
        old: Iterable[Contribution],
        new: Iterable[Contribution],
        *,
        corrects: bool = False,
    ) -> None:
        """Take ``old`` back exactly as it was added, and add ``new``.

        With ``corrects`` the change is news: quarter hours that it touches and that are held no
        longer are told by :meth:`drain_missed`.
        """
        for contribution in old:
            self._apply(contribution, -1)
        for contribution in new:
            self._apply(contribution, 1)
        if corrects and self.floor_ms:
            self._note_missed(tuple(old), tuple(new))

    def _note_missed(self, old: tuple[Contribution, ...], new: tuple[Contribution, ...]) -> None:
        changed = [one for one in old if one not in new] + [one for one in new if one not in old]
        for one in changed:
            group = self._plan.groups.get(one.group)
            if group is not None and NO_TIME < one.time_ms < self.floor_ms:
                self._missed.add(PaneKey(one.group, one.cell, "q", one.time_ms // QUARTER_MS))

    def _apply(self, contribution: Contribution, sign: int) -> None:
        number, cell, time_ms, vector = (
            contribution.group, contribution.cell, contribution.time_ms, contribution.vector,
        )  # fmt: skip
        group = self._plan.groups.get(number)
        if group is None:
            # Of an exhibit no longer in use: its panes are gone as a whole.
            return
        self._add(group, PaneKey(number, cell, "a", EVERYTHING), vector, sign)
        if time_ms == NO_TIME:
            return
        if time_ms >= self.floor_ms or number in group.exhibit.lasting:
            self._add(group, PaneKey(number, cell, "q", time_ms // QUARTER_MS), vector, sign)
        if group.exhibit.slides and time_ms >= self._fine_floor_ms:
            self._add(group, PaneKey(number, cell, "s", time_ms // SECOND_MS), vector, sign)

    def _add(self, group: Group, key: PaneKey, vector: Told, sign: int) -> None:
        self._pane(key, group, vector).add(vector, sign)
        self._dirty.add(key)

    def _pane(self, key: PaneKey, group: Group, like: Told) -> _Sum | _Extreme:
        pane = self._panes.get(key)
        if pane is None:
            extreme = group.shape in ("max", "min")
            pane = _Extreme(largest=group.shape == "max") if extreme else _Sum(like)
            self._panes[key] = pane
        return pane

    # --- what is frozen -------------------------------------------------------------------------

    def add_frozen(self, key: PaneKey, vector: Told) -> None:
        """Add the stored sum of what is frozen, at restore."""
        group = self._plan.groups.get(key.group)
        if group is not None:
            pane = self._pane(key, group, vector)
            pane.add(vector, 1)
            if isinstance(pane, _Extreme):
                pane.freeze(vector)

    def freeze(self, key: PaneKey, vector: Told) -> None:
        """Let what was added to a pane stay in it for good."""
        pane = self._panes.get(key)
        if isinstance(pane, _Extreme):
            pane.freeze(vector)

    def let_go(self, floor_ms: int) -> list[PaneKey]:
        """Hold no quarter hours before ``floor_ms`` any more; those that were held."""
        if floor_ms <= self.floor_ms:
            return []
        self.floor_ms = floor_ms
        groups = self._plan.groups
        old = [
            key
            for key in self._panes
            if key.grain == "q"
            and key.number * QUARTER_MS < floor_ms
            and key.group not in groups[key.group].exhibit.lasting
        ]
        for key in old:
            del self._panes[key]
        self._dirty.difference_update(old)
        return old

    def drain_missed(self) -> list[PaneKey]:
        """Quarter hours that were corrected and are not held, since the last time."""
        missed, self._missed = sorted(self._missed), set()
        return [key for key in missed if key.group in self._plan.groups]

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
        self._tell_again(tick_ms)
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

    def _tell_again(self, tick_ms: int) -> None:
        turn = tick_ms // _TOLD_AGAIN_MS
        if turn > self._told_again > 0:
            self._dirty.update(key for key in self._panes if key.grain != "s")
        self._told_again = max(self._told_again, turn)

    def _forget_fine(self, tick_ms: int) -> None:
        floor_ms = (tick_ms - FINE_LIFE_MS) // QUARTER_MS * QUARTER_MS
        if floor_ms <= self._fine_floor_ms:
            return
        self._fine_floor_ms = floor_ms
        old = [k for k in self._panes if k.grain == "s" and k.number * SECOND_MS < floor_ms]
        for key in old:
            del self._panes[key]
