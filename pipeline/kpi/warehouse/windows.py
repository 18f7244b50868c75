"""The windows of an exhibit as rows of a table, so that SQL never converts a time zone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

from pipeline.kpi.calendar import bucket
from pipeline.kpi.plan import ExhibitPlan
from schemas.exhibit import Sliding, Today, TumblingSize

WINDOW_COLUMNS: Final = (
    ("kind", "String"), ("size", "String"), ("start_ms", "Int64"), ("end_ms", "Int64"),
    ("number", "Int64"), ("day", "Int64"),
)  # fmt: skip
"""Columns of the table of windows.

``number`` counts the buckets of one size, without gaps; ``day`` is the number of the local day in
which a window begins, -1 for all time.
"""

OPEN_COLUMNS: Final = (("start_ms", "Int64"), ("end_ms", "Int64"))
"""Columns of the table of opening times."""

ALWAYS_MS: Final = 2**62
"""Beginning (negative) and end of all time."""

_LATEST_MS: Final = 2**42
"""After every instant that is told of, in the year 2109."""

WindowRow = tuple[str, str, int, int, int, int]
_SECOND_MS: Final = 1_000
_DAY_MS: Final = 86_400_000


def window_rows(
    plan: ExhibitPlan, first_ms: int, last_ms: int, as_of_ms: int
) -> Iterator[WindowRow]:
    """All windows that may hold something between two instants, as of the clock.

    Buckets of grids are among them: a composite is combined on them. All time is always there.
    """
    zone = plan.exhibit.time_zone
    edge_ms = as_of_ms // _SECOND_MS * _SECOND_MS
    begin_ms, end_ms = min(first_ms, edge_ms - _DAY_MS), max(last_ms, as_of_ms)
    begin_ms = bucket(zone, "day", begin_ms)[0]
    days = [start for start, _ in _buckets(zone, "day", begin_ms, end_ms)]

    def day_of(start_ms: int) -> int:
        return bisect_right(days, start_ms) - 1

    for size in sorted({*plan.sizes, *plan.grids}):
        for number, (start, end) in enumerate(_buckets(zone, size, begin_ms, end_ms)):
            yield "tumbling", size, start, end, number, day_of(start)
    for window in plan.exhibit.windows:
        if isinstance(window, Sliding):
            start = edge_ms - window.size_ms
            yield "sliding", window.size, start, edge_ms, 0, day_of(start)
        elif isinstance(window, Today):
            start, end = bucket(zone, "day", as_of_ms)
            yield "today", "", start, end, 0, day_of(start)
    yield "all", "", -ALWAYS_MS, ALWAYS_MS, 0, -1


def bounded_rows(plan: ExhibitPlan, first_ms: int, last_ms: int) -> Iterator[WindowRow]:
    """Buckets between two instants, and of each size one before and one after them.

    These two take up whatever lies outside; their own sums mean nothing.
    """
    tumbling = [
        row for row in window_rows(plan, first_ms, last_ms, last_ms) if row[0] == "tumbling"
    ]
    for size in dict.fromkeys(row[1] for row in tumbling):
        own = [row for row in tumbling if row[1] == size]
        yield "tumbling", size, 0, own[0][2], 0, -1
        for kind, _, start_ms, end_ms, number, day in own:
            yield kind, size, start_ms, end_ms, number + 1, day + 1
        yield "tumbling", size, own[-1][3], _LATEST_MS, own[-1][4] + 2, -1
    yield "all", "", -ALWAYS_MS, ALWAYS_MS, 0, -1


def open_rows(plan: ExhibitPlan, first_ms: int, last_ms: int) -> Iterator[tuple[int, int]]:
    """Opening times of the exhibit between two instants; none where it has no business hours."""
    if plan.hours is None:
        return
    # Windows of the clock may begin before anything counts.
    begin_ms, end_ms = first_ms - 2 * _DAY_MS, last_ms + _DAY_MS
    for start, end in plan.hours.open_spans(begin_ms, end_ms, end_ms):
        yield start, end_ms if end is None else end


def _buckets(
    zone: str, size: TumblingSize, first_ms: int, last_ms: int
) -> Iterator[tuple[int, int]]:
    start, end = bucket(zone, size, first_ms)
    while start <= last_ms:
        yield start, end
        start, end = bucket(zone, size, end)
