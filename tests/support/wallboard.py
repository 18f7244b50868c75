"""Exhibit values made by hand, and a board that shows them at a clock of the test's own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pipeline.kpi import catalogue
from schemas.exhibit import Exhibit
from schemas.exhibit_file import load_exhibit
from schemas.values import TOTAL, ExhibitValue, WindowRef, rfc3339
from sinks.wallboard.board import Board
from sinks.wallboard.exhibits import ExhibitsInForce

NOON_MS = 1_772_452_800_000
"""2026-03-02T12:00:00Z."""

DESK = load_exhibit("""
exhibit: desk
by: [queue]
windows: [15m, 1h, today, {tumbling: 30m}]
kpis:
  - {kpi: abandon_rate, target: "<= 0.05", min_n: 20}
  - {kpi: asa, target: "<= 30"}
  - {kpi: service_level, as: sl_80_20, target: ">= 0.80"}
  - {kpi: nps, title: Promoters}
  - {kpi: offered}
  - {kpi: fcr_repeat, target: ">= 0.70"}
""")

_UNITS = {
    "abandon_rate": "ratio", "asa": "seconds", "sl_80_20": "ratio", "nps": "points",
    "offered": "count", "fcr_repeat": "ratio",
}  # fmt: skip
_KPIS = {"sl_80_20": "service_level"}


def value(name: str, number: float | None, **given: Any) -> ExhibitValue:
    """One value of the exhibit ``desk``: the last hour in total, unless given otherwise."""
    window = given.pop("window", WindowRef("sliding", "1h", rfc3339(NOON_MS - 3_600_000), None))
    told: dict[str, Any] = {
        "exhibit": "desk", "exhibit_version": 1, "kpi": _KPIS.get(name, name), "kpi_version": 1,
        "name": name, "parameters": {}, "attribution": "arrival", "window": window,
        "dimensions": {"queue": given.pop("queue", TOTAL)}, "state": "provisional", "revision": 0,
        "as_of": rfc3339(NOON_MS), "numerator": 1, "denominator": 1, "value": number,
        "unit": given.pop("unit", "") or _UNITS[name], "n": 100,
        "low": None, "high": None, "target": None,
        "status": "no_target",
    }  # fmt: skip
    return ExhibitValue(**{**told, **given})


@dataclass
class Clock:
    """Wall clock and monotonic clock, moved by hand."""

    now_ms: int = NOON_MS

    def pass_seconds(self, seconds: float) -> None:
        """Let time go by."""
        self.now_ms += round(seconds * 1000)


class Shown:
    """A board of exhibits in one partition, whose worker is the test."""

    def __init__(self, *, partitions: int = 1, exhibits: Iterable[Exhibit] = (DESK,)) -> None:
        self.clock = Clock()
        self.board = Board(
            ExhibitsInForce(exhibits, catalogue.load()), partitions, stale_seconds=5,
            silent_seconds=900,
            now_ms=lambda: self.clock.now_ms, monotonic=lambda: self.clock.now_ms / 1000,
        )  # fmt: skip

    def put(self, *values: ExhibitValue) -> None:
        """Publish values."""
        self.board.show(0, {one.key: one for one in values})

    def tick(self) -> None:
        """Publish the clock: it is now."""
        self.board.tick(0, self.clock.now_ms)
