"""Brokers go and come back; leaders and coordinators move. The restart of one is in test_short."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import KafkaException

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from schemas.topics import INTERACTIONS
from tests.faults.checker import Outcome
from tests.faults.cluster import BROKERS, Cluster
from tests.faults.load import Load
from tests.faults.trial import trial
from tests.integration.process import wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]

PATIENCE_SECONDS = 120.0
"""A lost broker is noticed after 3 s; then clients find new leaders, and groups their members."""


def _other(find: Callable[[], int], than: int) -> bool:
    """Whether somebody else was found by now; nobody answers while a vote is going on."""
    try:
        return find() not in (-1, than)
    except KafkaException:
        return False


def test_leaders_and_coordinators_move_and_all_brokers_are_lost(
    clickhouse: EmbeddedClickHouse, brief: Load, reference: Outcome, tmp_path: Path
) -> None:
    with (
        Cluster(tmp_path / "cluster") as cluster,
        trial(
            "three brokers", cluster.bootstrap, clickhouse, tmp_path, brief, replication=BROKERS
        ) as faulty,
    ):
        worker = faulty.start()
        group = f"{faulty.place.prefix}-lifecycle"
        moves: dict[str, Callable[[], int]] = {
            "leaders moved": lambda: cluster.leader(INTERACTIONS, 0),
            "coordinators moved": lambda: cluster.coordinator(group),
        }
        for what, find in moves.items():
            faulty.wait_for_progress("lifecycle")
            lost = find()
            cluster.kill(lost)
            wait_for(lambda: _other(find, lost), what, 60)  # noqa: B023
            faulty.evidence[what] += 1
            faulty.wait_for_progress("lifecycle", PATIENCE_SECONDS)
            cluster.start([lost])
            cluster.wait_until_in_sync()
        for number in range(1, BROKERS + 1):
            cluster.kill(number)
        faulty.stands_still(1.0)
        cluster.start()
        faulty.evidence["brokers lost at once"] = BROKERS
        faulty.wait_for_progress("lifecycle", PATIENCE_SECONDS)
        assert worker.running
        faulty.finish(reference, *moves, "brokers lost at once")
