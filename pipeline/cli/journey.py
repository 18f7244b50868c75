"""``cxstream journey``: the story of one journey, step by step."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from clickhouse_connect.driver.exceptions import ClickHouseError

from pipeline.cli.exhibits import read_exhibits
from pipeline.cli.output import Exit, fail
from pipeline.cli.settings import demo_clickhouse, read_settings
from pipeline.cli.sql import ask
from pipeline.journey.effort import default_weights, weights_of
from pipeline.journey.read import from_clickhouse, from_replay
from pipeline.journey.story import Fact, Facts, tell
from pipeline.settings import ClickHouseSettings


def command(
    key: Annotated[str, typer.Argument(help="An interaction, or a customer by customer_key.")],
    facts: Annotated[
        Path | None,
        typer.Option(help="What `cxstream replay --emit facts --json` printed; else ClickHouse."),
    ] = None,
    exhibit: Annotated[
        Path | None, typer.Option(help="Exhibit whose weights the effort has; else the defaults.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Data folder of a running demo; else as the settings say.")
    ] = None,
) -> None:
    """Tell the journey of an interaction, or all journeys of a customer, step by step."""
    weights = default_weights()
    if exhibit is not None:
        weights = weights_of(read_exhibits([exhibit])[0]) or weights
    try:
        found = _from_file(key, facts) if facts is not None else _from_clickhouse(key, data)
    except (ClickHouseError, OSError) as error:
        fail(str(error))
    if not found.journeys:
        fail(f"{key}: no journey of such an interaction or customer", Exit.NOTHING_READ)
    for line in tell(found, weights):
        typer.echo(line)


def _from_file(key: str, file: Path) -> Facts:
    try:
        with file.open(encoding="utf-8") as lines:
            return from_replay(key, lines)
    except ValueError as error:
        fail(f"{file}: {error}", Exit.BAD_INPUT)


def _from_clickhouse(key: str, data: Path | None) -> Facts:
    settings = read_settings().clickhouse if data is None else demo_clickhouse(data)
    return asyncio.run(from_clickhouse(key, _asker(settings)))


def _asker(settings: ClickHouseSettings) -> Any:
    async def rows(sql: str, given: Mapping[str, Any]) -> list[Fact]:
        names, found = await ask(settings, sql, given)
        return [dict(zip(names, row, strict=True)) for row in found]

    return rows
