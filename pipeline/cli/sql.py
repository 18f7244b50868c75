"""``cxstream sql``: ask the ClickHouse of a running demonstration."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from clickhouse_connect.driver.exceptions import ClickHouseError
from rich.console import Console
from rich.table import Table

from pipeline.cli.output import fail
from pipeline.cli.settings import demo_clickhouse
from pipeline.settings import ClickHouseSettings
from sinks.clickhouse.client import connect


def command(
    query: Annotated[str, typer.Argument(help="One SELECT.")],
    data: Annotated[Path, typer.Option(help="Data folder of the running demo.")] = Path("var"),
) -> None:
    """Run one query against the ClickHouse of a running demo and print its rows."""
    try:
        names, rows = asyncio.run(ask(demo_clickhouse(data), query))
    except ClickHouseError as error:
        fail(str(error))
    table = Table(*names)
    for row in rows:
        table.add_row(*(str(value) for value in row))
    Console().print(table)


async def ask(
    settings: ClickHouseSettings, query: str, parameters: Mapping[str, Any] | None = None
) -> tuple[list[str], list[Any]]:
    """Names of columns and rows of a query that changes nothing.

    Raises:
        ClickHouseError: the query or the connection failed.
    """
    client = await connect(settings)
    try:
        found = await client.query(
            query, parameters=dict(parameters or {}), settings={"readonly": 1}
        )
    finally:
        await client.close()
    return list(found.column_names), list(found.result_rows)
