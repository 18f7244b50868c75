"""The clock whose ticks the owner of a partition writes into the log.

A tick cannot be taken back: one that is a year ahead freezes everything. So a clock that jumps ends
the worker before it writes one, and a worker whose clock is not the brokers' does not start.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

MAX_JUMP_MS: Final = 10_000
"""More than NTP ever steps a clock that it keeps. A machine that slept jumps as well."""


class ClockError(RuntimeError):
    """This machine's clock is wrong, or was."""


class WallClock:
    """Epoch milliseconds of this machine; 0, which is never a tick, while the clock stands.

    Args:
        runs: Whether the clock runs.
        wall_ns: Nanoseconds since the epoch.
        monotonic_ns: Nanoseconds of a clock that nobody sets.
    """

    def __init__(
        self,
        runs: Callable[[], bool] = lambda: True,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._runs = runs
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._apart_ms = self._apart()

    def _apart(self) -> int:
        return (self._wall_ns() - self._monotonic_ns()) // 1_000_000

    def __call__(self) -> int:
        """What it is now.

        Raises:
            ClockError: it has jumped since it was asked last.
        """
        apart_ms = self._apart()
        jump_ms = apart_ms - self._apart_ms
        if abs(jump_ms) > MAX_JUMP_MS:  # and so it will be for whoever asks next
            raise ClockError(
                f"this machine's clock jumped by {jump_ms / 1000:+.1f} s: no tick is written by it;"
                " keep it by NTP, then start the worker again"
            )
        self._apart_ms = apart_ms
        return self._wall_ns() // 1_000_000 if self._runs() else 0


def check_start(ahead_ms: float, doubt_ms: float) -> None:
    """Refuse a clock that is not the brokers'.

    Args:
        ahead_ms: The brokers' clock less this machine's.
        doubt_ms: How wrong that may be.

    Raises:
        ClockError: they are more than :data:`MAX_JUMP_MS` apart.
    """
    if abs(ahead_ms) - doubt_ms > MAX_JUMP_MS:
        raise ClockError(
            f"this machine's clock is {-ahead_ms / 1000:+.1f} s from the broker's: ticks would be"
            " wrong; keep both by NTP"
        )
