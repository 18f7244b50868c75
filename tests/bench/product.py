"""The whole product: simulated events through all stages, to exhibit values and ClickHouse rows.

Workers wait idle and ready; then the events are written, a tick a second with them, and the clock
stops once every consumer group has read everything. So starting up is left out, and the start of a
batch of work is not. One worker with all roles gives the whole; a worker a role gives what each
stage costs. All workers share one core.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import msgspec
import psutil
from confluent_kafka import KafkaError, KafkaException
from rich.console import Console

from pipeline.capacity import Measured, Volume
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.simulator import Simulator, SimulatorConfig
from pipeline.stages.clock import tick_record
from pipeline.stages.wire import Tick
from schemas.topics import (
    CONTACTS,
    FACTS,
    INTERACTIONS,
    KPIS,
    PARTIALS,
    PERFORMANCES,
    changelog_topic,
)
from tests.bench import memory
from tests.bench.generator import Written, fill_changelog
from tests.bench.harness import WORKER_CORE, Measurement, run, run_task
from tests.bench.layer import PLAIN_LOOP, RESTORE
from tests.bench.report import FOLDER, Goal, Report, Row, median_row
from tests.bench.work import Task
from tests.integration.logs import GROUPS, PARTITIONS, RAW
from tests.integration.process import Process, wait_for
from tests.integration.site import Site, site
from tests.integration.warehouse import client_of
from tests.support.services import clickhouse_server

EVENTS: Final = 100_000
RATE: Final = 100.0
"""Events a second of event time."""
WARM_UP_MS: Final = 720_000
"""In the first minutes of a simulated center the shifts of a day are planned; they are left out."""
EXHIBIT: Final = Path(__file__).resolve().parents[2] / "schemas" / "exhibits" / "default.yaml"
CHANGELOG: Final = "bench.product.changelog"
RESTORED_KEYS: Final = 500_000
MEMORY_CALLS: Final = 120_000
ONE, EACH = "one worker", "a worker a role"
_READY_SECONDS: Final = 60.0
_DRAIN_SECONDS: Final = 600.0

Runs = dict[tuple[str, str], list[Measurement]]


class Native(NamedTuple):
    """A record of a raw topic."""

    key: bytes
    value: bytes


def center(count: int, ends_ms: int) -> list[Native]:
    """The last ``count`` events of a simulated center before ``ends_ms``."""
    length_ms = WARM_UP_MS + round(count / RATE * 1000)
    start_ms = ends_ms - length_ms
    config = SimulatorConfig(events_per_second=RATE, daily_curve=(1.0,) * 24, keep_truth=False)
    events: Iterator[dict[str, object]] = Simulator(config, 1, start_ms, "b").generate(ends_ms)
    found = [
        Native(str(event["interaction_id"]).encode(), msgspec.json.encode(event))
        for event in events
    ]
    return found[-count:]


class Left(NamedTuple):
    """What the events have left.

    Attributes:
        interactions: Which they tell of.
        base_bytes: Resident memory of the worker before they came.
        follower_bytes: State of customers and performers, for each interaction.
        topics: Records of each topic.
        tables: Rows of each table.
        clickhouse_us: CPU microseconds an event that ClickHouse used meanwhile.
    """

    interactions: int
    base_bytes: int
    follower_bytes: float
    topics: dict[str, Volume]
    tables: dict[str, Volume]
    clickhouse_us: float


class Meter:
    """CPU and memory of processes; workers are pinned to their core."""

    def __init__(
        self, workers: Mapping[str, Process | EmbeddedClickHouse], *, pinned: bool = True
    ) -> None:
        self._processes = {name: psutil.Process(worker.pid) for name, worker in workers.items()}
        for process in self._processes.values():
            if pinned:
                process.cpu_affinity([WORKER_CORE])
        self._began = self._cpu()
        self._at = time.monotonic()

    @property
    def resident_bytes(self) -> int:
        """Memory of all of them."""
        return sum(process.memory_info().rss for process in self._processes.values())

    def _cpu(self) -> dict[str, float]:
        times = {name: process.cpu_times() for name, process in self._processes.items()}
        return {name: used.user + used.system for name, used in times.items()}

    def read(self, events: int) -> dict[str, Measurement]:
        """What each has used since."""
        seconds = time.monotonic() - self._at
        return {
            name: Measurement(
                events, seconds, used - self._began[name],
                self._processes[name].memory_info().rss,
            )
            for name, used in self._cpu().items()
        }  # fmt: skip


def measure(bootstrap: str, written: Written, runs: int, console: Console) -> Report:
    """Measure both ways of running the product ``runs`` times over, beside the plain loop."""
    found: Runs = defaultdict(list)
    left: Left | None = None
    with clickhouse_server() as clickhouse:
        for number in range(runs):
            console.print(f"product: round {number + 1} of {runs}")
            plain = run(PLAIN_LOOP, bootstrap, "few", written.sums)
            found[PLAIN_LOOP.name, "few"].append(plain)
            for way in (ONE, EACH):
                database = f"bench_{number}_{way.replace(' ', '_')}"
                outcome = _product(bootstrap, clickhouse, database, way)
                left = outcome.left or left
                for name, measured in outcome.costs.items():
                    found[name, way].append(measured)
                    console.print(f"{name}, {way}: {measured.cpu_us:.1f} CPU s/M")
    if left is not None:
        restored = _restore(bootstrap)
        console.print(f"written to {_write(found, left, restored)}")
    return Report.of("product", EVENTS, _rows(found), _goals(found))


def _restore(bootstrap: str) -> float:
    """Keys a second that a worker reads back from a changelog."""
    fill_changelog(bootstrap, CHANGELOG, RESTORED_KEYS)
    task = Task(
        bootstrap, CHANGELOG, CHANGELOG, CHANGELOG, by_customer=False, window_ms=1, events=0
    )
    return run_task(RESTORE, task).rate


def _write(found: Runs, left: Left, restored: float) -> Path:
    """Write what ``cxstream plan`` reads."""
    costs = {role: median(run.cpu_us for run in found[role, EACH]) for role in GROUPS}
    measured = Measured(
        events_per_interaction=EVENTS / left.interactions,
        cpu_us=costs,
        topics=left.topics,
        tables=left.tables,
        interaction_bytes=memory.measure(MEMORY_CALLS).grown_bytes + left.follower_bytes,
        base_bytes=left.base_bytes,
        restored_keys_per_second=restored,
        clickhouse_us=left.clickhouse_us,
    )
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / "capacity.json"
    file.write_bytes(msgspec.json.format(msgspec.json.encode(measured), indent=2) + b"\n")
    return file


class _Outcome(NamedTuple):
    costs: dict[str, Measurement]
    left: Left | None


def _product(bootstrap: str, clickhouse: EmbeddedClickHouse, database: str, way: str) -> _Outcome:
    folder = tempfile.TemporaryDirectory(prefix="bench-")
    with folder as name, site(
        bootstrap, Path(name), clickhouse=clickhouse, database=database, exhibits=[EXHIBIT]
    ) as place:  # fmt: skip
        roles = [tuple(GROUPS)] if way == ONE else [(role,) for role in GROUPS]
        workers = {
            "all stages" if way == ONE else chosen[0]: place.worker(chosen) for chosen in roles
        }
        wait_for(lambda: is_ready(place), "workers to be ready", _READY_SECONDS)
        records = center(EVENTS, time.time_ns() // 1_000_000)
        meter = Meter(workers)
        held_bytes = meter.resident_bytes
        stored = Meter({"ClickHouse": clickhouse}, pinned=False)
        with _ticking(place):
            for record in records:
                place.produce(record.value, record.key)
            place.flush()
            place.drain(_DRAIN_SECONDS, alive=workers.values(), roles=[place.roles[0]])
        place.drain(_DRAIN_SECONDS, alive=workers.values())
        costs, stored_us = meter.read(EVENTS), stored.read(EVENTS)["ClickHouse"].cpu_us
        if way == EACH:
            return _Outcome(costs, None)
        interactions = len({record.key for record in records})
        return _Outcome(
            costs,
            Left(
                interactions,
                held_bytes,
                _held_bytes(place) / interactions,
                {topic: _volume(place, topic) for topic in _topics()},
                _tables(clickhouse, database),
                stored_us,
            ),
        )


def _topics() -> Iterator[str]:
    yield from (RAW, INTERACTIONS, FACTS, CONTACTS, PERFORMANCES, PARTIALS, KPIS)
    yield from (changelog_topic(stage) for stage in ("lifecycle", "journeys", "performers"))


def _volume(place: Site, topic: str) -> Volume:
    sizes = [len(read.key or b"") + len(read.value or b"") for read in place.read(topic)]
    return Volume(len(sizes) / EVENTS, sum(sizes) / EVENTS)


def _held_bytes(place: Site) -> int:
    """State of the stages that follow the lifecycle."""
    total = 0
    for stage in ("journeys", "performers"):
        latest = {read.key: read.value or b"" for read in place.read(changelog_topic(stage))}
        total += sum(len(key or b"") + len(value) for key, value in latest.items())
    return total


def _tables(clickhouse: EmbeddedClickHouse, database: str) -> dict[str, Volume]:
    """Rows and bytes of each table once it is merged."""
    with client_of(clickhouse, database) as client:
        tables = [row[0] for row in client.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase()"
            " AND engine LIKE '%MergeTree'"
        ).result_rows]  # fmt: skip
        for table in tables:
            client.command(f"OPTIMIZE TABLE `{table}` FINAL")
        found = client.query(
            "SELECT table, sum(rows), sum(bytes_on_disk) FROM system.parts"
            " WHERE active AND database = currentDatabase() GROUP BY table"
        ).result_rows
    return {table: Volume(rows / EVENTS, size / EVENTS) for table, rows, size in found}


def is_ready(place: Site) -> bool:
    """Whether every partition has its owner: a tick has gone through the whole pipeline."""
    place.tick(time.time_ns() // 1_000_000)
    try:
        return all(
            sum(place.committed(role).values()) >= PARTITIONS for role in ("exhibits", "sink")
        )
    except KafkaException as error:
        # The broker moves the coordinators of new groups about; a transaction may be open.
        if error.args[0].code() not in (KafkaError.NOT_COORDINATOR, KafkaError._TIMED_OUT):
            raise
        return False


@contextmanager
def _ticking(place: Site) -> Iterator[None]:
    """Let the clock of every partition go on each second, as its owner would."""
    stopped = threading.Event()

    def tick() -> None:
        while not stopped.wait(1.0):
            value, headers = tick_record(Tick("", 0, time.time_ns() // 1_000_000))
            for number in range(PARTITIONS):
                place.produce(value, topic=INTERACTIONS, partition=number, headers=headers)

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
        place.flush()


def _rows(found: Runs) -> list[Row]:
    plain = found[PLAIN_LOOP.name, "few"]
    return [median_row(name, way, "", measured, plain) for (name, way), measured in found.items()]


def _goals(found: Runs) -> Sequence[Goal]:
    rows = {(row.name, row.form): row for row in _rows(found)}
    whole = rows["all stages", ONE]
    stages = sum(rows[role, EACH].cpu_us for role in GROUPS)
    return [
        Goal("CPU of all stages over the plain loop's", 8.0, whole.ratio or 0.0, at_most=True),
        Goal("events a second of a core", 20_000.0, 1e6 / whole.cpu_us, at_most=False),
        Goal("CPU of a worker a role over one worker's", 1.3, stages / whole.cpu_us, at_most=True),
    ]
