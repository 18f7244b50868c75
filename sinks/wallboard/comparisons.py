"""What a value is compared with: the same time last week, and the forecast. Read from ClickHouse.

Last week's value is made of published buckets, so it is what was reported then. Windows that move
with the clock are met by whole buckets that end at or before the same local time a week ago.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import structlog
from clickhouse_connect.driver import AsyncClient
from clickhouse_connect.driver.exceptions import ClickHouseError

from pipeline.kpi import stats
from pipeline.kpi.calendar import SIZES_MS, bucket, day_start_ms, zone_info
from pipeline.kpi.catalogue import Catalogue, CompiledKpi, check_exhibit
from pipeline.kpi.clickhouse_code import population_sql
from pipeline.settings import ClickHouseSettings
from schemas.exhibit import SLIDING_MS, Exhibit, Tumbling, TumblingSize
from schemas.facts import DIMENSIONS
from schemas.values import TOTAL
from sinks.clickhouse.client import connect
from sinks.wallboard.board import Board, Chosen, Place
from sinks.wallboard.frames import Compared, LastWeek
from sinks.wallboard.stream import Stream

log = structlog.get_logger(__name__)

REFRESH_SECONDS: Final = 30.0
MAX_PLACES: Final = 50
"""Cells and windows that are compared in one round; further ones are not compared."""

_WEEK: Final = timedelta(days=7)
_LIMITS: Final = {"readonly": 2, "max_execution_time": 5, "max_rows_to_read": 50_000_000}


class Span(NamedTuple):
    """Whole buckets of one size, from ``start_ms`` to ``end_ms``."""

    size: TumblingSize
    start_ms: int
    end_ms: int


def last_week(exhibit: Exhibit, window: str, clock_ms: int) -> Span | None:
    """The buckets that stand for a window a week before the clock; None where none can."""
    zone = exhibit.time_zone
    now = datetime.fromtimestamp(clock_ms / 1000, zone_info(zone))
    # Arithmetic on local time: the same hour on the clock on the wall, whatever clocks were put.
    then_ms = round((now - _WEEK).timestamp() * 1000)
    sizes = [w.size for w in exhibit.windows if isinstance(w, Tumbling) and w.size in SIZES_MS]
    length_ms = SLIDING_MS.get(window)
    if length_ms is not None:
        sizes = [size for size in sizes if length_ms % SIZES_MS[size] == 0]
    if not sizes or (length_ms is None and window != "today"):
        return None
    size = min(sizes, key=lambda one: SIZES_MS[one])
    end_ms = bucket(zone, size, then_ms)[0]
    start_ms = day_start_ms(zone, then_ms) if length_ms is None else end_ms - length_ms
    return Span(size, start_ms, end_ms) if start_ms < end_ms else None


def adds_up(kpi: CompiledKpi) -> bool:
    """Whether values of adjacent buckets make that of both: sums that nothing else reads."""
    plain = kpi.combination is None and kpi.reads == "value" and len(kpi.parts) == 1
    return plain and not kpi.gauge and kpi.part.aggregate == "sum" and kpi.part.matures is None


_BUCKETS_SQL: Final = """
SELECT `as`, sum(numerator), sum(denominator), any(value), count()
FROM kpis
WHERE exhibit = {exhibit:String} AND window_kind = 'tumbling' AND window_size = {size:String}
  AND window_start >= fromUnixTimestamp64Milli({start_ms:Int64})
  AND window_end <= fromUnixTimestamp64Milli({end_ms:Int64})
  AND attribution != 'cohort-final' AND {cell}
