"""Clocks of logs: the source of ticks a fold writes, and the aligned clock of what reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from pipeline.stages.wire import TICK, Tick, encode_tick

META_KEY = b"\0clock"


STATE_FORMAT: Final = 2
"""Format of the state that stages write; a stage reads this one and those before it."""


class StateError(RuntimeError):
    """State that this worker must not go on from: numbers would be wrong."""


class Clock(msgspec.Struct, array_like=True):
    """Durable clock of one source partition, and what its state was written with.

    What is older than ``floor_ms`` is frozen. ``partitions`` are those of the log that the keys
    were spread over; 0 where it was not noted, and so the state is of format 1.
    """

    tick_ms: int = 0
    epoch: int = 0
    floor_ms: int = 0
    state_format: int = 1
    partitions: int = 0

    def check(self, source: str, partitions: int) -> None:
        """Refuse state of a newer format, or of another number of partitions.

        Raises:
            StateError: it is one of these.
        """
        if self.state_format > STATE_FORMAT:
            raise StateError(
                f"the state of {source} was written by a newer version (format {self.state_format},"
                f" this one reads up to {STATE_FORMAT}): upgrade this worker"
            )
        if self.partitions not in (0, partitions):
            raise StateError(
                f"the state of {source} is of {self.partitions} partitions, its topic has"
                f" {partitions}: keys have parted from their state"
            )


encode_clock = msgspec.msgpack.Encoder().encode
decode_clock = msgspec.msgpack.Decoder(Clock).decode


class AlignedClock:
    """The lowest tick that all expected sources have passed."""

    def __init__(self, expected: Iterable[str]) -> None:
        self._ticks: dict[str, Tick | None] = dict.fromkeys(expected)

    def see(self, tick: Tick) -> None:
        """Take over the newest tick of a source; an older one changes nothing."""
        known = self._ticks.get(tick.source)
        if known is None or (tick.tick_ms, tick.epoch) >= (known.tick_ms, known.epoch):
            self._ticks[tick.source] = tick

    def epochs(self, clock_ms: int) -> Iterator[tuple[str, int]]:
        """Sources and their epochs, of those whose newest tick the clock has reached."""
        for source, tick in self._ticks.items():
            if tick is not None and tick.tick_ms <= clock_ms:
                yield source, tick.epoch

    def floor_ms(self, source: str) -> int:
        """What a source holds no longer: quarter hours before this."""
        tick = self._ticks.get(source)
        return 0 if tick is None else tick.floor_ms

    def covered(self, exhibit: str) -> int:
        """The version of an exhibit that every source has counted for; 0 if one never did."""
        ticks = self._ticks.values()
        return min((tick.covers.get(exhibit, 0) if tick else 0 for tick in ticks), default=0)

    def aligned(self) -> Tick | None:
        """The lowest tick of all sources, with flags that all of them raise; None if one misses."""
        ticks = [tick for tick in self._ticks.values() if tick is not None]
        if len(ticks) < len(self._ticks) or not ticks:
            return None
        lowest = min(ticks, key=lambda tick: tick.tick_ms)
        same = [tick for tick in ticks if tick.tick_ms == lowest.tick_ms]
        whole = len(same) == len(ticks)
        return Tick(
            "",
            0,
            lowest.tick_ms,
            publish_all=whole and all(tick.publish_all for tick in same),
            complete=whole and all(tick.complete for tick in same),
            moving_only=whole and all(tick.moving_only for tick in same),
            still_ms=min((tick.still_ms for tick in same if tick.still_ms), default=0),
            floor_ms=max(tick.floor_ms for tick in ticks),
        )


def tick_record(tick: Tick) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Value and headers of a tick."""
    return encode_tick(tick), [("cx-control", TICK)]
