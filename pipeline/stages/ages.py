"""The three ages of an interaction: open, closed, frozen; and what comes too late for any of them.

Open: all of its events. Closed: the same events, for as long as they may be corrected. What is left
alone is packed, open or closed.
Frozen: nothing; what it had added to panes stays in sums of cells. An event from before the horizon
that meets no state is a late record. All of this is decided by ticks and event times, at the place
where an event stands in the log, so restarts and batches do not change it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from pipeline.folds.event import Event
from pipeline.kpi.panes import QUARTER_MS
from pipeline.stages.packing import is_packed

ALWAYS_MS: Final = 2**62
"""The reach of what holds for ever, such as a plan without an end."""


def floor_of(tick_ms: int, horizon_ms: int) -> int:
    """Beginning of the first quarter hour that is not frozen at a tick."""
    return max(tick_ms - horizon_ms, 0) // QUARTER_MS * QUARTER_MS


def reach_ms(event: Event) -> int:
    """The latest instant that an event tells of, UTC epoch milliseconds."""
    told = [event.occurred_ms + (event.wrap_ms or 0)]
    if event.due_ms is not None:
        told.append(event.due_ms)
    if event.kind == "plan":
        if event.value_micro is not None:
            told.append(ALWAYS_MS if event.ends_ms is None else event.ends_ms)
        if event.starts_ms is not None:
            told.append(event.starts_ms)
    return max(told)


def is_late(event: Event, floor_ms: int) -> bool:
    """Whether an event of which nothing is known tells of what is frozen.

    A plan is as old as what it plans, anything else as old as itself.
    """
    return (reach_ms(event) if event.kind == "plan" else event.occurred_ms) < floor_ms


class Calendar:
    """Which keys may be due in which quarter hour; whoever pops them looks again.

    A key costs one place in a list: idle keys cost nothing a tick.
    """

    def __init__(self) -> None:
        self._days: defaultdict[int, list[bytes]] = defaultdict(list)
        self._first = ALWAYS_MS

    def note(self, key: bytes, at_ms: int) -> None:
        """Let ``key`` be due once everything before ``at_ms`` is."""
        if at_ms < ALWAYS_MS:
            quarter = at_ms // QUARTER_MS
            self._days[quarter].append(key)
            self._first = min(self._first, quarter)

    def pop(self, floor_ms: int, limit: int) -> list[bytes]:
        """At most about ``limit`` keys due before ``floor_ms``, oldest first."""
        found: list[bytes] = []
        while len(found) < limit and self._first < floor_ms // QUARTER_MS:
            keys = self._days[self._first]
            room = limit - len(found)
            found += keys[:room]
            del keys[:room]
            if not keys:
                del self._days[self._first]
                self._first = min(self._days, default=ALWAYS_MS)
        return found


class Rest:
    """Which keys have been left alone for a while: each is told once, however often it is touched.

    A key that is waited for costs a place in a list and one in a dictionary, any other nothing.
    """

    def __init__(self, quiet_ms: int) -> None:
        self._quiet_ms = quiet_ms
        self._last: dict[bytes, int] = {}
        self._minutes: defaultdict[int, list[bytes]] = defaultdict(list)

    def touch(self, key: bytes, at_ms: int) -> None:
        """Wait for ``key`` to be left alone from ``at_ms`` on."""
        minute = at_ms // _MINUTE_MS
        if key not in self._last:
            self._minutes[minute].append(key)
        self._last[key] = minute

    def pop(self, tick_ms: int, limit: int) -> list[bytes]:
        """At most ``limit`` keys that nobody touched for as long as it takes."""
        found: list[bytes] = []
        until = (tick_ms - self._quiet_ms) // _MINUTE_MS
        for minute in sorted(minute for minute in self._minutes if minute < until):
            keys = self._minutes[minute]
            while keys and len(found) < limit:
                key = keys.pop()
                last = self._last[key]
                if last < until:
                    del self._last[key]
                    found.append(key)
                else:
                    self._minutes[last].append(key)
            if not keys:
                del self._minutes[minute]
        return found


_MINUTE_MS: Final = 60_000
_AT_A_TICK: Final = 2_000
"""Keys that age at a tick: when they are due is decided by the clock, not by when they are done."""
_RESTS_MS: Final = 5 * _MINUTE_MS
"""A key that nobody touched for so long is packed."""


class Ages:
    """Which keys of a partition may rest or freeze, and when; without ``packs`` none rests."""

    def __init__(self, *, packs: bool) -> None:
        self._freezing = Calendar()
        self._resting = Rest(_RESTS_MS)
        self._packs = packs

    def restore(self, key: bytes, life_ms: int, stored: bytes) -> None:
        """Take a stored key over."""
        self._freezing.note(key, life_ms)
        if self._packs and not is_packed(stored):
            self._resting.touch(key, 0)

    def note(self, key: bytes, life_ms: int, before_ms: int | None = None) -> None:
        """Take over that a key tells until ``life_ms``, and told until ``before_ms``."""
        if before_ms is None or life_ms // QUARTER_MS != before_ms // QUARTER_MS:
            self._freezing.note(key, life_ms)

    def touch(self, key: bytes, at_ms: int) -> None:
        """Take over that the state of a key was written at a tick."""
        if self._packs:
            self._resting.touch(key, at_ms)

    def frozen(self, floor_ms: int) -> list[bytes]:
        """Some keys that may tell of nothing after ``floor_ms``."""
        return self._freezing.pop(floor_ms, _AT_A_TICK)

    def rested(self, tick_ms: int) -> list[bytes]:
        """Some keys whose state was not written for a while."""
        return self._resting.pop(tick_ms, _AT_A_TICK)
