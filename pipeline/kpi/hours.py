"""When a site is open: business hours as instants, from the site's calendar.

Times are UTC epoch milliseconds; intervals are [start, end).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from typing import Final

from pipeline.kpi.calendar import DAY_MS, local_day, segments, start_of_day
from schemas.hours import BusinessHours

_MINUTE_MS: Final = 60_000
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_HORIZON_DAYS: Final = 400
"""A site that does not open within this does not open any more."""

Span = tuple[int, int]


class OpenHours:
    """Business hours of a site.

    An hour that comes twice, because clocks are put back, is open twice if it is open at all.
    """

    def __init__(self, zone: str, hours: BusinessHours) -> None:
        self._zone = zone
        self._hours = hours
        self._day = lru_cache(maxsize=1024)(self._opening_times)

    def _opening_times(self, day: int) -> tuple[Span, ...]:
        """Instants between which the site is open on a local day (days since 1970-01-01)."""
        start_ms, end_ms = start_of_day(self._zone, day), start_of_day(self._zone, day + 1)
        if start_ms >= end_ms:
            return ()
        found: list[Span] = []
        for low, high, offset in segments(self._zone, start_ms, end_ms):
            # Clocks put back over midnight show the end of the date before once more.
            for shown in range((low + offset) // DAY_MS, (high - 1 + offset) // DAY_MS + 1):
                midnight_ms = shown * DAY_MS - offset
                for begin, end in self._hours.of(date.fromordinal(shown + _EPOCH_ORDINAL)):
                    span = (
                        max(low, midnight_ms + begin * _MINUTE_MS),
                        min(high, midnight_ms + end * _MINUTE_MS),
                    )
                    if span[0] < span[1]:
                        found.append(span)
        return tuple(sorted(found))

    def _from(self, at_ms: int) -> Iterator[Span]:
        """Opening times from the day of an instant on."""
        first = local_day(self._zone, at_ms)
        for day in range(first, first + _HORIZON_DAYS):
            yield from self._day(day)

    def is_open(self, at_ms: int) -> bool:
        """Whether the site is open at an instant."""
        today = self._day(local_day(self._zone, at_ms))
        return any(begin <= at_ms < end for begin, end in today)

    def open_spans(
        self, from_ms: int, until_ms: int | None, as_of_ms: int
    ) -> Iterator[tuple[int, int | None]]:
        """Open parts of an interval, as far as the clock has come; the last may have no end yet."""
        limit_ms = as_of_ms if until_ms is None else min(until_ms, as_of_ms)
        for begin, end in self._from(from_ms):
            if begin > limit_ms:
                return
            start_ms = max(begin, from_ms)
            if end <= limit_ms:
                stop_ms: int | None = end
            else:
                stop_ms = until_ms if until_ms is not None and until_ms <= as_of_ms else None
            if stop_ms is None or start_ms < stop_ms:
                yield start_ms, stop_ms

    def next_change_ms(self, at_ms: int) -> int | None:
        """The next instant after ``at_ms`` at which the site opens or closes."""
        for begin, end in self._from(at_ms):
            for change_ms in (begin, end):
                if change_ms > at_ms:
                    return change_ms
        return None
