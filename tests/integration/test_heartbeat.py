"""Heartbeats go through every stage and into ClickHouse, tell who is behind, count as nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.kafka import KafkaServer
from schemas.topics import CONTACTS, DEAD_LETTERS, FACTS, INTERACTIONS, PARTIALS, PERFORMANCES
from tests.integration.logs import PARTITIONS, RAW
from tests.integration.process import Process, wait_for
from tests.integration.site import site
from tests.integration.warehouse import client_of

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]

STAGES = (
    "intake", "lifecycle", "journeys", "performers", "exhibits",
    "sink.cx.interactions", "sink.cx.facts",
)  # fmt: skip
HEADERS = [("cx-control", b"heartbeat")]
FORGED = (
    b"", b"nonsense", b'{"source": "x"}', b'{"source": "x", "at_ms": "1"}',
    b'{"source": "x", "at_ms": 1e300}', b'{"source": "x", "at_ms": 9999999999999999}',
)  # fmt: skip


def beats(worker: Process) -> dict[str, float]:
    """When what each stage has committed was written at the way in."""
    return {
        dict(labels)["stage"]: value
        for (name, labels), value in worker.metrics().items()
        if name == "cx_heartbeat_timestamp_seconds"
    }


def later(worker: Process, stages: tuple[str, ...]) -> Callable[[], bool]:
    """Whether heartbeats written from now on have come to ``stages``."""
    now = time.time()
    return lambda: all(beats(worker).get(stage, 0) > now for stage in stages)


def test_heartbeats_reach_every_stage_and_count_as_nothing(
    kafka: KafkaServer, clickhouse: EmbeddedClickHouse, tmp_path: Path
) -> None:
    with (
        site(kafka.bootstrap, tmp_path, clickhouse=clickhouse, database="beats") as place,
        client_of(clickhouse, "beats") as client,
    ):
        worker = place.worker(CXSTREAM_HEARTBEAT_SECONDS="1")
        wait_for(later(worker, STAGES), "a heartbeat at every stage", 120)
        assert set(beats(worker)) == {*STAGES}
        assert all(0 < time.time() - at < 60 for at in beats(worker).values())
        query = "SELECT topic, source FROM heartbeats FINAL ORDER BY ALL"
        rows = wait_for(
            lambda: len(found := client.query(query).result_rows) == 2 * PARTITIONS and found,
            "rows of all partitions", 60,
        )  # fmt: skip
        assert rows == [
            (topic, f"{RAW}/{number}") for topic in (FACTS, INTERACTIONS)
            for number in range(PARTITIONS)
        ]  # fmt: skip

        # ClickHouse is away: its age grows, and only its.
        clickhouse.kill()
        others = STAGES[:5]
        wait_for(later(worker, others), "the others to go on", 120)
        stood = beats(worker)["sink.cx.facts"]
        wait_for(later(worker, others), "the others to go on", 120)
        assert beats(worker)["sink.cx.facts"] == stood
        clickhouse.start()
        wait_for(later(worker, STAGES), "the sink to catch up", 120)

        # Nothing of it is an event, a fact or a value; what only looks like one is refused.
        for value in FORGED:
            place.produce(value, topic=RAW, partition=0, headers=HEADERS)
        place.flush()
        letters = wait_for(
            lambda: len(found := place.read(DEAD_LETTERS)) == len(FORGED) and found,
            "dead letters of forged ones", 60,
        )  # fmt: skip
        assert {letter.headers["topic"] for letter in letters} == {RAW.encode()}
        assert worker.stop() == 0
        place.tick(time.time_ns() // 1_000_000)
        worker = place.worker()
        place.drain(60, alive=[worker])
        for table in ("interaction_events", "facts_interaction", "facts_contact", "late_records"):
            assert client.command(f"SELECT count() FROM {table}") == 0  # noqa: S608 - our own
        values = client.query("SELECT `as`, numerator FROM kpis WHERE numerator != 0").result_rows
        assert values == []
        for topic in (CONTACTS, PERFORMANCES, PARTIALS):
            kinds = {record.headers["cx-control"] for record in place.read(topic) if record.headers}
            assert b"heartbeat" in kinds


def test_a_heartbeat_beside_events_changes_no_count(
    kafka: KafkaServer, clickhouse: EmbeddedClickHouse, tmp_path: Path
) -> None:
    event = {
        "event_id": "1", "kind": "queued", "source": "test", "interaction_id": "k1",
        "occurred_at": "2026-03-02T09:00:00Z", "channel": "voice", "queue": "sales",
    }  # fmt: skip
    with (
        site(kafka.bootstrap, tmp_path, clickhouse=clickhouse, database="beside") as place,
        client_of(clickhouse, "beside") as client,
    ):
        worker = place.worker(CXSTREAM_HEARTBEAT_SECONDS="0.5")
        wait_for(later(worker, STAGES), "a heartbeat at every stage", 120)
        place.produce(json.dumps(event).encode(), b"k1")
        place.flush()
        wait_for(lambda: place.read(FACTS) and place.committed("lifecycle"), "its facts", 30)
        place.tick(1_772_442_000_000 + 86_400_000)  # a day later, when nobody waits any more
        offered = (
            "SELECT numerator FROM kpis WHERE `as` = 'offered' AND window_kind = 'all'"
            " AND dimensions['queue'] = 'sales'"
        )
        wait_for(lambda: client.query(offered).result_rows == [(1,)], "its value", 60)
        assert client.command("SELECT count() FROM events") == 1
