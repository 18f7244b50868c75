"""``make bench``: what the micro-batch layer counts beside stock Faust, on the same bytes.

Both read the same topic of a real Kafka from its beginning; runs alternate. The clock runs from the
first record to the last one, so the start of the processes is left out. Counts and bytes must equal
the producer's, else the run fails. Judge the ratio: absolute rates are this machine's.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from rich.console import Console
from rich.table import Table

from tests.support.services import kafka_server

TOPIC: Final = "bench.events"
RECORDS: Final = int(os.environ.get("BENCH_RECORDS", "200000"))
RUNS: Final = int(os.environ.get("BENCH_RUNS", "3"))
PARTITIONS: Final = 4
GOAL: Final = 20.0
COUNTERS: Final = {"stock Faust": "counter_stock", "micro-batch layer": "counter_layer"}


class Run(NamedTuple):
    """One run: events a second and CPU microseconds an event."""

    rate: float
    cpu_us: float


def fill(bootstrap: str) -> int:
    """Write the records; the bytes of their values."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result()
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 20})
    rng = random.Random(7)  # noqa: S311 - a benchmark, no secret
    total = 0
    for number in range(RECORDS):
        value = (
            f'{{"event_id":"{rng.getrandbits(128):032x}","kind":"completed","source":"bench",'
            f'"occurred_at":"2026-06-01T10:00:00.{number % 1000:03d}Z",'
            f'"interaction_id":"int-{rng.getrandbits(64):016x}","channel":"voice",'
            f'"queue":"sales-{number % 20}","talk_ms":{rng.randrange(600_000)},'
            f'"hold_ms":{rng.randrange(60_000)},"wrap_ms":{rng.randrange(90_000)}}}'
        ).encode()
        total += len(value)
        producer.produce(TOPIC, value, str(number).encode())
        if number % 10_000 == 0:
            producer.flush()
    producer.flush()
    return total


def run(module: str, bootstrap: str, group: str, folder: str, expected_bytes: int) -> Run:
    """Run one counter as a process of its own."""
    environment = {
        **os.environ,
        "BENCH_BOOTSTRAP": bootstrap,
        "BENCH_TOPIC": TOPIC,
        "BENCH_GROUP": group,
        "BENCH_TOTAL": str(RECORDS),
        "BENCH_FOLDER": folder,
    }
    command = [sys.executable, "-m", f"tests.bench.{module}"]
    found = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, check=True, timeout=600, text=True
    )
    told = next(line for line in found.stdout.splitlines() if line.startswith("counted "))
    _, records, size, seconds, busy = told.split()
    if (int(records), int(size)) != (RECORDS, expected_bytes):
        raise SystemExit(f"{module} counted {records} records of {size} bytes")
    return Run(RECORDS / float(seconds), float(busy) / RECORDS * 1e6)


def main() -> None:
    """Alternate the counters and print medians and the ratio."""
    found: dict[str, list[Run]] = {name: [] for name in COUNTERS}
    with kafka_server() as kafka, tempfile.TemporaryDirectory() as folder:
        total = fill(kafka.bootstrap)
        for number in range(RUNS):
            for name, module in COUNTERS.items():
                group = f"{module}-{number}"
                result = run(module, kafka.bootstrap, group, str(Path(folder) / group), total)
                found[name].append(result)
    table = Table("counting raw values", "events/s (min-max)", "CPU us an event")
    for name, runs in found.items():
        rates = [r.rate for r in runs]
        table.add_row(
            name,
            f"{statistics.median(rates):,.0f} ({min(rates):,.0f}-{max(rates):,.0f})",
            f"{statistics.median(r.cpu_us for r in runs):.2f}",
        )
    console = Console()
    console.print(table)
    stock, layer = (statistics.median(r.rate for r in runs) for runs in found.values())
    console.print(
        f"the layer counts {layer / stock:.1f} times what stock Faust counts (goal {GOAL})"
    )
    if layer / stock < GOAL:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
