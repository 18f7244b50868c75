"""``cxstream wallboard``: the live page, fed by the committed values of a Kafka."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer
from aiokafka.errors import KafkaError

from pipeline.cli.exhibits import read_exhibits
from pipeline.cli.output import fail
from pipeline.cli.settings import kafka_settings
from pipeline.kpi import catalogue
from pipeline.runtime import broker_of
from pipeline.settings import Settings
from schemas.exhibit import Exhibit
from sinks.wallboard.access import lists_rows
from sinks.wallboard.board import Board
from sinks.wallboard.rows import RowSource
from sinks.wallboard.server import WallboardServer
from sinks.wallboard.source import KpiSource


def command(
    bootstrap: Annotated[str | None, typer.Option(help="Kafka brokers, host:port.")] = None,
    exhibit: Annotated[
        list[Path] | None, typer.Option(help="Exhibit file, as the workers have it.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port, 0 for any free one.")] = None,
) -> None:
    """Serve the wallboard, a live page of all exhibits of a Kafka, until SIGTERM.

    It reads what all workers have committed, and needs none of them in its own process.
    """
    settings, brokers = kafka_settings(
        bootstrap=bootstrap, wallboard_host=host, wallboard_port=port
    )
    exhibits = read_exhibits(exhibit or list(settings.exhibits))
    try:
        asyncio.run(_run(settings, brokers, exhibits))
    except (OSError, RuntimeError, KafkaError) as error:
        fail(str(error))


async def _run(settings: Settings, bootstrap: str, exhibits: list[Exhibit]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    definitions = catalogue.load()
    async with AsyncExitStack() as stack:
        source = await stack.enter_async_context(KpiSource(broker_of(settings, bootstrap)))
        board = Board(
            exhibits,
            definitions,
            await source.partitions(),
            3 * settings.tick_seconds + 2,
            _now_ms if settings.ticks == "wall" else None,
        )
        rows = None
        if settings.clickhouse.model_fields_set and lists_rows(settings):
            rows = RowSource(settings.clickhouse, definitions)
            stack.push_async_callback(rows.close)
        server = await stack.enter_async_context(
            WallboardServer(
                board, definitions, rows=rows,
                host=settings.wallboard_host, port=settings.wallboard_port,
            )
        )  # fmt: skip
        typer.echo(f"wallboard   {server.address}")
        following = asyncio.create_task(source.follow(board))
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({following, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            following.result()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
