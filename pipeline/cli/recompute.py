"""``cxstream recompute``: values that corrections have changed after the stream let them go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import structlog
import typer
from clickhouse_connect.driver.exceptions import ClickHouseError

from pipeline.cli.exhibits import read_exhibits
from pipeline.cli.output import fail
from pipeline.cli.settings import read_settings
from pipeline.kpi import catalogue
from pipeline.settings import ClickHouseSettings
from schemas.exhibit import Exhibit
from sinks.clickhouse.client import connect_blocking
from sinks.clickhouse.recompute import Done, Recompute

log = structlog.get_logger(__name__)

EVERY_SECONDS: Final = 60.0
"""How often a worker looks for what is to be computed again."""
_SETTLED_SECONDS: Final = 60
"""Corrections stored so long ago have their facts in ClickHouse."""


def command(
    exhibit: Annotated[
        list[Path] | None, typer.Option(help="Exhibit file; the default exhibit without one.")
    ] = None,
) -> None:
    """Compute values again that late corrections changed beyond the stream's horizon.

    Values that differ are written as restated ones. Doing it again changes nothing.
    """
    exhibits = read_exhibits(exhibit or [])
    try:
        with connect_blocking(read_settings().clickhouse) as client:
            recompute = Recompute(client, catalogue.load())
            for one in exhibits:
                while (done := recompute.run(one)).intervals:
                    typer.echo(
                        f"{done.exhibit}: {done.intervals:,} quarter hours looked at,"
                        f" {done.restated:,} values restated"
                    )
                typer.echo(f"{one.exhibit}: nothing is left to be computed again")
    except ClickHouseError as error:
        fail(str(error))


async def keep_recomputing(
    settings: ClickHouseSettings,
    exhibits: Sequence[Exhibit],
    is_mine: Callable[[], bool],
    stop: asyncio.Event,
) -> None:
    """Compute again what is dirty, each minute until ``stop``, while it is this worker's to do."""
    while not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), EVERY_SECONDS)
        if stop.is_set() or not is_mine():
            continue
        try:
            done = await asyncio.to_thread(_recompute, settings, exhibits)
        except ClickHouseError as error:
            log.warning("recompute_failed", error=str(error))
            continue
        for one in done:
            if one.intervals:
                log.info("recomputed", exhibit=one.exhibit, values=one.restated)


def _recompute(settings: ClickHouseSettings, exhibits: Sequence[Exhibit]) -> list[Done]:
    with connect_blocking(settings) as client:
        recompute = Recompute(client, catalogue.load())
        return [recompute.run(exhibit, settled_seconds=_SETTLED_SECONDS) for exhibit in exhibits]
