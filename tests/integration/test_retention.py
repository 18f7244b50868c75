"""Retention counts from the writing of a record, so nothing goes before it is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from schemas.topics import CONTACTS, FACTS, PARTIALS, PERFORMANCES
from tests.integration.site import PARTITIONS, RAW, site, wait_for
from tests.support.services import kafka_server

pytestmark = [pytest.mark.kafka]

EAGER = {"log.initial.task.delay.ms": "500", "log.retention.check.interval.ms": "300"}
"""A broker that looks for what is too old all the time, and not every five minutes."""


def test_what_stages_write_stays_until_it_is_read(tmp_path: Path) -> None:
    with kafka_server(properties=EAGER) as kafka, site(kafka.bootstrap, tmp_path) as place:
        reader = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "looks"})

        def first(topic: str, number: int) -> int:
            return int(reader.get_watermark_offsets(TopicPartition(topic, number), timeout=20)[0])

        place.worker(["lifecycle", "journeys", "performers"], CXSTREAM_TICKS="wall")
        wait_for(lambda: min(place.ends("exhibits").values()) > 3, "shares of every partition", 60)
        # A record of 1970 shows that the broker has looked since.
        place.produce(b"{}", partition=0, timestamp_ms=1)
        place.flush()
        wait_for(lambda: first(RAW, 0) == 1, "the broker to remove what is old", 60)
        topics = (FACTS, CONTACTS, PERFORMANCES, PARTIALS)
        kept = {
            (topic, number): first(topic, number)
            for topic in topics
            for number in range(PARTITIONS)
        }
        reader.close()
        assert kept == dict.fromkeys(kept, 0)
