"""Retention counts from the writing of a record, so nothing goes before it is read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from pipeline.demo.feed import Feeder
from pipeline.embedded.kafka import KafkaServer
from pipeline.microbatch import Broker
from schemas.topics import CONTACTS, FACTS, INTERACTIONS, PARTIALS, PERFORMANCES
from tests.integration.logs import PARTITIONS, QUIET, RAW
from tests.integration.process import wait_for
from tests.integration.site import Site, site
from tests.support.services import kafka_server

pytestmark = [pytest.mark.kafka]

EAGER = {"log.initial.task.delay.ms": "500", "log.retention.check.interval.ms": "300"}
"""A broker that looks for what is too old all the time, and not every five minutes."""
LONG_AGO_MS = 1_582_966_800_000
"""2020-02-29T09:00:00Z."""


def first_offsets(
    kafka: KafkaServer, place: Site, topics: Iterable[str]
) -> Mapping[tuple[str, int], int]:
    """Where logs begin once the broker has looked for what is too old: a record of 1970 is gone."""
    reader = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "looks", **QUIET})

    def first(topic: str, number: int) -> int:
        return int(reader.get_watermark_offsets(TopicPartition(topic, number), timeout=20)[0])

    place.produce(b"{}", partition=0, timestamp_ms=1)
    place.flush()
    wait_for(lambda: first(RAW, 0) == 1, "the broker to remove what is old", 60)
    found = {
        (topic, number): first(topic, number) for topic in topics for number in range(PARTITIONS)
    }
    reader.close()
    return found


def test_what_stages_write_stays_until_it_is_read(tmp_path: Path) -> None:
    with kafka_server(properties=EAGER) as kafka, site(kafka.bootstrap, tmp_path) as place:
        place.worker(["lifecycle", "journeys", "performers"], CXSTREAM_TICKS="wall")
        wait_for(lambda: min(place.ends("exhibits").values()) > 3, "shares of every partition", 60)
        kept = first_offsets(kafka, place, (FACTS, CONTACTS, PERFORMANCES, PARTIALS))
        assert kept == dict.fromkeys(kept, 0)


def test_events_of_long_ago_that_are_written_anew_stay_until_they_are_read(tmp_path: Path) -> None:
    names = {f"chat-{number}" for number in range(40)}

    async def events() -> AsyncIterator[tuple[str, str, int]]:
        for name in sorted(names):
            event = {
                "event_id": f"{name}-queued", "kind": "queued", "source": "test",
                "occurred_at": "2020-02-29T08:59:59Z", "interaction_id": name,
                "channel": "web_chat", "queue": "sales",
            }  # fmt: skip
            yield name, json.dumps(event), LONG_AGO_MS

    async def write(bootstrap: str) -> int:
        feeder = Feeder(Broker(bootstrap))
        await feeder.start()
        try:
            await feeder.restarts([("test", LONG_AGO_MS)])
            return await feeder.again(events())
        finally:
            await feeder.close()

    with kafka_server(properties=EAGER) as kafka, site(kafka.bootstrap, tmp_path) as place:
        assert asyncio.run(write(kafka.bootstrap)) == len(names)
        kept = first_offsets(kafka, place, [INTERACTIONS])
        assert kept == dict.fromkeys(kept, 0)
        # The broker's time decides what stays; when they were accepted is said beside it.
        written = place.read(INTERACTIONS)
        events_written = [r for r in written if "cx-accepted" in r.headers]
        assert {r.headers["cx-written"] for r in events_written} == {b"1582966800000"}
        worker = place.worker(["lifecycle"])
        place.pass_time(LONG_AGO_MS)
        wait_for(
            lambda: place.lag("lifecycle") == 0 or not worker.running, "the worker to read", 60
        )
        facts = [json.loads(record.value or b"{}") for record in place.read(FACTS)]
        # A second after they began to wait their platform began anew and lost them: nobody waits.
        waits = [fact for fact in facts if fact.get("kind") == "queue_segment"]
        assert {fact["interaction_id"] for fact in waits} == names
        assert {fact["outcome"] for fact in waits} == {"ended"}
