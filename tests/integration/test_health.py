"""Health pages of a real worker on a real Kafka: while it restores, and when a stage is stuck."""

from __future__ import annotations

import http.client
import json
from pathlib import Path

import pytest

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.kafka import KafkaServer
from tests.integration.logs import GROUPS, PARTITIONS
from tests.integration.process import Process, wait_for
from tests.integration.site import site

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]

# A restore that waits for the test, and an insert that does not come back, until a file is there.
HELD = """
import asyncio
from pathlib import Path
from pipeline.microbatch.takeover import Takeover
from sinks.clickhouse.writer import ClickHouseWriter

load, insert = Takeover._load, ClickHouseWriter._attempt

async def appears(name):
    while not (Path({folder!r}) / name).exists():
        await asyncio.sleep(0.05)

async def held_load(self, partition):
    await appears("restore")
    return await load(self, partition)

async def held_insert(self, *told):
    await appears("insert")
    await insert(self, *told)

Takeover._load, ClickHouseWriter._attempt = held_load, held_insert
"""

OWNED = PARTITIONS * sum(len(topics) for topics in GROUPS.values())

EVENT = {
    "event_id": "1", "kind": "started", "source": "test", "occurred_at": "2026-03-02T09:00:00Z",
    "interaction_id": "k1", "channel": "voice",
}  # fmt: skip


def ask(worker: Process, page: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", worker.port, timeout=5)
    try:
        connection.request("GET", f"/health/{page}")
        response = connection.getresponse()
        return response.status, response.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


def test_ready_after_the_restore_and_not_live_while_stuck(
    kafka: KafkaServer, clickhouse: EmbeddedClickHouse, tmp_path: Path
) -> None:
    with site(kafka.bootstrap, tmp_path, clickhouse=clickhouse, database="health") as place:
        worker = place.worker(spoiled=HELD.format(folder=str(tmp_path)), CXSTREAM_LIVE_SECONDS="4")
        _, told = wait_for(
            lambda: (found := ask(worker, "ready"))[1].count("restoring") == OWNED and found,
            "the restore to begin", 40,
        )  # fmt: skip
        assert "lifecycle cx.interactions[0]: restoring\n" in told
        assert ask(worker, "ready")[0] == 503
        (tmp_path / "restore").touch()
        wait_for(lambda: ask(worker, "ready") == (200, "ok\n"), "the worker to be ready", 30)
        assert ask(worker, "live") == (200, "ok\n")
        assert worker.metric("cx_owned_partitions", stage="lifecycle") == 4
        assert worker.metric("cx_stage_partitions", stage="lifecycle") == 4
        assert worker.metric("cx_restoring_partitions", stage="lifecycle") == 0

        place.produce(json.dumps(EVENT).encode(), b"k1")
        place.flush()
        _, told = wait_for(
            lambda: (found := ask(worker, "live"))[0] == 503 and found, "the sink to be stuck", 30
        )
        # The event stands in one table's way; no other stage is stuck.
        assert "a batch under way, no progress for" in told
        assert all(line.startswith("sink.cx.") for line in told.splitlines()), told
        assert ask(worker, "ready")[0] == 200

        (tmp_path / "insert").touch()
        wait_for(lambda: ask(worker, "live") == (200, "ok\n"), "the sink to go on", 30)
        place.drain(30, alive=[worker])
        assert worker.stop() == 0


# Partitions that are never given up, as when a broker takes a call and does not answer.
CLINGING = """
import asyncio
from pipeline.microbatch.stage import Stage

async def never(self, budget_seconds):
    await asyncio.Event().wait()

Stage.close = never
"""


def test_a_worker_that_cannot_leave_ends_in_its_time(kafka: KafkaServer, tmp_path: Path) -> None:
    with site(kafka.bootstrap, tmp_path) as place:
        worker = place.worker(["lifecycle"], spoiled=CLINGING, CXSTREAM_STOP_SECONDS="2")
        wait_for(lambda: ask(worker, "ready") == (200, "ok\n"), "the worker to be ready", 40)
        assert worker.stop(30) == 1
        assert "stop_overdue" in worker.tail()