GROUP BY `as`
"""

# Of two plans for the same time and place the one told last counts.
_FORECAST_SQL: Final = """
SELECT sum(
  value_micro * (least(ends_ms, {end_ms:Int64}) - greatest(starts_ms, {start_ms:Int64}))
  / (ends_ms - starts_ms)
)
FROM (
  SELECT starts_ms, assumeNotNull(ends_ms) AS ends_ms, argMax(value_micro, told_ms) AS value_micro
  FROM plans
  WHERE plan = 'forecast' AND ends_ms > starts_ms
    AND starts_ms < {end_ms:Int64} AND ends_ms > {start_ms:Int64} AND {population} AND {cell}
  GROUP BY starts_ms, ends_ms, {dimensions}
)
HAVING count() > 0
"""


class Comparer:
    """Reads what shown values are compared with, for the selections of open pages.

    Args:
        settings: Server and user; a user with ``readonly = 2`` is enough.
        catalogue: Forms of KPIs.
        board: Says what is shown, and takes what it is compared with.
        stream: Knows what open pages have chosen.
    """

    def __init__(
        self, settings: ClickHouseSettings, catalogue: Catalogue, board: Board, stream: Stream
    ) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._board = board
        self._stream = stream
        self._client: AsyncClient | None = None

    async def run(self) -> None:
        """Keep comparisons fresh until cancelled; a ClickHouse that is away leaves them out."""
        while True:
            self._stream.opened.clear()
            try:
                self._board.compare(await self.read())
            except (ClickHouseError, OSError) as error:
                log.warning("wallboard_comparisons_failed", error=str(error))
                self._board.compare({})
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stream.opened.wait(), REFRESH_SECONDS)

    async def read(self) -> dict[Place, dict[str, Compared]]:
        """What the values of all open pages are compared with, by KPI's name.

        Raises:
            clickhouse_connect.driver.exceptions.ClickHouseError: ClickHouse did not answer.
        """
        chosen = {
            one.place: one
            for selection in self._stream.selections
            for one in self._board.chosen(selection)
        }
        return {
            place: await self._compared(one) for place, one in list(chosen.items())[:MAX_PLACES]
        }

    async def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            await self._client.close()

    async def _compared(self, chosen: Chosen) -> dict[str, Compared]:
        weeks = await self._last_week(chosen)
        forecast = await self._forecast(chosen)
        told = {name: Compared(last_week=found) for name, found in weeks.items()}
        for entry in chosen.exhibit.kpis:
            if forecast is not None and entry.kpi == "offered":
                told[entry.name] = Compared(weeks.get(entry.name), forecast)
        return told

    async def _last_week(self, chosen: Chosen) -> dict[str, LastWeek]:
        exhibit = chosen.exhibit
        span = last_week(exhibit, chosen.window, chosen.clock_ms)
        if span is None:
            return {}
        rows = await self._query(
            _BUCKETS_SQL.replace("{cell}", _cell_of_map(exhibit.by)),
            {"exhibit": exhibit.exhibit, "size": span.size, "start_ms": span.start_ms,
             "end_ms": span.end_ms, **_parameters(exhibit.by, chosen.cell)},
        )  # fmt: skip
        whole = span.end_ms - span.start_ms == SIZES_MS[span.size]
        kpis = self._compiled(exhibit)
        found = {}
        for name, numerator, denominator, value, count in rows:
            kpi = kpis.get(name)
            if kpi is None:
                continue
            if adds_up(kpi):
                n = None if kpi.total else denominator
                number = stats.value(kpi.unit, numerator, n, micro=kpi.micro)
            elif whole and count == 1:
                number = value
            else:
                continue
            found[name] = LastWeek(number, span.start_ms, span.end_ms)
        return found

    def _compiled(self, exhibit: Exhibit) -> dict[str, CompiledKpi]:
        compiled = check_exhibit(exhibit, self._catalogue)
        return {entry.name: kpi for entry, kpi in zip(exhibit.kpis, compiled, strict=True)}

    async def _forecast(self, chosen: Chosen) -> float | None:
        """Contacts forecast for the part of the window that has passed; None without a plan."""
        exhibit = chosen.exhibit
        length_ms = SLIDING_MS.get(chosen.window)
        if length_ms is None and chosen.window != "today":
            return None
        start_ms = (
            day_start_ms(exhibit.time_zone, chosen.clock_ms)
            if length_ms is None
            else chosen.clock_ms - length_ms
        )
        sql = (
            _FORECAST_SQL.replace("{population}", f"({population_sql(exhibit.effective_where)})")
            .replace("{cell}", _cell_of_columns(exhibit.by, chosen.cell))
            .replace("{dimensions}", ", ".join(DIMENSIONS))
        )
        rows = await self._query(
            sql,
            {"start_ms": start_ms, "end_ms": chosen.clock_ms,
             **_parameters(exhibit.by, chosen.cell)},
        )  # fmt: skip
        return float(rows[0][0]) / 1_000_000 if rows else None

    async def _query(self, sql: str, parameters: Mapping[str, Any]) -> list[Any]:
        if self._client is None:
            self._client = await connect(self._settings)
        found = await self._client.query(sql, dict(parameters), settings=dict(_LIMITS))
        return list(found.result_rows)


def _parameters(by: Iterable[str], cell: Iterable[str]) -> dict[str, str]:
    return {f"dimension_{name}": value for name, value in zip(by, cell, strict=True)}


def _cell_of_map(by: Iterable[str]) -> str:
    told = [f"dimensions['{name}'] = {{dimension_{name}:String}}" for name in by]
    return " AND ".join(told) or "1"


def _cell_of_columns(by: Iterable[str], cell: Iterable[str]) -> str:
    told = [
        f"{name} = {{dimension_{name}:String}}"
        for name, value in zip(by, cell, strict=True)
        if value != TOTAL
    ]
    return " AND ".join(told) or "1"
