"""Current values of all exhibits, and how fresh they are: a display of the exhibits agent.

Values come from the agent in this process, or from the topics it writes (``source.py``). Either
way only what is committed is shown, and an exhibit, which lies in one partition, is shown whole or
not at all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from pipeline.kpi.catalogue import Catalogue
from pipeline.stages.publisher import exhibit_partition
from schemas.exhibit import SLIDING_MS, Exhibit, KpiEntry, Target, Tumbling, parse_target
from schemas.values import TOTAL, ExhibitValue, rfc3339
from sinks.wallboard.frames import (
    SEVERITY,
    BoardFrame,
    Freshness,
    Other,
    Section,
    Selection,
    Tile,
)
from sinks.wallboard.history import STEP_MS, History, Series

_PREFERRED_WINDOWS: Final = ("1h", "30m", "15m", "5m", "today", "all")
_MAX_CELLS: Final = 500
_STEPS_OF_SHORTFALL: Final = (2.0, 1.0, 0.5, 0.2, 0.1, 0.05)

Place = tuple[str, str, tuple[str, ...]]
"""Exhibit, window and cell."""


@dataclass
class _Partition:
    values: dict[bytes, ExhibitValue] = field(default_factory=dict)
    clock_ms: int | None = None
    ticked: float = 0.0
    dropped: bool = False


class Board:
    """Values by partition, read as sections of the page.

    Args:
        exhibits: Exhibits to show, in this order.
        catalogue: Titles of KPIs.
        partitions: Number of partitions of ``cx.kpis``.
        stale_seconds: Without a tick for this long values are not current, nor if ticks still come
            but are three times as old: the pipeline lives, and works off a backlog.
        now_ms: Epoch milliseconds, to judge the age of ticks that follow the wall clock; None where
            they do not, and only their arrival counts.
        monotonic: Clock for arrivals.
    """

    def __init__(
        self,
        exhibits: Iterable[Exhibit],
        catalogue: Catalogue,
        partitions: int,
        stale_seconds: float,
        now_ms: Callable[[], int] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.exhibits = {exhibit.exhibit: exhibit for exhibit in exhibits}
        self._entries = {
            (name, entry.name): entry for name, e in self.exhibits.items() for entry in e.kpis
        }
        self._titles = {
            key: entry.title or catalogue.definition(entry.kpi).title
            for key, entry in self._entries.items()
        }
        self._partition_of = {name: exhibit_partition(name, partitions) for name in self.exhibits}
        self._stale_seconds = stale_seconds
        self._now_ms = now_ms
        self._monotonic = monotonic
        self._partitions: dict[int, _Partition] = {}
        self._index: dict[Place, dict[str, dict[str, ExhibitValue]]] = {}
        self._cells: dict[str, dict[tuple[str, ...], int]] = {}
        self._versions: dict[str, int] = {}
        self._history = History()
        self._sampled: dict[int, int] = {}
        #: Set whenever something changed; whoever waits for it clears it.
        self.changed = asyncio.Event()

    # --- taking values --------------------------------------------------------------------------

    def show(self, partition: int, values: Mapping[bytes, ExhibitValue | None]) -> None:
        """Take over values of a partition by key; None where one is gone."""
        known = self._partitions.setdefault(partition, _Partition())
        for key, value in values.items():
            before = known.values.pop(key, None)
            if before is not None:
                self._remove(before)
            if value is None:
                self._history.forget(key)
            elif value.window.kind != "tumbling" and self._is_known(value):
                known.values[key] = value
                self._add(value)
        self.changed.set()

    def tick(self, partition: int, clock_ms: int) -> None:
        """The values of a partition are as of ``clock_ms``."""
        known = self._partitions.setdefault(partition, _Partition())
        known.clock_ms = max(clock_ms, known.clock_ms or 0)
        known.ticked = self._monotonic()
        known.dropped = False
        step = clock_ms // STEP_MS
        if self._sampled.get(partition) != step:
            self._sampled[partition] = step
            self._history.sample(clock_ms, ((k, v.value) for k, v in known.values.items()))
        self.changed.set()

    def drop(self, partition: int) -> None:
        """The partition is lost: show nothing of it."""
        lost = self._partitions.get(partition, _Partition())
        for value in lost.values.values():
            self._remove(value)
        self._partitions[partition] = _Partition(dropped=True)
        self.changed.set()

    def _is_known(self, value: ExhibitValue) -> bool:
        """Whether a value is of the version we have; its rows and cells may differ in another."""
        exhibit = self.exhibits.get(value.exhibit)
        if exhibit is None:
            return False
        self._versions[value.exhibit] = value.exhibit_version
        return exhibit.version == value.exhibit_version

    def _add(self, value: ExhibitValue) -> None:
        cell = tuple(value.dimensions.values())
        readings = self._index.setdefault((value.exhibit, _window(value), cell), {})
        readings.setdefault(value.name, {})[value.state] = value
        counts = self._cells.setdefault(value.exhibit, {})
        counts[cell] = counts.get(cell, 0) + 1

    def _remove(self, value: ExhibitValue) -> None:
        cell = tuple(value.dimensions.values())
        place = (value.exhibit, _window(value), cell)
        readings = self._index[place][value.name]
        if readings.get(value.state) is value:
            del readings[value.state]
        counts = self._cells[value.exhibit]
        counts[cell] -= 1
        if not counts[cell]:
            del counts[cell]

    # --- reading --------------------------------------------------------------------------------

    def freshness(self, exhibit: str) -> Freshness:
        """Whether the values of an exhibit are current."""
        known = self._partitions.get(self._partition_of[exhibit], _Partition())
        if known.dropped:
            return Freshness("waiting", None, "its worker gave the exhibit up; no other has it yet")
        if known.clock_ms is None:
            return Freshness("waiting", None, "no worker has published its clock yet")
        silent_seconds = self._monotonic() - known.ticked
        behind_seconds = (
            (self._now_ms() - known.clock_ms) / 1000 if self._now_ms is not None else 0.0
        )
        if silent_seconds > self._stale_seconds:
            return Freshness("stale", known.clock_ms, "the clock of the pipeline stands still")
        if behind_seconds > 3 * self._stale_seconds:
            return Freshness("stale", known.clock_ms, "the pipeline is behind the present")
        return Freshness("live", known.clock_ms)

    def frame(self, selection: Selection) -> BoardFrame:
        """What a page with this selection shows."""
        chosen = [
            exhibit
            for name, exhibit in self.exhibits.items()
            if selection.exhibit in (None, name)
        ]  # fmt: skip
        return BoardFrame(list(self.exhibits), [self._section(e, selection) for e in chosen])

    def trends(self, selection: Selection) -> dict[str, Series]:
        """The last hour of every tile, by its id."""
        found = {}
        for section in self.frame(selection).sections:
            clock_ms = section.freshness.as_of_ms
            for tile in section.tiles if clock_ms is not None else ():
                value = self.value(tile.exhibit, tile.name, selection)
                if value is not None and clock_ms is not None:
                    found[tile.id] = self._history.series(value.key, clock_ms)
        return found

    def value(self, exhibit: str, name: str, selection: Selection) -> ExhibitValue | None:
        """The value that the tile of a KPI shows; None where there is none."""
        chosen = self.exhibits.get(exhibit)
        cell = _cell(chosen, selection) if chosen is not None else None
        if chosen is None or cell is None:
            return None
        place = (exhibit, _chosen_window(chosen, selection), cell)
        readings = list(self._index.get(place, {}).get(name, {}).values())
        clock_ms = self.freshness(exhibit).as_of_ms
        return _moved(_leading(readings)[0], clock_ms) if readings and clock_ms else None

    def _section(self, exhibit: Exhibit, selection: Selection) -> Section:
        window = _chosen_window(exhibit, selection)
        cell = _cell(exhibit, selection)
        freshness = self.freshness(exhibit.exhibit)
        tiles: list[Tile] = []
        if cell is not None and freshness.state != "waiting":
            tiles = self._tiles(exhibit, window, cell, freshness.as_of_ms or 0)
        return Section(
            exhibit=exhibit.exhibit,
            title=exhibit.title or exhibit.exhibit,
            version=exhibit.version,
            time_zone=exhibit.time_zone,
            by=exhibit.by,
            windows=_windows(exhibit),
            window=window,
            cells=sorted(self._cells.get(exhibit.exhibit, {}))[:_MAX_CELLS],
            freshness=freshness,
            silent="" if tiles else self._why_silent(exhibit, selection, window, cell, freshness),
            tiles=tiles,
        )

    def _why_silent(
        self,
        exhibit: Exhibit,
        selection: Selection,
        window: str,
        cell: tuple[str, ...] | None,
        freshness: Freshness,
    ) -> str:
        if cell is None:
            names = ", ".join(name for name, _ in selection.dimensions if name not in exhibit.by)
            return f"this exhibit is not split by {names}"
        if freshness.state == "waiting":
            return freshness.reason
        if not window:
            return "this exhibit has buckets only; read them in ClickHouse"
        shown = self._versions.get(exhibit.exhibit, exhibit.version)
        if shown != exhibit.version:
            return (
                f"workers show version {shown}, this wallboard has version {exhibit.version}; "
                "start it again with their file"
            )
        return "nothing has happened here yet"

    def _tiles(
        self, exhibit: Exhibit, window: str, cell: tuple[str, ...], clock_ms: int
    ) -> list[Tile]:
        readings = self._index.get((exhibit.exhibit, window, cell), {})
        tiles = [
            self._tile(exhibit, entry, [_moved(v, clock_ms) for v in readings[entry.name].values()])
            for entry in exhibit.kpis
            if readings.get(entry.name)
        ]
        return sorted(tiles, key=_badness)

    def _tile(self, exhibit: Exhibit, entry: KpiEntry, readings: list[ExhibitValue]) -> Tile:
        value, other = _leading(readings)
        target = parse_target(value.target) if value.target is not None else None
        return Tile(
            id=f"{exhibit.exhibit}/{entry.name}",
            exhibit=exhibit.exhibit,
            name=entry.name,
            title=self._titles[exhibit.exhibit, entry.name],
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
        )


def _moved(value: ExhibitValue, clock_ms: int) -> ExhibitValue:
    """A value as of the clock: one that has not changed since is not published again."""
    window = value.window
    if window.kind == "sliding" and window.size is not None:
        start_ms = clock_ms - SLIDING_MS[window.size]
        window = replace(window, start=rfc3339(start_ms), end=rfc3339(clock_ms))
    return replace(value, as_of=rfc3339(clock_ms), window=window)


def _window(value: ExhibitValue) -> str:
    return value.window.size or value.window.kind


def _windows(exhibit: Exhibit) -> tuple[str, ...]:
    """Windows that move with the clock; buckets are history, which is ClickHouse's."""
    return tuple(w.size or w.kind for w in exhibit.windows if not isinstance(w, Tumbling))


def _chosen_window(exhibit: Exhibit, selection: Selection) -> str:
    """The window a section shows; empty where the exhibit has buckets only."""
    windows = _windows(exhibit)
    if selection.window in windows:
        return selection.window or ""
    return next((window for window in _PREFERRED_WINDOWS if window in windows), "")


def _cell(exhibit: Exhibit, selection: Selection) -> tuple[str, ...] | None:
    """The cell a section shows; None where the exhibit is not split as the selection asks."""
    wanted = dict(selection.dimensions)
    if wanted.keys() - {*exhibit.by}:
        return None
    return tuple(wanted.get(name, TOTAL) for name in exhibit.by)


def _leading(readings: list[ExhibitValue]) -> tuple[ExhibitValue, ExhibitValue | None]:
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


def _badness(tile: Tile) -> tuple[int, int]:
    """Order of a tile: by status, then by steps of shortfall so that tiles seldom change places."""
    step = sum(tile.shortfall < limit for limit in _STEPS_OF_SHORTFALL)
    return SEVERITY[tile.status], step
