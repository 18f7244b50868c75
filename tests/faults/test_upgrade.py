"""Logs that were changed under a worker are refused clearly."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.kafka import KafkaServer
from schemas.topics import INTERACTIONS
from tests.faults.load import load
from tests.faults.trial import trial
from tests.integration.site import QUIET, site

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]


def _add_partitions(kafka: KafkaServer, count: int, topics: list[str]) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap, **QUIET})
    for done in admin.create_partitions([NewPartitions(t, count) for t in topics]).values():
        done.result(20)


def test_topics_with_other_numbers_of_partitions_are_refused_at_the_start(
    kafka: KafkaServer, tmp_path: Path
) -> None:
    with site(kafka.bootstrap, tmp_path) as place:
        _add_partitions(kafka, 8, [INTERACTIONS])
        worker = place.worker()
        assert worker.wait(60) == 1
        said = worker.tail().splitlines()[-1]
        assert "all topics must have the same number of partitions" in said
        assert "cx.facts has 4, cx.interactions has 8" in said


def test_state_of_another_number_of_partitions_is_refused(
    kafka: KafkaServer,
    clickhouse: EmbeddedClickHouse,
    tmp_path: Path,
) -> None:
    few = load(5, 400)
    with trial("more partitions", kafka.bootstrap, clickhouse, tmp_path, few) as faulty:
        worker = faulty.start()
        faulty.feed(5)
        faulty.place.drain(180, alive=[worker])
        assert worker.stop() == 0
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap, **QUIET})
        ours = [name for name in admin.list_topics(timeout=10).topics if name.startswith("cx.")]
        _add_partitions(kafka, 8, ours)
        refused = faulty.place.worker()
        assert refused.wait(60) == 1
        assert "is of 4 partitions, its topic has 8: keys have parted" in refused.tail()
