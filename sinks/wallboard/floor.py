"""The floor: performers by state, out of the gauges of an exhibit that asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from schemas.values import ExhibitValue
from sinks.wallboard.frames import FloorRow

_COUNT: Final = "performers_by_state"
_LONGEST: Final = "longest_in_state"
FLOOR_KPIS: Final = frozenset((_COUNT, _LONGEST))


def floor_row(
    cell: tuple[str, ...], readings: Mapping[str, Mapping[str, ExhibitValue]]
) -> FloorRow:
    """Counts and longest times of a cell, by state; ``readings`` are its values by name."""
    counts: dict[str, int] = {}
    longest: dict[str, float] = {}
    for states in readings.values():
        for value in states.values():
            state = str(value.parameters.get("state", ""))
            if value.value is None:
                continue
            if value.kpi == _COUNT:
                counts[state] = int(value.value)
            elif value.kpi == _LONGEST:
                longest[state] = float(value.value)
    return FloorRow(cell, counts, longest)
