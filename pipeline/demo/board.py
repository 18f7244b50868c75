"""Current values for a terminal: a table that moves, or plain lines where there is no terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from schemas.exhibit import Exhibit
from schemas.values import TOTAL, ExhibitValue, rfc3339

_SHOWN_WINDOWS = ("5m", "1h", "today")
_LEFT_OUT_FIRST = ("today", "5m")
_UNBOUNDED = Console(width=1_000)
_LINE_VALUES = 10


class Board:
    """A display of the exhibits agent that keeps totals, in the order of the exhibits' files."""

    def __init__(self, exhibits: Iterable[Exhibit]) -> None:
        self._order = [(e.exhibit, entry.name) for e in exhibits for entry in e.kpis]
        self._values: dict[int, dict[bytes, ExhibitValue]] = {}
        self._clocks: dict[int, int] = {}
        #: Set once some KPI has a value.
        self.live = asyncio.Event()

    def show(self, partition: int, values: Mapping[bytes, ExhibitValue | None]) -> None:
        """Take over values of a partition by key; None where one is gone."""
        known = self._values.setdefault(partition, {})
        for key, value in values.items():
            if value is None:
                known.pop(key, None)
            elif value.window.kind in ("sliding", "today", "all"):
                known[key] = value
                if value.value is not None:
                    self.live.set()

    def tick(self, partition: int, clock_ms: int) -> None:
        """The values of a partition are as of ``clock_ms``."""
        self._clocks[partition] = clock_ms

    def drop(self, partition: int) -> None:
        """The partition is lost: show nothing of it."""
        self._values.pop(partition, None)
        self._clocks.pop(partition, None)

    def _totals(self) -> dict[tuple[str, str, str], ExhibitValue]:
        found = {}
        for known in self._values.values():
            for value in known.values():
                total = all(v == TOTAL for v in value.dimensions.values())
                if total and value.state != "final":
                    window = value.window.size or value.window.kind
                    found[value.exhibit, value.name, window] = value
        return found

    def _clock(self) -> str:
        return rfc3339(max(self._clocks.values())) if self._clocks else "-"

    def table(self, since: str, width: int | None = None) -> Table:
        """All KPIs in total, a column a window; in ``width`` columns, as many as fit."""
        shown_windows = [*_SHOWN_WINDOWS]
        table = self._table(since, shown_windows)
        for left_out in _LEFT_OUT_FIRST:
            if width is None or _UNBOUNDED.measure(table).maximum <= width:
                break
            shown_windows.remove(left_out)
            table = self._table(since, shown_windows)
        return table

    def _table(self, since: str, windows: Sequence[str]) -> Table:
        totals = self._totals()
        table = Table(
            title=f"as of {self._clock()}", caption=f"values count from {since} on", expand=False
        )
        table.add_column("KPI", no_wrap=True)
        for window in windows:
            table.add_column(window, justify="right", no_wrap=True)
        table.add_column("n (1h)", justify="right", no_wrap=True)
        table.add_column("target", no_wrap=True)
        table.add_column("status", no_wrap=True)
        for exhibit, name in self._order:
            hour = totals.get((exhibit, name, "1h"))
            table.add_row(
                name,
                *(shown(totals.get((exhibit, name, window))) for window in windows),
                "" if hour is None or hour.n is None else f"{hour.n:,}",
                (hour.target or "") if hour else "",
                hour.status if hour else "",
            )
        return table

    def line(self) -> str:
        """The first of the last hour's totals that have a value, in one line."""
        totals = self._totals()
        hour = [(name, totals.get((exhibit, name, "1h"))) for exhibit, name in self._order]
        told = [f"{name} {shown(v)}" for name, v in hour if v is not None and v.value is not None]
        return f"as of {self._clock()}, 1h: " + ", ".join(told[:_LINE_VALUES])


def shown(value: ExhibitValue | None) -> str:
    """A value for people; a dash where it is undefined."""
    if value is None or value.value is None:
        return "-"
    match value.unit:
        case "ratio":
            return f"{value.value:.1%}"
        case "seconds":
            return f"{value.value:,.1f} s"
        case "count":
            return f"{value.value:,}"
        case _:
            return f"{value.value:,.2f}"
