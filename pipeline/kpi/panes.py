"""Panes of one source partition: sums of contributions, published as cumulative shares.

A pane is a slice of time of one cell of one group. There are three grains: seconds, for sliding
windows; quarter hours of UTC, for buckets in any zone; and everything, which also holds gauges.
A share is the whole sum of this partition in one pane, so publishing it again changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from operator import sub as minus
from typing import Final, Literal, NamedTuple

from pipeline.kpi.group import NO_TIME, Contribution, Group
from pipeline.kpi.plan import Plan
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
    """Linear accumulators of one pane, by place or by name."""

    __slots__ = ("dirty", "key", "vector")

    def __init__(self, key: PaneKey, like: Told) -> None:
        self.key = key
        self.dirty = False
        self.vector = empty_like(like)

    def add(self, vector: Told, sign: int) -> None:
        add(self.vector, vector, sign)

    def share(self) -> Wire:
        return dict(self.vector) if isinstance(self.vector, dict) else tuple(self.vector)


def extreme_of(known: Told | None, told: Told, *, largest: bool) -> Wire:
    """Rows, extreme, whether there is any, and "exists", of two such vectors."""
    if isinstance(known, dict) or isinstance(told, dict):
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

    __slots__ = ("dirty", "exists", "frozen", "key", "largest", "rows", "values")

    def __init__(self, key: PaneKey, *, largest: bool) -> None:
        self.key = key
        self.dirty = False
        self.largest = largest
        self.rows = 0
        self.exists = 0
        self.values: Counter[int] = Counter()
        self.frozen: int | None = None

    def freeze(self, vector: Told) -> None:
        """Let a value that was added stay for good."""
        if isinstance(vector, dict):
            raise TypeError("an extreme is no map")
        _, value, known, *_ = vector
        if known:
            self.values[value] -= 1
            if not self.values[value]:
                del self.values[value]
            best = max if self.largest else min
            self.frozen = value if self.frozen is None else best(self.frozen, value)

    def add(self, vector: Told, sign: int) -> None:
        if isinstance(vector, dict):
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


_Pane = _Sum | _Extreme


class _Place:
    """All panes of one cell of one group, each made when something is added to it."""

    __slots__ = ("cell", "everything", "group", "is_extreme", "lasts", "quarters", "seconds")

    def __init__(self, group: Group, cell: tuple[str, ...]) -> None:
        self.group = group
        self.cell = cell
        self.is_extreme = group.shape in ("max", "min")
        self.lasts = group.key in group.exhibit.lasting
        self.everything: _Pane | None = None
        self.quarters: dict[int, _Pane] = {}
        self.seconds: dict[int, _Pane] = {}

    def make(self, grain: Grain, number: int, like: Told) -> _Pane:
        """A pane of nothing, kept here."""
        key = PaneKey(self.group.key, self.cell, grain, number)
        pane: _Pane
        if self.is_extreme:
            pane = _Extreme(key, largest=self.group.shape == "max")
        else:
            pane = _Sum(key, like)
        if grain == "a":
            self.everything = pane
        else:
            (self.quarters if grain == "q" else self.seconds)[number] = pane
        return pane

    def find(self, grain: Grain, number: int) -> _Pane | None:
        """A pane, if there is one."""
        if grain == "a":
            return self.everything
        return (self.quarters if grain == "q" else self.seconds).get(number)

    def remove(self, key: PaneKey) -> None:
        """Let a pane go."""
        if key.grain == "a":
            self.everything = None
        else:
            (self.quarters if key.grain == "q" else self.seconds).pop(key.number, None)

    def __iter__(self) -> Iterator[_Pane]:
        if self.everything is not None:
            yield self.everything
        yield from self.quarters.values()
        yield from self.seconds.values()


class Panes:
    """All live panes of one source partition, and which of them changed since the last tick.

    Quarter hours before ``floor_ms`` are held no longer, but for those of lasting groups.

    Attributes:
        floor_ms: Beginning of the first quarter hour that is held.
    """

    def __init__(self, plan: Plan) -> None:
        self.floor_ms = 0
        self._plan = plan
        self._places: dict[tuple[int, tuple[str, ...]], _Place] = {}
        self._dirty: list[_Pane] = []
        self._missed: set[PaneKey] = set()
        self._fine_floor_ms = 0
        self._told_again = 0

    def __len__(self) -> int:
        return sum(1 for _ in self._all())

    def _all(self) -> Iterator[_Pane]:
        for place in self._places.values():
            yield from place

    def change(
        self,
        old: Sequence[Contribution],
        new: Sequence[Contribution],
        *,
        corrects: bool = False,
    ) -> None:
        """Take ``old`` back exactly as it was added, and add ``new``.

        With ``corrects`` the change is news: quarter hours that it touches and that are held no
        longer are told by :meth:`drain_missed`.
        """
        known = {(one.group, one.cell, one.time_ms): one for one in old} if old and new else {}
        if len(known) < len(old):
            for one in old:
                self._apply(one, one.vector, -1)
            known.clear()
        for one in new:
            before = known.pop((one.group, one.cell, one.time_ms), None)
            if before is None:
                self._apply(one, one.vector, 1)
            elif before.vector != one.vector:
                self._replace(before, one)
        for one in known.values():
            self._apply(one, one.vector, -1)
        if corrects and self.floor_ms:
            self._note_missed(old, new)

    def _note_missed(self, old: Sequence[Contribution], new: Sequence[Contribution]) -> None:
        if all(one.time_ms >= self.floor_ms or one.time_ms == NO_TIME for one in (*old, *new)):
            return
        changed = [one for one in old if one not in new] + [one for one in new if one not in old]
        for one in changed:
            if one.group in self._plan.groups and NO_TIME < one.time_ms < self.floor_ms:
                self._missed.add(PaneKey(one.group, one.cell, "q", one.time_ms // QUARTER_MS))

    def _replace(self, old: Contribution, new: Contribution) -> None:
        """Take one contribution back and add another to the same panes; of sums, the difference."""
        group = self._plan.groups.get(new.group)
        if isinstance(old.vector, tuple) and isinstance(new.vector, tuple):
            linear = group is not None and group.shape in ("sum", "span")
            if linear and len(old.vector) == len(new.vector):
                self._apply(new, tuple(map(minus, new.vector, old.vector)), 1)
                return
        self._apply(old, old.vector, -1)
        self._apply(new, new.vector, 1)

    def _apply(self, contribution: Contribution, vector: Wire, sign: int) -> None:
        place = self._places.get((contribution.group, contribution.cell))
        if place is None:
            group = self._plan.groups.get(contribution.group)
            if group is None:
                # Of an exhibit no longer in use: its panes are gone as a whole.
                return
            place = self._place(group, contribution.cell)
        time_ms = contribution.time_ms
        panes = [place.everything or place.make("a", EVERYTHING, vector)]
        if time_ms != NO_TIME:
            if time_ms >= self.floor_ms or place.lasts:
                number = time_ms // QUARTER_MS
                panes.append(place.quarters.get(number) or place.make("q", number, vector))
            if place.group.exhibit.slides and time_ms >= self._fine_floor_ms:
                number = time_ms // SECOND_MS
                panes.append(place.seconds.get(number) or place.make("s", number, vector))
        for pane in panes:
            pane.add(vector, sign)
            if not pane.dirty:
                pane.dirty = True
                self._dirty.append(pane)

    def _place(self, group: Group, cell: tuple[str, ...]) -> _Place:
        place = self._places.get((group.key, cell))
        if place is None:
            place = self._places[group.key, cell] = _Place(group, cell)
        return place

    # --- what is frozen -------------------------------------------------------------------------

    def add_frozen(self, key: PaneKey, vector: Told) -> None:
        """Add the stored sum of what is frozen, at restore."""
        group = self._plan.groups.get(key.group)
        if group is not None:
            place = self._place(group, key.cell)
            found = place.find(key.grain, key.number)
            pane = found if found is not None else place.make(key.grain, key.number, vector)
            pane.add(vector, 1)
            if isinstance(pane, _Extreme):
                pane.freeze(vector)

    def freeze(self, key: PaneKey, vector: Told) -> None:
        """Let what was added to a pane stay in it for good."""
        place = self._places.get((key.group, key.cell))
        pane = place.find(key.grain, key.number) if place is not None else None
        if isinstance(pane, _Extreme):
            pane.freeze(vector)

    def let_go(self, floor_ms: int) -> list[PaneKey]:
        """Hold no quarter hours before ``floor_ms`` any more; those that were held."""
        if floor_ms <= self.floor_ms:
            return []
        self.floor_ms = floor_ms
        old: list[PaneKey] = []
        for place in self._places.values():
            if not place.lasts:
                numbers = [n for n in place.quarters if n * QUARTER_MS < floor_ms]
                old += [place.quarters.pop(number).key for number in numbers]
        self._forget_dirty()
        return old

    def _forget_dirty(self) -> None:
        """Let panes that are held no longer go untold."""
        self._dirty = [pane for pane in self._dirty if self._holds(pane)]

    def _holds(self, pane: _Pane) -> bool:
        place = self._places.get((pane.key.group, pane.key.cell))
        return place is not None and place.find(pane.key.grain, pane.key.number) is pane

    def drain_missed(self) -> list[PaneKey]:
        """Quarter hours that were corrected and are not held, since the last time."""
        missed, self._missed = sorted(self._missed), set()
        return [key for key in missed if key.group in self._plan.groups]

    def use(self, plan: Plan) -> list[PaneKey]:
        """Count by another plan from now on; the panes that are gone with it."""
        self._plan = plan
        gone: list[PaneKey] = []
        for identity in [one for one in self._places if one[0] not in plan.groups]:
            gone += [pane.key for pane in self._places.pop(identity)]
        self._forget_dirty()
        return gone

    def all_dirty(self) -> None:
        """Publish every pane at the next tick: what was published before is not known."""
        self._mark(self._all())

    def _mark(self, panes: Iterable[_Pane]) -> None:
        for pane in panes:
            if not pane.dirty:
                pane.dirty = True
                self._dirty.append(pane)

    def drain(self, tick_ms: int) -> list[tuple[PaneKey, Wire]]:
        """Shares that changed since the last tick, in a fixed order; empty ones as no rows."""
        self._forget_fine(tick_ms)
        self._tell_again(tick_ms)
        shares = []
        for pane in sorted(self._dirty, key=_key_of):
            pane.dirty = False
            share = pane.share()
            shares.append((pane.key, share))
            if is_empty(share):
                self._remove(pane.key)
        self._dirty = []
        return shares

    def _remove(self, key: PaneKey) -> None:
        place = self._places[key.group, key.cell]
        place.remove(key)
        if next(iter(place), None) is None:
            del self._places[key.group, key.cell]

    def _tell_again(self, tick_ms: int) -> None:
        turn = tick_ms // _TOLD_AGAIN_MS
        if turn > self._told_again > 0:
            self._mark(pane for pane in self._all() if pane.key.grain != "s")
        self._told_again = max(self._told_again, turn)

    def _forget_fine(self, tick_ms: int) -> None:
        floor_ms = (tick_ms - FINE_LIFE_MS) // QUARTER_MS * QUARTER_MS
        if floor_ms <= self._fine_floor_ms:
            return
        self._fine_floor_ms = floor_ms
        for place in self._places.values():
            for number in [n for n in place.seconds if n * SECOND_MS < floor_ms]:
                del place.seconds[number]
        self._forget_dirty()


_key_of: Final = attrgetter("key")
