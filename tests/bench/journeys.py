"""``make bench-journeys``: contacts of many customers through the journeys stage alone.

Contacts are written straight to ``cx.contacts`` of a real Kafka, in the order of time, so that the
contacts of a customer lie far from each other. A worker with that one role folds them for the
default exhibit, is killed, and another restores. Memory is what the process holds more than it did
before the first record; it must be read beside the size of the state itself. ``CXSTREAM_STATE``
says where the worker keeps its state. All is done twice, for ten thousand customers and for as many
as asked for: a cost that grows with the number of customers shows.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from pipeline.folds.rows import ContactRow
from pipeline.microbatch import partition_for
from pipeline.stages.clock import tick_record
from pipeline.stages.wire import ContactMessage, Tick, encode_contact
from schemas.facts import Header
from schemas.topics import CONTACTS, changelog_topic
from tests.integration.logs import PARTITIONS
from tests.integration.process import Process, wait_for
from tests.integration.site import Site, site
from tests.support.services import kafka_server

CUSTOMERS: Final = int(os.environ.get("BENCH_CUSTOMERS", "1000000"))
FEW_CUSTOMERS: Final = 10_000
STATE: Final = os.environ.get("CXSTREAM_STATE", "memory")
CONTACTS_EACH: Final = int(os.environ.get("BENCH_CONTACTS", "10"))
LIMIT_SECONDS: Final = float(os.environ.get("BENCH_SECONDS", "2400"))
START_MS: Final = 1_772_442_000_000
GAP_MS: Final = 3 * 86_400_000
INTENTS: Final = ("billing", "order", "parcel", "refund")


def contacts(customers: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of all contacts: one of every customer, then the next of every customer."""
    for turn in range(CONTACTS_EACH):
        for number in range(customers):
            key = f"{number:032x}"
            started_ms = START_MS + turn * GAP_MS + number % 3_600_000
            header = Header(
                interaction_id=f"call-{number:08d}-{turn:03d}", customer_key=key, channel="voice",
                queue=f"queue-{number % 20}", intent=INTENTS[(number + turn) % len(INTENTS)],
                performer_kind="human", performer_id=f"agent-{number % 500}", source="bench",
            )  # fmt: skip
            row = ContactRow(
                header=header, started_ms=started_ms, ended_ms=started_ms + 240_000, handled=True,
                abandoned=False, resolved=turn % 2 == 0, transferred=False, transfers=0,
                handoffs_without_context=0, authentications=1, info_repeats=0, wait_ms=20_000,
                bot_sessions=(), handled_by="human", queued=True,
            )  # fmt: skip
            message = ContactMessage(header.interaction_id, 1 << 48 | 3 << 16, row)
            yield f"c{key}".encode(), encode_contact(message)


def fill(place: Site, customers: int) -> None:
    for key, value in contacts(customers):
        place.produce(value, key, topic=CONTACTS, partition=partition_for(key, PARTITIONS))
    place.flush()


def tick(place: Site, tick_ms: int) -> None:
    """Let every partition of the lifecycle have passed ``tick_ms``."""
    for source in range(PARTITIONS):
        value, headers = tick_record(Tick(f"lifecycle/{source}", 1, tick_ms))
        for number in range(PARTITIONS):
            place.produce(value, topic=CONTACTS, partition=number, headers=headers)
    place.flush()


def start(place: Site) -> Process:
    """A worker that has restored what there is."""
    worker = place.worker(["journeys"], CXSTREAM_STATE_DIR=str(place.folder / "state"))
    wait_for(
        lambda: worker.metric("cx_owned_partitions", stage="journeys") == PARTITIONS,
        "all partitions to be restored", LIMIT_SECONDS,
    )  # fmt: skip
    return worker


def measure(place: Site, customers: int) -> Table:
    """Fill, fold, kill, restore."""
    worker = start(place)
    idle_bytes, idle_seconds = worker.system.memory_info().rss, _cpu_seconds(worker)
    began = time.monotonic()
    fill(place, customers)
    tick(place, START_MS + CONTACTS_EACH * GAP_MS)
    place.drain(LIMIT_SECONDS, alive=(worker,), roles=("journeys",))
    wall_seconds = time.monotonic() - began
    held_bytes = worker.system.memory_info().rss - idle_bytes
    cpu_seconds = _cpu_seconds(worker) - idle_seconds
    worker.kill()
    began = time.monotonic()
    restored = start(place)
    restore_seconds, restore_cpu_seconds = time.monotonic() - began, _cpu_seconds(restored)
    restored_bytes = restored.system.memory_info().rss - idle_bytes
    state_bytes = sum(_sizes(place).values())
    total = customers * CONTACTS_EACH
    title = f"{customers:,} customers, {total:,} contacts, state in {STATE}"
    table = Table("measure", "value", title=title)
    for name, value in (
        ("folded in", f"{wall_seconds:,.0f} s"),
        ("CPU a contact", f"{cpu_seconds / total * 1e6:,.0f} us"),
        ("state of a customer", f"{state_bytes / customers:,.0f} bytes"),
        ("resident for a customer", f"{held_bytes / customers:,.0f} bytes"),
        ("the same, restored", f"{restored_bytes / customers:,.0f} bytes"),
        ("resident for a contact, restored", f"{restored_bytes / total:,.0f} bytes"),
        ("restored in", f"{restore_seconds:,.1f} s, start of the process included"),
        ("CPU of that", f"{restore_cpu_seconds:,.1f} s"),
        ("records read of the changelog", f"{_read(restored):,}"),
        ("files of state", f"{_bytes_below(place.folder / 'state') / 1e6:,.0f} MB"),
    ):
        table.add_row(name, value)
    return table


def _read(worker: Process) -> int:
    """Records of the changelog that a worker read to restore all partitions."""
    lines = worker.log.read_text("utf-8").splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{")]
    return sum(line["read"] for line in told if line["event"] == "partition_ready")


def _bytes_below(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _cpu_seconds(worker: Process) -> float:
    used = worker.system.cpu_times()
    return float(used.user + used.system)


def _sizes(place: Site) -> dict[bytes, int]:
    """Bytes of the newest record of each key of the changelog."""
    return {
        record.key or b"": len(record.value or b"")
        for record in place.read(changelog_topic("journeys"))
    }


def main() -> None:
    """Print what was measured."""
    for customers in sorted({FEW_CUSTOMERS, CUSTOMERS}):
        with (
            tempfile.TemporaryDirectory() as folder,
            kafka_server(properties={"group.min.session.timeout.ms": "1000"}) as kafka,
            site(kafka.bootstrap, Path(folder), session_timeout_ms=10_000) as place,
        ):
            Console().print(measure(place, customers))


if __name__ == "__main__":
    main()
