"""Current values of all exhibits, and how fresh they are: a display of the exhibits agent.

Values come from the agent in this process, or from the topics it writes (``source.py``). Either
way only what is committed is shown, and an exhibit, which lies in one partition, is shown whole or
not at all.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pipeline.stages.configuration import Configuration
from pipeline.stages.publisher import exhibit_partition
from schemas.exhibit import Exhibit, Tumbling
from schemas.sources import SourceHeard
from schemas.values import TOTAL, ExhibitValue
from sinks.wallboard.exhibits import ExhibitsInForce, Shown
from sinks.wallboard.floor import FLOOR_KPIS, floor_row
from sinks.wallboard.frames import (
    BoardFrame,
    Compared,
    FloorRow,
    Freshness,
    Section,
    Selection,
    Tile,
)
from sinks.wallboard.history import STEP_MS, History, Series
from sinks.wallboard.silence import Sources
from sinks.wallboard.tiles import badness, leading, moved, tile

_PREFERRED_WINDOWS: Final = ("1h", "30m", "15m", "5m", "today", "all")
_MAX_CELLS: Final = 500

Place = tuple[str, int, str, tuple[str, ...]]
"""Exhibit, its version, window and cell."""


class Chosen(NamedTuple):
    """What one section of a page shows, as of its clock."""

    exhibit: Exhibit
    window: str
    cell: tuple[str, ...]
    clock_ms: int

    @property
    def place(self) -> Place:
        """Where its values stand."""
        return (self.exhibit.exhibit, self.exhibit.version, self.window, self.cell)


@dataclass
class _Partition:
    values: dict[bytes, ExhibitValue] = field(default_factory=dict)
    clock_ms: int | None = None
    ticked: float = 0.0
    dropped: bool = False


class Board:
    """Values by partition, read as sections of the page.

    Args:
        exhibits: Exhibits in force, told by the log or by files.
        partitions: Number of partitions of ``cx.kpis``.
        stale_seconds: Without a tick for this long values are not current, nor if ticks still come
            but are three times as old: the pipeline lives, and works off a backlog.
        silent_seconds: A source of events that was not heard for longer is told to be silent.
        now_ms: Epoch milliseconds, to judge the age of ticks that follow the wall clock; None where
            they do not, and only their arrival counts.
        monotonic: Clock for arrivals.
    """

    def __init__(
        self,
        exhibits: ExhibitsInForce,
        partitions: int,
        stale_seconds: float,
        silent_seconds: float,
        now_ms: Callable[[], int] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.exhibits = exhibits
        self._sources = Sources(silent_seconds)
        self._count_of_partitions = partitions
        self._stale_seconds = stale_seconds
        self._now_ms = now_ms
        self._monotonic = monotonic
        self._partitions: dict[int, _Partition] = {}
        self._index: dict[Place, dict[str, dict[str, ExhibitValue]]] = {}
        self._cells: dict[tuple[str, int], Counter[tuple[str, ...]]] = {}
        self._compared: Mapping[Place, Mapping[str, Compared]] = {}
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
            elif value.window.kind != "tumbling":
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

    def configure(self, source: str, configuration: Configuration) -> None:
        """A source says which exhibits it counts for."""
        self.exhibits.take(source, configuration)
        self.changed.set()

    def heard(self, heard: SourceHeard) -> None:
        """A source of events was heard."""
        self._sources.take(heard)

    def compare(self, compared: Mapping[Place, Mapping[str, Compared]]) -> None:
        """Take over what values are compared with; what is left out has nothing any more."""
        self._compared = compared
        self.changed.set()

    def _add(self, value: ExhibitValue) -> None:
        cell = tuple(value.dimensions.values())
        identity = (value.exhibit, value.exhibit_version)
        readings = self._index.setdefault((*identity, _window(value), cell), {})
        readings.setdefault(value.name, {})[value.state] = value
        self._cells.setdefault(identity, Counter())[cell] += 1

    def _remove(self, value: ExhibitValue) -> None:
        cell = tuple(value.dimensions.values())
        identity = (value.exhibit, value.exhibit_version)
        readings = self._index[*identity, _window(value), cell][value.name]
        if readings.get(value.state) is value:
            del readings[value.state]
        counts = self._cells[identity]
        counts[cell] -= 1
        if not counts[cell]:
            del counts[cell]
        if not counts:
            del self._cells[identity]

    # --- reading --------------------------------------------------------------------------------

    def freshness(self, exhibit: str) -> Freshness:
        """Whether the values of an exhibit are current."""
        number = exhibit_partition(exhibit, self._count_of_partitions)
        known = self._partitions.get(number, _Partition())
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
        names = self.exhibits.names
        chosen = [name for name in names if selection.exhibit in (None, name)]
        shown = [one for one in map(self.shown, chosen) if one is not None]
        return BoardFrame(names, [self._section(one, selection) for one in shown])

    def shown(self, exhibit: str) -> Shown | None:
        """The version of an exhibit whose values are published; the newest while there are none.

        Workers publish a new version whole and then withdraw what only the old one had.
        """
        if exhibit not in self.exhibits.names:
            return None
        published = self._published(exhibit)
        found = self.exhibits.shown(exhibit, published) if published is not None else None
        return found or self.exhibits.shown(exhibit)

    def _published(self, exhibit: str) -> int | None:
        """The newest version that there are values of."""
        return max((version for name, version in self._cells if name == exhibit), default=None)

    def chosen(self, selection: Selection) -> list[Chosen]:
        """What the sections of a page with this selection show, those without a clock left out."""
        found = []
        for name in self.exhibits.names:
            shown = self.shown(name) if selection.exhibit in (None, name) else None
            cell = _cell(shown.exhibit, selection) if shown is not None else None
            clock_ms = self.freshness(name).as_of_ms
            if shown is not None and cell is not None and clock_ms is not None:
                window = _chosen_window(shown.exhibit, selection)
                found.append(Chosen(shown.exhibit, window, cell, clock_ms))
        return found

    def trends(self, selection: Selection) -> dict[str, Series]:
        """The last hour of every tile, by its id."""
        found = {}
        for section in self.frame(selection).sections:
            clock_ms = section.freshness.as_of_ms
            for one in section.tiles if clock_ms is not None else ():
                value = self.value(one.exhibit, one.name, selection)
                if value is not None and clock_ms is not None:
                    found[one.id] = self._history.series(value.key, clock_ms)
        return found

    def value(self, exhibit: str, name: str, selection: Selection) -> ExhibitValue | None:
        """The value that the tile of a KPI shows; None where there is none."""
        found = self.shown(exhibit)
        cell = _cell(found.exhibit, selection) if found is not None else None
        if found is None or cell is None:
            return None
        chosen = found.exhibit
        place = (exhibit, chosen.version, _chosen_window(chosen, selection), cell)
        readings = list(self._index.get(place, {}).get(name, {}).values())
        clock_ms = self.freshness(exhibit).as_of_ms
        return moved(leading(readings)[0], clock_ms) if readings and clock_ms else None

    def _section(self, shown: Shown, selection: Selection) -> Section:
        exhibit = shown.exhibit
        window = _chosen_window(exhibit, selection)
        cell = _cell(exhibit, selection)
        freshness = self.freshness(exhibit.exhibit)
        tiles: list[Tile] = []
        if cell is not None and freshness.state != "waiting":
            tiles = self._tiles(shown, window, cell, freshness.as_of_ms or 0)
        return Section(
            exhibit=exhibit.exhibit,
            title=exhibit.title or exhibit.exhibit,
            version=exhibit.version,
            time_zone=exhibit.time_zone,
            by=exhibit.by,
            windows=_windows(exhibit),
            window=window,
            cells=sorted(self._cells.get((exhibit.exhibit, exhibit.version), ()))[:_MAX_CELLS],
            freshness=freshness,
            silent="" if tiles else self._why_empty(exhibit, selection, window, cell, freshness),
            silent_sources=self._sources.silent(exhibit, cell, freshness.as_of_ms)
            if tiles and cell is not None and freshness.as_of_ms is not None
            else [],
            tiles=tiles,
            floor=self._floor(exhibit, window) if tiles else [],
        )

    def _floor(self, exhibit: Exhibit, window: str) -> list[FloorRow]:
        """Performers of every cell, if the exhibit has gauges of their states."""
        if not any(entry.kpi in FLOOR_KPIS for entry in exhibit.kpis):
            return []
        identity = (exhibit.exhibit, exhibit.version)
        rows = [
            floor_row(cell, self._index.get((*identity, window, cell), {}))
            for cell in sorted(self._cells.get(identity, ()), key=_totals_first)[:_MAX_CELLS]
        ]
        return [row for row in rows if row.counts]

    def _why_empty(
        self,
        exhibit: Exhibit,
        selection: Selection,
        window: str,
        cell: tuple[str, ...] | None,
        freshness: Freshness,
    ) -> str:
        """Why a section has no tile."""
        if cell is None:
            names = ", ".join(name for name, _ in selection.dimensions if name not in exhibit.by)
            return f"this exhibit is not split by {names}"
        if freshness.state == "waiting":
            return freshness.reason
        if not window:
            return "this exhibit has buckets only; read them in ClickHouse"
        published = self._published(exhibit.exhibit)
        if published not in (None, exhibit.version):
            return f"workers show version {published}, which this wallboard cannot read"
        return "nothing has happened here yet"

    def _tiles(self, shown: Shown, window: str, cell: tuple[str, ...], clock_ms: int) -> list[Tile]:
        exhibit = shown.exhibit
        place = (exhibit.exhibit, exhibit.version, window, cell)
        readings = self._index.get(place, {})
        compared = self._compared.get(place, {})
        tiles = [
            tile(
                shown,
                entry,
                [moved(v, clock_ms) for v in readings[entry.name].values()],
                compared.get(entry.name),
            )
            for entry in exhibit.kpis
            if readings.get(entry.name)
        ]
        return sorted(tiles, key=badness)


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


def _totals_first(cell: tuple[str, ...]) -> list[tuple[bool, str]]:
    return [(value != TOTAL, value) for value in cell]
