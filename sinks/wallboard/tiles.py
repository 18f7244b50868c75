"""One value as a tile: which reading is shown large, how far off its target it is."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from schemas.exhibit import SLIDING_MS, KpiEntry, Target, parse_target
from schemas.values import ExhibitValue, rfc3339
from sinks.wallboard.exhibits import Shown
from sinks.wallboard.frames import SEVERITY, Compared, Other, Tile

_STEPS_OF_SHORTFALL: Final = (2.0, 1.0, 0.5, 0.2, 0.1, 0.05)


def tile(
    shown: Shown, entry: KpiEntry, readings: list[ExhibitValue], compared: Compared | None
) -> Tile:
    """What is shown of a KPI; ``readings`` are its values as of the clock, at least one."""
    value, other = leading(readings)
    target = parse_target(value.target) if value.target is not None else None
    return Tile(
        id=f"{shown.exhibit.exhibit}/{entry.name}",
        exhibit=shown.exhibit.exhibit,
        name=entry.name,
        title=shown.titles[entry.name],
        label="" if entry.name == entry.kpi or entry.title else entry.name,
        unit=value.unit,
        value=value.value,
        n=value.n,
        low=value.low,
        high=value.high,
        target=None if target is None else (target.low, target.high),
        status=value.status,
        state=value.state,
        revision=value.revision,
        window=value.window,
        other=None if other is None else Other(other.state, other.value, other.n),
        shortfall=_shortfall(target, value.value),
        compared=compared,
    )


def moved(value: ExhibitValue, clock_ms: int) -> ExhibitValue:
    """A value as of the clock: one that has not changed since is not published again."""
    window = value.window
    if window.kind == "sliding" and window.size is not None:
        start_ms = clock_ms - SLIDING_MS[window.size]
        window = replace(window, start=rfc3339(start_ms), end=rfc3339(clock_ms))
    return replace(value, as_of=rfc3339(clock_ms), window=window)


def leading(readings: list[ExhibitValue]) -> tuple[ExhibitValue, ExhibitValue | None]:
    """The reading a tile shows large, and the other one of a cohort.

    The final one leads once it counts anything: only mature members make it, so it is the truth.
    """
    ordered = sorted(readings, key=lambda v: (v.value is None, v.state == "provisional"))
    return ordered[0], ordered[1] if len(ordered) > 1 else None


def _shortfall(target: Target | None, value: float | None) -> float:
    if target is None or value is None:
        return 0.0
    distance = target.distance(value)
    bound = target.low if target.low is not None and value < target.low else target.high
    return distance / abs(bound) if bound else distance


def badness(tile: Tile) -> tuple[int, int]:
    """Order of a tile: by status, then by steps of shortfall so that tiles seldom change places."""
    step = sum(tile.shortfall < limit for limit in _STEPS_OF_SHORTFALL)
    return SEVERITY[tile.status], step
