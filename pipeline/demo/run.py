"""The demonstration: embedded parts or a Kafka of one's own, one worker, the simulator, a table."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from clickhouse_connect.driver import AsyncClient
from pydantic import SecretStr
from rich.console import Console
from rich.live import Live

from pipeline import metrics
from pipeline.app import Wiring, Worker
from pipeline.demo.board import Board
from pipeline.demo.feed import Feeder, PerformerLeft
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.kafka import KafkaServer
from pipeline.embedded.parts import EmbeddedLog
from pipeline.identity import make_key
from pipeline.kpi import catalogue
from pipeline.microbatch import Broker
from pipeline.microbatch.pacing import Pacer
from pipeline.microbatch.restore import partition_count
from pipeline.runtime import broker_of, make_topics, serve_metrics, wiring_of
from pipeline.settings import ClickHouseSettings, Settings
from pipeline.simulator import DisorderConfig, SimulatorConfig
from pipeline.simulator.simulator import SOURCE
from schemas.exhibit import Exhibit
from schemas.topics import KPIS
from sinks.clickhouse import definitions
from sinks.clickhouse.accepted import accepted_events, platform_restarts
from sinks.clickhouse.client import connect
from sinks.clickhouse.coalesce import Coalescer
from sinks.clickhouse.migrate import apply as migrate
from sinks.clickhouse.observer import SinkMetrics
from sinks.clickhouse.writer import ClickHouseWriter
from sinks.prometheus import ExhibitCollector
from sinks.wallboard.access import lists_rows
from sinks.wallboard.board import Board as WallboardBoard
from sinks.wallboard.comparisons import Comparer
from sinks.wallboard.exhibits import ExhibitsInForce
from sinks.wallboard.rows import RowSource
from sinks.wallboard.server import WallboardServer
from sinks.wallboard.source import STANDING, LogSource

LIVE_HORIZON = timedelta(days=35)
_REFRESH_SECONDS = 1.0
_LINE_SECONDS = 5.0
# A stop ends within 10 s, the end of ClickHouse included.
_DRAIN_SECONDS = 6.0


@dataclass(frozen=True)
class Options:
    """What the demonstration is asked for.

    Attributes:
        own_kafka: Start an Apache Kafka whose log stays in the data folder.
    """

    exhibits: list[Exhibit]
    events_per_second: float
    simulate: bool = True
    own_kafka: bool = False
    say: Callable[[str], None] = print


async def demo(settings: Settings, options: Options) -> None:
    """Run until SIGINT or SIGTERM.

    Raises:
        RuntimeError: if a stage fails.
        ServiceError: if an embedded part does not start.
    """
    began = time.monotonic()
    stop = _stop_on_signals()
    async with AsyncExitStack() as stack:
        # First in, last out: the files go when nothing runs any more.
        stack.callback(_forget, settings)
        clickhouse = await asyncio.to_thread(
            EmbeddedClickHouse(settings.data_dir / "clickhouse").start
        )
        stack.callback(clickhouse.stop)
        database = ClickHouseSettings(
            host=clickhouse.host,
            port=clickhouse.http_port,
            user=clickhouse.user,
            password=SecretStr(clickhouse.password),
        )
        client = await connect(database, create_database=True)
        stack.push_async_callback(client.close)
        await migrate(client)
        await definitions.write(client, catalogue.load())
        broker, lasting = await asyncio.to_thread(_log, settings, options, stack)
        board = Board(options.exhibits)
        ready = asyncio.Event()
        wallboard = await _wallboard(settings, broker, options.exhibits)
        wiring = _wiring(
            settings, broker, options.exhibits, board, wallboard, database, stack, ready
        )
        server = await _serve(wallboard, settings, database, stack)
        page = server.address
        address = serve_metrics(settings.metrics_host, settings.metrics_port, wiring.health)
        _tell(options.say, settings, page, address, broker, clickhouse, database)
        worker = await stack.enter_async_context(Worker(wiring))
        feeder = Feeder(broker)
        await feeder.start()
        stack.push_async_callback(feeder.close)
        since = await _since(client)
        if not lasting:
            await feeder.restarts(await platform_restarts(client))
            fed = await feeder.again(accepted_events(client, datetime.now(UTC) - LIVE_HORIZON))
            if fed:
                options.say(f"fed {fed:,} earlier events again from ClickHouse")
            if broker.pacer is not None:
                await broker.pacer.drained(stop.is_set)
        if options.simulate:
            await feeder.close_left(await _never_signed_off(client))
        ready.set()
        standing = await stack.enter_async_context(LogSource(broker, STANDING))
        comparer = Comparer(database, catalogue.load(), wallboard, server.stream)
        stack.push_async_callback(comparer.close)
        tasks = [
            asyncio.create_task(_show(board, since, options.say, began)),
            asyncio.create_task(standing.follow(wallboard)),
            asyncio.create_task(comparer.run()),
        ]
        if options.simulate:
            config = SimulatorConfig(
                events_per_second=options.events_per_second, daily_curve=(1.0,) * 24,
                plans=True, keep_truth=False,
            )  # fmt: skip
            tasks.append(asyncio.create_task(feeder.simulate(config, DisorderConfig())))
        await _until(stop, worker, tasks)
        # What was written must reach ClickHouse before this log ends with the process.
        ready.clear()
        if broker.pacer is not None:
            await _drain(broker.pacer)


def _log(settings: Settings, options: Options, stack: AsyncExitStack) -> tuple[Broker, bool]:
    """The broker to use, and whether its log outlives this process."""
    bootstrap = settings.bootstrap
    if options.own_kafka:
        server = KafkaServer(settings.data_dir / "kafka").start()
        stack.callback(server.stop)
        bootstrap = server.bootstrap
    if bootstrap is None:
        log = stack.enter_context(EmbeddedLog(settings.platforms, settings.partitions))
        return log.broker, False
    make_topics(settings, bootstrap)
    return broker_of(settings, bootstrap), True


def _wiring(
    settings: Settings,
    broker: Broker,
    exhibits: list[Exhibit],
    board: Board,
    wallboard: WallboardBoard,
    database: ClickHouseSettings,
    stack: AsyncExitStack,
    ready: asyncio.Event,
) -> Wiring:
    if settings.identity_key is None and not settings.identity_key_file.exists():
        make_key(settings.identity_key_file)
    writer = ClickHouseWriter(database, SinkMetrics())
    stack.push_async_callback(writer.close)
    collector = ExhibitCollector(metrics.REGISTRY, 3 * settings.tick_seconds + 2)
    stack.callback(metrics.REGISTRY.unregister, collector)
    return replace(
        wiring_of(settings, broker, exhibits),
        displays=(board, wallboard, collector),
        sink=Coalescer(writer),
        # Time stands still until earlier events are back: no value may be shown without them.
        clock_runs=ready.is_set,
    )


async def _wallboard(settings: Settings, broker: Broker, exhibits: list[Exhibit]) -> WallboardBoard:
    """The wallboard's values. This process owns every partition, so they are whole."""
    return WallboardBoard(
        ExhibitsInForce(exhibits, catalogue.load()),
        await partition_count(broker, KPIS),
        3 * settings.tick_seconds + 2,
        settings.silent_seconds,
        (lambda: time.time_ns() // 1_000_000) if settings.ticks == "wall" else None,
    )


async def _serve(
    wallboard: WallboardBoard,
    settings: Settings,
    database: ClickHouseSettings,
    stack: AsyncExitStack,
) -> WallboardServer:
    """Start the wallboard's server."""
    rows = None
    if lists_rows(settings):
        rows = RowSource(database, catalogue.load())
        stack.push_async_callback(rows.close)
    server = WallboardServer(
        wallboard, catalogue.load(), rows=rows,
        host=settings.wallboard_host, port=settings.wallboard_port,
    )  # fmt: skip
    return await stack.enter_async_context(server)


def _tell(
    say: Callable[[str], None],
    settings: Settings,
    page: str,
    address: str,
    broker: Broker,
    clickhouse: EmbeddedClickHouse,
    database: ClickHouseSettings,
) -> None:
    say(f"wallboard   {page}")
    say(f"Kafka       {broker.bootstrap}")
    say(f"metrics     {address}")
    say(f"ClickHouse  {clickhouse.url} user {database.user}, native port {clickhouse.native_port}")
    say("query it    .venv/bin/cxstream sql 'SELECT * FROM kpis LIMIT 10'")
    where = {
        "pid": os.getpid(),
        "wallboard": page,
        "kafka": broker.bootstrap,
        "metrics": address,
        "clickhouse": {
            "host": database.host,
            "port": database.port,
            "user": database.user,
            "database": database.database,
            "password_file": str(clickhouse.folder / "password"),
        },
    }
    (settings.data_dir / "run.json").write_text(json.dumps(where, indent=1) + "\n", "utf-8")
    _write_environment(settings, broker, database)


def _write_environment(settings: Settings, broker: Broker, database: ClickHouseSettings) -> None:
    """Settings that let every command reach the parts of this demonstration."""
    told = {
        "BOOTSTRAP": broker.bootstrap,
        "PARTITIONS": settings.partitions,
        "IDENTITY_KEY_FILE": settings.identity_key_file.resolve(),
        "CLICKHOUSE_HOST": database.host,
        "CLICKHOUSE_PORT": database.port,
        "CLICKHOUSE_USER": database.user,
        "CLICKHOUSE_PASSWORD": database.password.get_secret_value(),
        "CLICKHOUSE_DATABASE": database.database,
    }
    lines = [f"export CXSTREAM_{name}={shlex.quote(str(value))}\n" for name, value in told.items()]
    path = settings.data_dir / "run.env"
    path.touch(mode=0o600)
    path.write_text("".join(lines), "utf-8")


def _forget(settings: Settings) -> None:
    for name in ("run.json", "run.env"):
        (settings.data_dir / name).unlink(missing_ok=True)


async def _since(client: AsyncClient) -> str:
    floor = datetime.now(UTC) - LIVE_HORIZON
    found = await client.query(
        "SELECT min(occurred_at) FROM interaction_events "
        "WHERE occurred_at >= {floor:DateTime64(3)} HAVING count() > 0",
        parameters={"floor": floor},
    )
    moments = [row[0] for row in found.result_rows] or [datetime.now(UTC)]
    return str(moments[0].isoformat(timespec="seconds"))


async def _never_signed_off(client: AsyncClient) -> list[PerformerLeft]:
    """Performers whom an earlier run of the simulator left at work."""
    found = await client.query(
        "SELECT performer_id, queue, channel FROM performer_states "
        "WHERE source = {source:String} AND left_ms IS NULL AND state != 'offline'",
        parameters={"source": SOURCE},
    )
    return [PerformerLeft(*row) for row in found.result_rows]


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _show(board: Board, since: str, say: Callable[[str], None], began: float) -> None:
    """Keep the table moving, or print a line every few seconds."""
    await board.live.wait()
    say(f"first KPI values {time.monotonic() - began:.1f} s after the start")
    if not sys.stdout.isatty():
        while True:
            say(board.line())
            await asyncio.sleep(_LINE_SECONDS)
    console = Console()
    with Live(board.table(since, console.width), console=console, auto_refresh=False) as live:
        while True:
            live.update(board.table(since, console.width), refresh=True)
            await asyncio.sleep(_REFRESH_SECONDS)


async def _drain(pacer: Pacer) -> None:
    try:
        await asyncio.wait_for(pacer.drained(), _DRAIN_SECONDS)
    except TimeoutError:
        # Said by the exit code too: what was not taken is lost with this log.
        raise RuntimeError(
            f"ClickHouse did not take everything within {_DRAIN_SECONDS:.0f} s"
        ) from None


async def _until(stop: asyncio.Event, worker: Worker, tasks: list[asyncio.Task[None]]) -> None:
    failed = asyncio.create_task(worker.failed())
    stopped = asyncio.create_task(stop.wait())
    everything: list[asyncio.Task[Any]] = [failed, stopped, *tasks]
    done, rest = await asyncio.wait(everything, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    if stopped in done:
        return
    if failed in done:
        raise RuntimeError(f"a stage failed: {failed.result()!r}")
    for task in done:
        task.result()
