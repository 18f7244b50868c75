"""``cxstream wallboard``: the live page, fed by the committed values of a Kafka."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import AsyncExitStack
from typing import Annotated, Any

import typer
from aiokafka.errors import KafkaError

from pipeline.cli.output import fail
from pipeline.cli.settings import kafka_settings
from pipeline.kpi import catalogue
from pipeline.runtime import broker_of
from pipeline.settings import Settings
from schemas.topics import KPIS
from sinks.wallboard.access import lists_rows
from sinks.wallboard.board import Board
from sinks.wallboard.comparisons import Comparer
from sinks.wallboard.exhibits import ExhibitsInForce
from sinks.wallboard.rows import RowSource
from sinks.wallboard.server import WallboardServer
from sinks.wallboard.source import STANDING, VALUES, LogSource


def command(
    bootstrap: Annotated[str | None, typer.Option(help="Kafka brokers, host:port.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port, 0 for any free one.")] = None,
) -> None:
    """Serve the wallboard, a live page of all exhibits of a Kafka, until SIGTERM.

    It reads what all workers have committed, and which exhibits are in force, from the log.
    """
    settings, brokers = kafka_settings(
        bootstrap=bootstrap, wallboard_host=host, wallboard_port=port
    )
    try:
        asyncio.run(_run(settings, brokers))
    except (OSError, RuntimeError, KafkaError) as error:
        fail(str(error))


async def _run(settings: Settings, bootstrap: str) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    definitions = catalogue.load()
    async with AsyncExitStack() as stack:
        broker = broker_of(settings, bootstrap)
        source = await stack.enter_async_context(LogSource(broker, (*STANDING, *VALUES)))
        board = Board(
            ExhibitsInForce((), definitions),
            await source.partitions(KPIS),
            3 * settings.tick_seconds + 2,
            settings.silent_seconds,
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
        working: list[asyncio.Task[Any]] = [asyncio.create_task(source.follow(board))]
        if settings.clickhouse.model_fields_set:
            comparer = Comparer(settings.clickhouse, definitions, board, server.stream)
            stack.push_async_callback(comparer.close)
            working.append(asyncio.create_task(comparer.run()))
        stopped = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait({*working, stopped}, return_when=asyncio.FIRST_COMPLETED)
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        for task in done - {stopped}:
            task.result()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
