"""Names and pieces of SQL that the parts of a script share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pipeline.kpi.expression import AS_OF_PARAMETER
from pipeline.kpi.group import Group, Series
from schemas.values import TOTAL

CLOCK: Final = AS_OF_PARAMETER
"""The clock, epoch milliseconds."""

SPAN_CLOCK: Final = "{span_ms:Int64}"
"""How far what is clipped has grown: the clock, or earlier."""

FACTS: Final = "{facts:Identifier}"
"""Database of the views of facts."""

WINDOWS: Final = "windows"
OPEN: Final = "opening_times"
PLACES: Final = "places"

PLACE: Final = ("at_cell", "at_kind", "at_size", "at_start_ms")
"""Columns that say which cell and window a row of sums is of."""


def view_of(fact: str) -> str:
    """The view of a fact kind."""
    return f"{fact}s"


def total_of(cell: Iterable[str]) -> str:
    """SQL of the cells a row counts in: its own and every total over some of its dimensions."""
    parts = (f"arrayJoin(arrayDistinct([{name}, '{TOTAL}']))" for name in cell)
    return f"[{', '.join(parts)}]::Array(String)"


def conjunction(conditions: Iterable[str]) -> str:
    """SQL of all conditions together."""
    found = [one for one in conditions if one not in ("TRUE", "true")]
    return " AND ".join(f"({one})" for one in found) or "true"


def counts_sql(series: Series) -> str:
    """SQL condition that a row counts for a series."""
    part = series.part
    conditions = [part.sql["of"]]
    if series.cohort == "final" and part.matures is not None:
        conditions.append(f"ifNull({part.sql['matures']} <= {CLOCK}, false)")
    return conjunction(conditions)


def clocked(group: Group, sql: str) -> str:
    """The SQL with the clock that holds for the group."""
    return sql.replace(CLOCK, SPAN_CLOCK) if group.shape == "span" else sql
