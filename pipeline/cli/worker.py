"""``cxstream worker``: stages on a Kafka, as deployed."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from functools import partial
from typing import Annotated

import structlog
import typer

from pipeline import metrics
from pipeline.app import Wiring, Worker
from pipeline.cli.exhibits import read_exhibits
from pipeline.cli.output import Exit, fail
from pipeline.cli.recompute import keep_recomputing
from pipeline.cli.settings import kafka_settings
from pipeline.doctor.kafka import ProbeError, ask_clock
from pipeline.runtime import (
    broker_of,
    client_security,
    serve_metrics,
    wiring_of,
)
from pipeline.settings import Settings
from pipeline.topics_admin import TopicsError, check_partitions
from pipeline.wall_clock import check_start
from schemas.platforms import UnknownPlatformError
from schemas.topics import FACTS
from sinks.clickhouse.coalesce import Coalescer
from sinks.clickhouse.observer import SinkMetrics
from sinks.clickhouse.writer import ClickHouseWriter
from sinks.prometheus import ExhibitCollector

log = structlog.get_logger(__name__)


def command(
    roles: Annotated[
        str | None,
        typer.Option(help="Stages to run, with commas; all by default."),
    ] = None,
    bootstrap: Annotated[str | None, typer.Option(help="Kafka brokers, host:port.")] = None,
) -> None:
    """Run stages of the pipeline until SIGTERM. Settings come from CXSTREAM_* variables.

    Workers of one group prefix share the partitions among them; topics and tables must be there
    (`cxstream topics apply`, `cxstream migrate apply`).
    """
    settings, brokers = kafka_settings(roles=roles, bootstrap=bootstrap)
    exhibits = read_exhibits(list(settings.exhibits))
    try:
        wiring = wiring_of(settings, broker_of(settings, brokers), exhibits)
        check_partitions(brokers, client_security(settings))
        _check_clock(settings, brokers)
        asyncio.run(_run(settings, brokers, wiring))
    except (UnknownPlatformError, ValueError) as error:
        fail(str(error), Exit.BAD_INPUT)
    except (OSError, RuntimeError, TopicsError) as error:
        fail(str(error))


def _check_clock(settings: Settings, bootstrap: str) -> None:
    """Refuse to write ticks by a wrong clock. Raises ``ClockError``."""
    if settings.ticks == "wall" and "lifecycle" in settings.roles:
        try:
            ahead_ms, doubt_ms = ask_clock(settings, bootstrap)
        except ProbeError as error:
            log.warning("clock_not_compared", reason=str(error))
        else:
            check_start(ahead_ms, doubt_ms)


async def _run(settings: Settings, bootstrap: str, wiring: Wiring) -> None:
    stop = asyncio.Event()

    def end() -> None:
        if not stop.is_set():
            stop.set()
            deadline = threading.Timer(settings.stop_seconds, _end_at_once)
            deadline.daemon = True
            deadline.start()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end)
    try:
        await _work(settings, bootstrap, wiring, stop)
    except StageFailedError:
        # Partitions are given up. What the counters say last must be seen by somebody.
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), settings.linger_seconds)
        raise


def _end_at_once() -> None:
    """End a process that cannot leave its groups, as when its Kafka is gone.

    Nothing is lost by it: what was not committed is read again, as after a kill.
    """
    log.error("stop_overdue")
    os._exit(Exit.FAILED)


class StageFailedError(RuntimeError):
    """A stage ended by itself, which is always an error."""


async def _work(settings: Settings, bootstrap: str, wiring: Wiring, stop: asyncio.Event) -> None:
    async with AsyncExitStack() as stack:
        if "exhibits" in settings.roles:
            collector = ExhibitCollector(
                metrics.REGISTRY, 3 * settings.tick_seconds + 2, settings.metrics_cells
            )
            wiring = replace(wiring, displays=(collector,))
        if "sink" in settings.roles:
            writer = ClickHouseWriter(
                settings.clickhouse, SinkMetrics(partial(wiring.health.waits, "sink."))
            )
            stack.push_async_callback(writer.close)
            wiring = replace(wiring, sink=Coalescer(writer))
        address = serve_metrics(settings.metrics_host, settings.metrics_port, wiring.health)
        worker = await stack.enter_async_context(Worker(wiring))
        log.info("worker_started", roles=settings.roles, metrics=address, bootstrap=bootstrap)
        failed = asyncio.create_task(worker.failed())
        stopped = asyncio.create_task(stop.wait())
        if "sink" in settings.roles:
            again = keep_recomputing(
                settings.clickhouse, wiring.exhibits, partial(_stores_first_facts, worker), stop
            )
            stack.callback(asyncio.create_task(again).cancel)
        await asyncio.wait({failed, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if failed.done():
            raise StageFailedError(f"a stage failed: {failed.result()!r}")
        failed.cancel()
        log.info("worker_stopping")


def _stores_first_facts(worker: Worker) -> bool:
    """Whether this worker stores the first partition of facts: one of all workers does."""
    stages = worker.apps["sink"].stages
    return any(tp.topic == FACTS and tp.partition == 0 for s in stages for tp in s.partitions)
