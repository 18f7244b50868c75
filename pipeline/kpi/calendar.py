"""Local days and buckets of a site, from the pinned tzdata package, never from the machine's.

Times are UTC epoch milliseconds; intervals are [start, end). A local day begins at the first
instant that bears its date or a later one, so days follow each other without gap or overlap even
where midnight is skipped, comes twice, or a whole date is left out.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from importlib import resources
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from schemas.exhibit import TumblingSize, zones

DAY_MS: Final = 86_400_000
SIZES_MS: Final[dict[str, int]] = {"15m": 900_000, "30m": 1_800_000, "1h": 3_600_000}
_BLOCK_MS: Final = 512 * DAY_MS
_WIDEST_OFFSET_MS: Final = 26 * 3_600_000
"""More than any zone is, or jumps, away from UTC."""
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class LocalDay(NamedTuple):
    """One row of the calendar table: a local date and its instants, [start_ms, end_ms)."""

    date: date
    start_ms: int
    end_ms: int


@cache
def zone_info(zone: str) -> ZoneInfo:
    """The zone as the tzdata package has it.

    Raises:
        ValueError: for a name that the package does not have.
    """
    if zone not in zones():
        raise ValueError(f"unknown time zone {zone}")
    path = resources.files("tzdata").joinpath("zoneinfo", *zone.split("/"))
    with path.open("rb") as data:
        return ZoneInfo.from_file(data, key=zone)


def _slow_offset_ms(info: ZoneInfo, epoch_ms: int) -> int:
    moment = _EPOCH + timedelta(milliseconds=epoch_ms)
    offset = moment.astimezone(info).utcoffset()
    return 0 if offset is None else offset // timedelta(milliseconds=1)


@lru_cache(maxsize=1024)
def _offsets(zone: str, block: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Instants in a block of time from which an offset holds, and the offsets.

    The first instant is the beginning of the block. Zones change their offset at most once a day.
    """
    info = zone_info(zone)
    start = block * _BLOCK_MS
    instants, offsets = [start], [_slow_offset_ms(info, start)]
    for day in range(start, start + _BLOCK_MS, DAY_MS):
        after = _slow_offset_ms(info, day + DAY_MS)
        if after != offsets[-1]:
            low, high = day, day + DAY_MS
            while high - low > 1:
                middle = (low + high) // 2
                if _slow_offset_ms(info, middle) == after:
                    high = middle
                else:
                    low = middle
            if high < start + _BLOCK_MS:
                instants.append(high)
                offsets.append(after)
    return tuple(instants), tuple(offsets)


def offset_ms(zone: str, epoch_ms: int) -> int:
    """Local time minus UTC at an instant."""
    instants, offsets = _offsets(zone, epoch_ms // _BLOCK_MS)
    return offsets[bisect_right(instants, epoch_ms) - 1]


def segments(zone: str, start_ms: int, end_ms: int) -> Iterator[tuple[int, int, int]]:
    """Parts (start, end, offset) of an interval in which the offset does not change."""
    for block in range(start_ms // _BLOCK_MS, end_ms // _BLOCK_MS + 1):
        instants, offsets = _offsets(zone, block)
        ends = (*instants[1:], (block + 1) * _BLOCK_MS)
        for low, high, offset in zip(instants, ends, offsets, strict=True):
            if low < end_ms and high > start_ms:
                yield max(low, start_ms), min(high, end_ms), offset


@lru_cache(maxsize=65_536)
def start_of_day(zone: str, day: int) -> int:
    """First instant whose local date is the given one (days since 1970-01-01) or a later one."""
    midnight = day * DAY_MS
    for low, high, offset in segments(
        zone, midnight - _WIDEST_OFFSET_MS, midnight + _WIDEST_OFFSET_MS
    ):
        first = max(low, midnight - offset)
        if first < high:
            return first
    raise AssertionError(f"no instant near day {day} in {zone}")


def local_day(zone: str, epoch_ms: int) -> int:
    """Number of the local day (days since 1970-01-01) that an instant belongs to."""
    day = (epoch_ms + offset_ms(zone, epoch_ms)) // DAY_MS
    # Clocks put back over midnight repeat the end of a date after the next one has begun.
    return day + 1 if epoch_ms >= start_of_day(zone, day + 1) else day


def day_start_ms(zone: str, epoch_ms: int) -> int:
    """First instant of the local day that an instant belongs to."""
    return start_of_day(zone, local_day(zone, epoch_ms))


def day_end_ms(zone: str, epoch_ms: int) -> int:
    """First instant of the following local day."""
    return start_of_day(zone, local_day(zone, epoch_ms) + 1)


def days(zone: str, first: date, last: date) -> Iterator[LocalDay]:
    """Rows of the calendar table from ``first`` to ``last``; dates a zone left out have none."""
    for ordinal in range(first.toordinal(), last.toordinal() + 1):
        start = start_of_day(zone, ordinal - _EPOCH_ORDINAL)
        end = start_of_day(zone, ordinal - _EPOCH_ORDINAL + 1)
        if start < end:
            yield LocalDay(date.fromordinal(ordinal), start, end)


def bucket(zone: str, size: TumblingSize, epoch_ms: int) -> tuple[int, int]:
    """The tumbling bucket of an instant, in site time.

    A bucket holds the instants whose local clock shows the same quarter, half or full hour under
    one offset from UTC. Where clocks change inside it, it ends at the change and another begins,
    so an hour that comes twice is two buckets and buckets never overlap.
    """
    if size == "day":
        day = local_day(zone, epoch_ms)
        return start_of_day(zone, day), start_of_day(zone, day + 1)
    length = SIZES_MS[size]
    offset = offset_ms(zone, epoch_ms)
    start = epoch_ms - (epoch_ms + offset) % length
    end = start + length
    if offset_ms(zone, start) != offset or offset_ms(zone, end - 1) != offset:
        for low, high, _ in segments(zone, start, end):
            if low <= epoch_ms < high:
                return low, high
    return start, end
