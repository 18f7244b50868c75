"""The last hour of every shown value, sampled by the clock of the log."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from typing import Final

STEP_MS: Final = 30_000
POINTS: Final = 120
"""Samples kept of a value: one hour."""

MAX_SERIES: Final = 20_000
"""Values that are followed; those beyond have no trend, which costs a line and not the number."""

Series = list[float | None]


class History:
    """Samples of values, by key. What was not sampled, or undefined, is a gap."""

    def __init__(self) -> None:
        self._samples: dict[Hashable, deque[tuple[int, float]]] = {}

    def sample(self, clock_ms: int, values: Iterable[tuple[Hashable, float | None]]) -> None:
        """Note the values as of the clock; of one step the last sample stands."""
        step = clock_ms // STEP_MS
        for key, value in values:
            if value is None:
                continue
            known = self._samples.get(key)
            if known is None:
                if len(self._samples) >= MAX_SERIES:
                    continue
                known = self._samples[key] = deque(maxlen=POINTS)
            if known and known[-1][0] == step:
                known.pop()
            known.append((step, value))

    def forget(self, key: Hashable) -> None:
        """Drop a value that is not published any more."""
        self._samples.pop(key, None)

    def series(self, key: Hashable, clock_ms: int) -> Series:
        """The last hour of a value up to the clock, oldest first; empty without two samples."""
        first = clock_ms // STEP_MS - POINTS + 1
        known = {step: value for step, value in self._samples.get(key, ()) if step >= first}
        if len(known) < 2:
            return []
        begin = min(known)
        return [known.get(step) for step in range(begin, first + POINTS)]
