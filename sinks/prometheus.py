"""Exhibit values and pipeline health for Prometheus, from the values this worker owns.

Undefined values are absent, never 0. An owner that has not moved its clock for a while exposes
nothing of the exhibit: a stale number must not look like a good one.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from threading import Lock
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from schemas.values import TOTAL, ExhibitValue

_CURRENT: Final = frozenset(("sliding", "today", "all"))
_LABELS: Final = ("exhibit", "kpi", "as", "window", "state")
METRICS_CELLS: Final = 1_000
Cell = tuple[str, ...]
"""Values of an exhibit's dimensions; one of them is the total over all."""

_NUMBERS: Final = {
    "value": "Value of an exhibit's KPI, in base units.",
    "n": "Observations behind the value.",
    "low": "Lower end of the 95 % interval.",
    "high": "Upper end of the 95 % interval.",
}


class ExhibitCollector(Collector):
    """A display for the exhibits agent, and a collector for ``/metrics``.

    Of each exhibit at most ``most_cells`` cells become labels: names of queues come from outside,
    and somebody may invent a new one with every call. Those that were there first stay, and the
    total is always among them; the others are counted.

    Args:
        registry: Registers itself there.
        stale_seconds: Without a tick for this long nothing is exposed.
        most_cells: Cells of an exhibit that are shown.
        monotonic: Clock for staleness.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        stale_seconds: float,
        most_cells: int = METRICS_CELLS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._values: dict[int, dict[bytes, ExhibitValue]] = {}
        self._ticked: dict[int, float] = {}
        self._clocks: dict[int, int] = {}
        self._stale_seconds = stale_seconds
        self._most_cells = most_cells
        self._cells: defaultdict[tuple[int, str], dict[Cell, int]] = defaultdict(dict)
        self._monotonic = monotonic
        self._lock = Lock()
        registry.register(self)

    def show(self, partition: int, values: Mapping[bytes, ExhibitValue | None]) -> None:
        """Take over values of a partition by key; None where one is gone."""
        with self._lock:
            known = self._values.setdefault(partition, {})
            for key, value in values.items():
                if value is None:
                    gone = known.pop(key, None)
                    if gone is not None:
                        self._count(partition, gone, -1)
                elif value.window.kind in _CURRENT:
                    if key not in known:
                        self._count(partition, value, 1)
                    known[key] = value

    def _count(self, partition: int, value: ExhibitValue, change: int) -> None:
        """Values of each cell, in the order in which cells came."""
        cells = self._cells[partition, value.exhibit]
        cell = _cell(value)
        left = cells.get(cell, 0) + change
        if left:
            cells[cell] = left
        else:
            del cells[cell]

    def tick(self, partition: int, clock_ms: int) -> None:
        """The values of a partition are as of ``clock_ms``."""
        with self._lock:
            self._ticked[partition] = self._monotonic()
            self._clocks[partition] = clock_ms

    def drop(self, partition: int) -> None:
        """The partition is lost: show nothing of it."""
        with self._lock:
            for known in (self._values, self._ticked, self._clocks):
                known.pop(partition, None)
            for key in [key for key in self._cells if key[0] == partition]:
                del self._cells[key]

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing in advance: label names depend on exhibits."""
        return ()

    def _shown(self, partitions: Iterable[int]) -> tuple[dict[str, set[Cell]], dict[str, int]]:
        """Of exhibits with too many cells: those shown, and how many are not."""
        shown: dict[str, set[Cell]] = {}
        hidden: dict[str, int] = {}
        for (partition, exhibit), cells in self._cells.items():
            if partition in partitions and len(cells) > self._most_cells:
                first = sorted(cells, key=lambda cell: {*cell} != {TOTAL})
                shown[exhibit] = set(first[: self._most_cells])
                hidden[exhibit] = len(cells) - self._most_cells
        return shown, hidden

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Current values of every fresh partition."""
        with self._lock:
            now = self._monotonic()
            fresh = [p for p, at in self._ticked.items() if now - at <= self._stale_seconds]
            shown, hidden = self._shown(fresh)
            values = [
                v for p in fresh for v in self._values.get(p, {}).values()
                if v.exhibit not in hidden or _cell(v) in shown[v.exhibit]
            ]  # fmt: skip
            clocks = {
                v.exhibit: self._clocks[p] for p in fresh for v in self._values.get(p, {}).values()
            }
            stale = len(self._ticked) - len(fresh)
        dimensions = sorted({name for v in values for name in v.dimensions})
        labels = (*_LABELS, *dimensions)
        for name, text in _NUMBERS.items():
            family = GaugeMetricFamily(f"cx_exhibit_{name}", text, labels=labels)
            for value in values:
                number = getattr(value, name)
                if number is not None:
                    family.add_metric(_label_values(value, dimensions), float(number))
            yield family
        yield _targets(values, labels, dimensions)
        clock = GaugeMetricFamily(
            "cx_exhibit_clock_timestamp_seconds", "Clock the values are as of.", labels=["exhibit"]
        )
        for exhibit, clock_ms in clocks.items():
            clock.add_metric([exhibit], clock_ms / 1000)
        yield clock
        told = GaugeMetricFamily(
            "cx_exhibit_hidden_cells",
            "Cells of an exhibit that are not shown here: there are too many.",
            labels=["exhibit"],
        )
        for exhibit in clocks:
            told.add_metric([exhibit], hidden.get(exhibit, 0))
        yield told
        yield GaugeMetricFamily(
            "cx_exhibit_stale_partitions",
            "Partitions whose values are hidden because their clock stands still.",
            value=stale,
        )


def _cell(value: ExhibitValue) -> Cell:
    return tuple(value.dimensions.values())


def _targets(
    values: Iterable[ExhibitValue], labels: tuple[str, ...], dimensions: list[str]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "cx_exhibit_target",
        "Target of the value; bound tells the ends of a range apart.",
        labels=(*labels, "bound"),
    )
    for value in values:
        for bound, number in _bounds(value.target):
            family.add_metric([*_label_values(value, dimensions), bound], number)
    return family


def _bounds(target: str | None) -> Iterable[tuple[str, float]]:
    if target is None:
        return
    if target.startswith((">=", "<=")):
        # An empty label is no label to Prometheus.
        yield "", float(target[2:])
    else:
        low, _, high = target.partition("..")
        yield "low", float(low)
        yield "high", float(high)


def _label_values(value: ExhibitValue, dimensions: list[str]) -> list[str]:
    window = value.window
    own = [value.dimensions.get(name, "") for name in dimensions]
    return [value.exhibit, value.kpi, value.name, window.size or window.kind, value.state, *own]
