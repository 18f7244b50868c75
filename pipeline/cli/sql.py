"""``cxstream sql``: ask the ClickHouse of a running demonstration."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from clickhouse_connect.driver.exceptions import ClickHouseError
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from pipeline.cli.output import fail
from pipeline.settings import ClickHouseSettings
from sinks.clickhouse.client import connect


def command(
    query: Annotated[str, typer.Argument(help="One SELECT.")],
    data: Annotated[Path, typer.Option(help="Data folder of the running demo.")] = Path("var"),
) -> None:
    """Run one query against the ClickHouse of a running demo and print its rows."""
    try:
        where = json.loads((data / "run.json").read_text("utf-8"))["clickhouse"]
        password = Path(where.pop("password_file")).read_text("ascii")
    except (OSError, ValueError, KeyError):
        fail(f"no demo runs with the data folder {data}; start one with `make run`")
    settings = ClickHouseSettings(password=SecretStr(password), **where)
    try:
        names, rows = asyncio.run(_ask(settings, query))
    except ClickHouseError as error:
        fail(str(error))
    table = Table(*names)
    for row in rows:
        table.add_row(*(str(value) for value in row))
    Console().print(table)


async def _ask(settings: ClickHouseSettings, query: str) -> tuple[list[str], list[Any]]:
    client = await connect(settings)
    try:
        found = await client.query(query, settings={"readonly": 1})
    finally:
        await client.close()
    return list(found.column_names), list(found.result_rows)
