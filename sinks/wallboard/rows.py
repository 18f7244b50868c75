"""The facts behind a value, read from ClickHouse: which interactions made the number."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
from clickhouse_connect.driver import AsyncClient

from pipeline.kpi.catalogue import Catalogue, CompiledKpi, CompiledPart
from pipeline.kpi.clickhouse_code import population_sql
from pipeline.kpi.hours import OpenHours
from pipeline.settings import ClickHouseSettings
from schemas.exhibit import Exhibit
from schemas.values import TOTAL, ExhibitValue
from sinks.clickhouse.client import connect
from sinks.clickhouse.ddl import VIEWS
from sinks.wallboard.definition import compiled_entry

MAX_ROWS: Final = 100
_LIMITS: Final = {"readonly": 2, "max_execution_time": 5, "max_rows_to_read": 50_000_000}
_AGES: Final = ("age", "mean_age")
_COLUMNS: Final = ("interaction_id", "channel", "queue", "performer_kind", "performer_id")


class Query(NamedTuple):
    """SQL and its parameters; no value of an exhibit or a page is part of the text."""

    sql: str
    parameters: dict[str, Any]


class Row(msgspec.Struct, frozen=True):
    """One fact that counts, with what it adds; ``at_ms`` decides its window."""

    part: str
    interaction_id: str
    channel: str
    queue: str
    performer_kind: str
    performer_id: str
    at_ms: int
    numerator: int | None
    denominator: int


class Rows(msgspec.Struct, frozen=True):
    """Facts behind a value as of its clock. ``total`` is how many there are, where it is known."""

    as_of: str
    total: int | None
    rows: list[Row]


def rows_query(exhibit: Exhibit, kpi: CompiledKpi, value: ExhibitValue) -> Query:
    """The query for the facts that ``value`` counts, the telling ones first.

    Where higher is better those that did not count as a success come first, else the largest.
    """
    parameters: dict[str, Any] = {
        f"dimension_{name}": text for name, text in value.dimensions.items() if text != TOTAL
    }
    parameters["as_of_ms"] = _epoch_ms(value.as_of)
    parameters["start_ms"] = _epoch_ms(value.window.start)
    parameters["end_ms"] = _epoch_ms(value.window.end)
    own = {name: given for name, given in parameters.items() if given is not None}
    parts = [_part_sql(exhibit, kpi, part, value, own.keys()) for part in kpi.parts]
    order = (
        "numerator DESC, "
        if kpi.reads in _AGES
        else {"higher": "numerator, ", "lower": "numerator DESC, ", "none": ""}[kpi.direction]
    )
    lines = (
        "SELECT *, count() OVER () AS total FROM (",
        "\nUNION ALL\n".join(parts),
        f") ORDER BY {order}at_ms DESC, interaction_id",
        f"LIMIT {MAX_ROWS}",
    )
    return Query("\n".join(lines), own)


def _part_sql(
    exhibit: Exhibit, kpi: CompiledKpi, part: CompiledPart, value: ExhibitValue, given: Any
) -> str:
    """Facts of one part. All text comes from the catalogue and the schemas, values by parameter."""
    sql = part.sql
    at = f"({sql['time']})"
    conditions = [
        f"({sql['of']})",
        f"({population_sql(exhibit.effective_where)})",
        f"{at} IS NOT NULL",
        *(
            f"{name} = {{dimension_{name}:String}}"
            for name in exhibit.by
            if f"dimension_{name}" in given
        ),
    ]
    if not kpi.gauge:
        last = f"coalesce({sql['until']}, {{as_of_ms:Int64}})" if "until" in sql else at
        if "start_ms" in given:
            conditions.append(f"{last} >= {{start_ms:Int64}}")
        if "end_ms" in given:
            conditions.append(f"{at} < {{end_ms:Int64}}")
        conditions.append(f"{at} <= {{as_of_ms:Int64}}")
    if "matures" in sql and value.state != "provisional":
        conditions.append(f"{sql['matures']} <= {{as_of_ms:Int64}}")
    columns = ", ".join(_COLUMNS)
    numerator = sql["numerator"]
    if kpi.reads in _AGES:
        numerator = f"{{as_of_ms:Int64}} - ({numerator})"
    return (
        f"SELECT '{part.name}' AS part, {columns}, assumeNotNull(toInt64{at}) AS at_ms, "
        f"toNullable(toInt64({numerator})) AS numerator, "
        f"toInt64({sql['denominator']}) AS denominator\n"
        f"FROM {VIEWS[part.fact]}\nWHERE " + "\n  AND ".join(conditions)
    )


def _epoch_ms(text: str | None) -> int | None:
    if text is None:
        return None
    return round(datetime.fromisoformat(text).timestamp() * 1000)


class RowSource:
    """Asks ClickHouse for rows. One client, made at the first question.

    Args:
        settings: Server and user; a user with ``readonly = 2`` is enough.
    """

    def __init__(self, settings: ClickHouseSettings, catalogue: Catalogue) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._client: AsyncClient | None = None

    async def read(self, exhibit: Exhibit, value: ExhibitValue) -> Rows:
        """The facts that a value counts, at most ``MAX_ROWS``.

        Raises:
            clickhouse_connect.driver.exceptions.ClickHouseError: ClickHouse did not answer, or in
                the time that is allowed.
        """
        if self._client is None:
            self._client = await connect(self._settings)
        found_entry = compiled_entry(exhibit, value.name, self._catalogue)
        if found_entry is None:
            return Rows(value.as_of, 0, [])
        _, kpi = found_entry
        query = rows_query(exhibit, kpi, value)
        found = await self._client.query(query.sql, query.parameters, settings=dict(_LIMITS))
        rows = [Row(*row[:-1]) for row in found.result_rows]
        total = int(found.result_rows[0][-1]) if found.result_rows else 0
        if exhibit.business_hours is None or kpi.gauge:
            return Rows(value.as_of, total, rows)
        hours = OpenHours(exhibit.time_zone, exhibit.business_hours)
        open_rows = [row for row in rows if "clip" in kpi.attribution or hours.is_open(row.at_ms)]
        return Rows(value.as_of, None, open_rows)

    async def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            await self._client.close()
