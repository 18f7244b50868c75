"""What a stored event costs the sink and ClickHouse, as sent and as columns made in the worker.

The events of a simulated center and their facts, in memory, go to a real ClickHouse in batches. CPU
is that of this process and of the server.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

import psutil
from rich.console import Console

from pipeline.microbatch import Record
from pipeline.microbatch.garbage import tune_garbage_collection
from pipeline.settings import ClickHouseSettings
from pipeline.stages.configuration import Configuration
from schemas.exhibit_file import load_exhibit
from schemas.topics import CONTACTS, FACTS, INTERACTIONS, PERFORMANCES
from sinks.clickhouse import migrate
from sinks.clickhouse.agent import taken
from sinks.clickhouse.client import connect
from sinks.clickhouse.rows import COLUMNS, rows
from sinks.clickhouse.writer import ClickHouseWriter
from tests.bench import stages
from tests.bench.generator import Written
from tests.bench.harness import Measurement
from tests.bench.product import EXHIBIT
from tests.bench.report import Goal, Report, Row, median_row
from tests.support.services import clickhouse_server, clickhouse_settings

MINUTES: Final = 4.0
RATE: Final = 100.0
BATCH: Final = 5_000
AS_SENT, AS_COLUMNS = "as sent", "as columns"
WORKER, SERVER = "worker", "ClickHouse"

Runs = dict[tuple[str, str], list[Measurement]]
Insert = Callable[[ClickHouseWriter, str, Sequence[Record]], Awaitable[None]]


class Logs(NamedTuple):
    """Records that the sink reads, and how many events there are."""

    events: int
    records: dict[str, list[Record]]


def logs() -> Logs:
    """What the stages write of a simulated center."""
    exhibits = Configuration.of([load_exhibit(EXHIBIT.read_text(), EXHIBIT.name)])
    memory = stages.Memory()
    raw = stages.raw_log(MINUTES, RATE)
    stages.drive("intake", memory, raw, BATCH, exhibits)
    accepted = list(memory.logs[INTERACTIONS])
    stages.drive("lifecycle", memory, list(stages.with_ticks(accepted)), BATCH, exhibits)
    for stage, topic in (("journeys", CONTACTS), ("performers", PERFORMANCES)):
        stages.drive(stage, memory, list(memory.logs[topic]), BATCH, exhibits)
    return Logs(len(raw), {INTERACTIONS: [*accepted], FACTS: [*memory.logs[FACTS]]})


async def as_sent(writer: ClickHouseWriter, topic: str, records: Sequence[Record]) -> None:
    """The way of the sink."""
    tables, statements = taken(topic, records)
    for table, told in tables.items():
        await writer.insert(table, COLUMNS[table], told)
    for statement, encoded in statements.items():
        await writer.insert_encoded(statement, encoded)


async def as_columns(writer: ClickHouseWriter, _topic: str, records: Sequence[Record]) -> None:
    """Every record decoded here, and its columns sent."""
    tables: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for record in records:
        for row in rows(record):
            tables[row.table].append(row.values)
    for table, told in tables.items():
        await writer.insert(table, COLUMNS[table], told)


WAYS: Final[dict[str, Insert]] = {AS_COLUMNS: as_columns, AS_SENT: as_sent}


def measure(_bootstrap: str, _written: Written, runs: int, console: Console) -> Report:
    """Measure both ways ``runs`` times over."""
    tune_garbage_collection()
    told = logs()
    found: Runs = defaultdict(list)
    with clickhouse_server() as server:
        process = psutil.Process(server.pid)
        for number in range(runs):
            for way, insert in WAYS.items():
                settings = clickhouse_settings(server, f"sink_{number}_{way.replace(' ', '_')}")
                for name, costs in asyncio.run(_run(settings, insert, told, process)).items():
                    found[f"{name[0]}, {way}", name[1]].append(costs)
                    console.print(f"{name[0]}, {way}, {name[1]}: {costs.cpu_us:.1f} CPU s/M")
    report_rows = [median_row(name, of, "", measured) for (name, of), measured in found.items()]
    return Report.of("sink", told.events, report_rows, _goals(report_rows))


def _goals(found: Sequence[Row]) -> list[Goal]:
    cost = {(row.name, row.form): row.cpu_us for row in found}
    of_worker = {
        way: sum(cost[f"{what}, {way}", WORKER] for what in ("events", "facts")) for way in WAYS
    }
    ratio = of_worker[AS_SENT] / of_worker[AS_COLUMNS]
    return [Goal("CPU of the worker, as sent over as columns", 0.5, ratio, at_most=True)]


async def _run(
    settings: ClickHouseSettings, insert: Insert, told: Logs, server: psutil.Process
) -> dict[tuple[str, str], Measurement]:
    found = {}
    async with await connect(settings, create_database=True) as client:
        await migrate.apply(client)
    async with ClickHouseWriter(settings) as writer:
        for name, topic in (("events", INTERACTIONS), ("facts", FACTS)):
            records = told.records[topic]
            processes = {WORKER: psutil.Process(), SERVER: server}
            before = {who: _cpu_seconds(process) for who, process in processes.items()}
            began = time.monotonic()
            for first in range(0, len(records), BATCH):
                await insert(writer, topic, records[first : first + BATCH])
            seconds = time.monotonic() - began
            for who, process in processes.items():
                found[name, who] = Measurement(
                    told.events, seconds, _cpu_seconds(process) - before[who],
                    process.memory_info().rss,
                )  # fmt: skip
    return found


def _cpu_seconds(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)
