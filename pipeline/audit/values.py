"""Values by cell: as they were published, and as SQL computes them from facts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from clickhouse_connect.driver.client import Client

from pipeline.audit.scratch import Scratch
from pipeline.kpi.plan import ExhibitPlan
from pipeline.kpi.warehouse import (
    OPEN_COLUMNS,
    RESULT,
    WINDOW_COLUMNS,
    bounded_rows,
    open_rows,
    script,
    window_rows,
)
from schemas.values import ExhibitValue

TOLERANCE: Final = 1e-9
"""Relative and absolute, for floats; integers are equal or they are not."""


class Cell(NamedTuple):
    """One number's place: ``start_ms`` is 0 where the window moves with the clock, or is all."""

    name: str
    reading: str
    kind: str
    size: str
    start_ms: int
    cell: tuple[str, ...]


class Numbers(NamedTuple):
    """What is published of a value."""

    numerator: int | None
    denominator: int | None
    value: float | None
    n: int | None
    low: float | None
    high: float | None

    def equals(self, other: Numbers) -> bool:
        """Integers exactly, floats within :data:`TOLERANCE`."""
        whole = (self.numerator, self.denominator, self.n)
        if whole != (other.numerator, other.denominator, other.n):
            return False
        pairs = ((self.value, other.value), (self.low, other.low), (self.high, other.high))
        return all(_close(one, two) for one, two in pairs)


def _close(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


Values = Mapping[Cell, Numbers]
Differences = dict[Cell, tuple[Numbers | None, Numbers | None]]
"""Found and expected, None where a side has no such row."""


def differences(found: Values, expected: Values) -> Differences:
    """Cells that are not alike."""
    different: Differences = {}
    for cell in {*found, *expected}:
        one, other = found.get(cell), expected.get(cell)
        if one is None or other is None or not one.equals(other):
            different[cell] = (one, other)
    return different


# --- published ------------------------------------------------------------------------------------


def of_value(value: ExhibitValue) -> tuple[Cell, Numbers]:
    """Place and numbers of a published value."""
    window = value.window
    start = None if window.start is None else datetime.fromisoformat(window.start)
    place = Cell(
        value.name,
        _reading(value.attribution, value.state),
        window.kind,
        window.size or "",
        _start_ms(window.kind, start),
        tuple(value.dimensions.values()),
    )
    numbers = Numbers(
        value.numerator, value.denominator, value.value, value.n, value.low, value.high
    )
    return place, numbers


def _reading(attribution: str, state: str) -> str:
    if attribution != "cohort-final":
        return ""
    return "provisional" if state == "provisional" else "final"


def _start_ms(kind: str, start: datetime | None) -> int:
    if start is None or kind in ("all", "sliding"):
        return 0
    return round(start.timestamp() * 1000)


class Published(NamedTuple):
    """The values of an exhibit as ClickHouse has them."""

    values: dict[Cell, Numbers]
    restated: frozenset[Cell]
    clock_ms: int


_PUBLISHED: Final = """
SELECT `as`, attribution, state, window_kind, window_size, window_start, dimensions,
    numerator, denominator, value, n, low, high, as_of
FROM kpi_values FINAL
WHERE exhibit = {exhibit:String} AND exhibit_version = {version:UInt32}
"""


def published(client: Client, plan: ExhibitPlan) -> Published:
    """What was published of an exhibit; its clock is that of the newest value."""
    exhibit = plan.exhibit
    rows = client.query(
        _PUBLISHED, parameters={"exhibit": exhibit.exhibit, "version": exhibit.version}
    ).result_rows
    values: dict[Cell, Numbers] = {}
    restated = set()
    clock_ms = 0
    for name, attribution, state, kind, size, start, dimensions, *numbers, as_of in rows:
        cell = tuple(dimensions[dimension] for dimension in exhibit.by)
        place = Cell(name, _reading(attribution, state), kind, size, _start_ms(kind, start), cell)
        values[place] = Numbers(*numbers)
        if state == "restated":
            restated.add(place)
        clock_ms = max(clock_ms, round(as_of.timestamp() * 1000))
    return Published(values, frozenset(restated), clock_ms)


# --- computed -------------------------------------------------------------------------------------


def computed(
    client: Client,
    plan: ExhibitPlan,
    facts: str,
    scratch: str,
    as_of_ms: int,
    span_ms: int | None = None,
) -> dict[Cell, Numbers]:
    """Values that SQL computes from facts.

    Args:
        client: A client that may make databases.
        plan: The exhibit, compiled.
        facts: Database with a view of each kind of fact.
        scratch: Database that is made anew; its tables stay.
        as_of_ms: The clock.
        span_ms: How far what is clipped has grown; the clock unless given.
    """
    asked = script(plan)
    parameters = {
        "facts": facts, "as_of_ms": as_of_ms,
        "span_ms": as_of_ms if span_ms is None else span_ms,
    }  # fmt: skip
    place = Scratch(client, scratch)
    ((first, last),) = place.rows(asked.extent, parameters)
    first_ms, last_ms = (as_of_ms if one is None else int(one) for one in (first, last))
    windows = window_rows(plan, first_ms, last_ms, as_of_ms)
    place.table("windows", WINDOW_COLUMNS, windows)
    opening = list(open_rows(plan, min(first_ms, as_of_ms), max(last_ms, as_of_ms)))
    place.table("opening_times", OPEN_COLUMNS, opening)
    for statement in asked.statements:
        place.run(statement, parameters)
    return _results(place)


def computed_in(
    place: Scratch, plan: ExhibitPlan, facts: str, as_of_ms: int, first_ms: int, last_ms: int
) -> dict[Cell, Numbers]:
    """Values of the buckets between two instants, that SQL computes from facts.

    Args:
        place: Where tables are made.
        plan: The exhibit, compiled, with buckets as its only windows.
        facts: Database with a view of each kind of fact.
        as_of_ms: The clock.
        first_ms: An instant in the first local day that is looked at.
        last_ms: An instant in the last bucket.
    """
    asked = script(plan)
    parameters = {"facts": facts, "as_of_ms": as_of_ms, "span_ms": as_of_ms}
    place.table("windows", WINDOW_COLUMNS, bounded_rows(plan, first_ms, last_ms))
    place.table("opening_times", OPEN_COLUMNS, open_rows(plan, first_ms, last_ms))
    for statement in asked.statements:
        place.run(statement, parameters)
    return {
        cell: numbers
        for cell, numbers in _results(place).items()
        if first_ms <= cell.start_ms <= last_ms
    }


def _results(place: Scratch) -> dict[Cell, Numbers]:
    found: dict[Cell, Numbers] = {}
    for name, reading, kind, size, start_ms, cell, *numbers in place.rows(RESULT):
        key = Cell(name, reading, kind, size, start_ms, tuple(cell))
        if key in found:
            raise AssertionError(f"two rows for {key}")
        found[key] = Numbers(*numbers)
    return found
