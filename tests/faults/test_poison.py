"""Poison beyond single records: topics of nonsense are not drained into dead letters."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.embedded.kafka import KafkaServer
from schemas.topics import DEAD_LETTERS, INTERACTIONS
from tests.integration.site import RAW, site, wait_for

pytestmark = pytest.mark.kafka

STREAK = 50
WRITTEN = 400


@pytest.mark.parametrize(("topic", "role"), [(RAW, "intake"), (INTERACTIONS, "lifecycle")])
def test_a_topic_of_nonsense_stops_the_worker_that_takes_it_in(
    topic: str, role: str, kafka: KafkaServer, tmp_path: Path
) -> None:
    with site(kafka.bootstrap, tmp_path) as place:
        for _ in range(WRITTEN):
            place.produce(b"nonsense", b"k", topic=topic, partition=1)
        place.flush()
        worker = place.worker(CXSTREAM_REFUSED_STREAK=str(STREAK))
        wait_for(lambda: not worker.running, "the worker to stop", 60)
        assert worker.stop() == 1
        assert "50 records in a row were refused, the last one as bad_json" in worker.tail()
        # All lie in one batch of one partition: nothing of it was committed, nothing refused.
        assert place.committed(role)[topic, 1] == 0
        assert place.read(DEAD_LETTERS) == []
