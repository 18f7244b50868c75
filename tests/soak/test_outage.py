"""ClickHouse is down for ten minutes: values go on, memory does not, and no row is missing after.

``OUTAGE_MINUTES`` shortens it.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.kafka import KafkaServer
from tests.faults.checker import committed_now, facts_passed
from tests.faults.load import load
from tests.faults.trial import reference_of, trial
from tests.soak.conftest import minutes
from tests.soak.paced import Paced

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]

MINUTES = minutes("OUTAGE_MINUTES", 10)
SEED = 23
EVENTS_A_MINUTE = 1_200
GROWTH_MB = 150.0
"""Most that a worker may grow by while rows wait in Kafka; it holds a batch of each topic."""
LOOKS = max(round(2 * MINUTES), 3)
"""How often it is looked at while ClickHouse is down."""


def test_clickhouse_is_down_for_ten_minutes(
    kafka: KafkaServer, clickhouse: EmbeddedClickHouse, tmp_path: Path
) -> None:
    told = load(SEED, round(EVENTS_A_MINUTE * (MINUTES + 0.5)))
    (tmp_path / "quiet").mkdir()
    (tmp_path / "outage").mkdir()
    reference = reference_of(
        "outage, undisturbed", kafka.bootstrap, clickhouse, tmp_path / "quiet", told
    )
    with trial(
        f"ClickHouse down, {MINUTES:g} min", kafka.bootstrap, clickhouse, tmp_path / "outage", told
    ) as faulty:
        worker = faulty.start()
        paced = Paced(faulty, (MINUTES + 0.5) * 60)
        for role in ("sink", "exhibits"):
            paced.progress(role)
        clickhouse.kill()
        before_mb = worker.system.memory_info().rss / 1_000_000
        down_at = time.monotonic()
        clock, most_mb, committed = faulty.clock(), before_mb, {}
        for look in range(1, LOOKS + 1):
            paced.most = look / (LOOKS + 1)
            while time.monotonic() < down_at + look * MINUTES * 60 / LOOKS:
                paced.feed()
                time.sleep(0.2)
            # What had been acknowledged before the end may still have been committed after it.
            committed = committed or committed_now(faulty.place, "sink")
            paced.feed(more=True)
            paced.until(lambda: faulty.clock() > clock, "gauges to move on")  # noqa: B023
            clock = faulty.clock()
            faulty.evidence["moves of gauges"] += 1
            most_mb = max(most_mb, worker.system.memory_info().rss / 1_000_000)
            assert worker.running, worker.tail()
        down_seconds = time.monotonic() - down_at
        assert down_seconds >= MINUTES * 60
        faulty.evidence["s down"] = round(down_seconds)
        retries = worker.metrics().items()
        faulty.evidence["retries"] = round(
            sum(value for (name, _), value in retries if name == "cx_sink_retries_total")
        )
        assert most_mb - before_mb < GROWTH_MB, f"it grew by {most_mb - before_mb:.0f} MB"
        assert facts_passed(faulty.place, committed) == 0
        clickhouse.start()
        faulty.finish(reference, "s down", "moves of gauges", "retries")
