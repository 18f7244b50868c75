"""ClickHouse is down for ten minutes: values go on, memory does not, and no row is missing after.

``OUTAGE_MINUTES`` shortens it.
"""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.kafka import KafkaServer
from tests.faults.checker import committed_now, facts_passed
from tests.faults.load import load
from tests.faults.trial import trial
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
    with trial(
        "outage, undisturbed", kafka.bootstrap, clickhouse, tmp_path / "quiet", told
    ) as quiet:
        quiet.start()
        reference = quiet.finish(None)
    with trial(
        f"ClickHouse down, {MINUTES:g} min", kafka.bootstrap, clickhouse, tmp_path / "outage", told
    ) as faulty:
        worker = faulty.start()
        paced = Paced(faulty, (MINUTES + 0.5) * 60)
        for role in ("sink", "exhibits"):
            paced.progress(role)
        clickhouse.kill()
        committed = committed_now(faulty.place, "sink")
        before_mb = worker.system.memory_info().rss / 1_000_000
        down_at = time.monotonic()
        looks = []
        for look in range(1, LOOKS + 1):
            until = down_at + look * MINUTES * 60 / LOOKS
            while time.monotonic() < until:
                paced.feed()
                time.sleep(0.2)
            retries = worker.metrics()
            looks.append((faulty.clock(), worker.system.memory_info().rss / 1_000_000))
            assert worker.running, worker.tail()
        faulty.evidence["s down"] = round(time.monotonic() - down_at)
        faulty.evidence["retries"] = round(
            sum(value for (name, _), value in retries.items() if name == "cx_sink_retries_total")
        )
        clocks = [clock for clock, _ in looks]
        moved = [later > earlier for earlier, later in pairwise(clocks)]
        assert all(moved), f"gauges stood still: {clocks}"
        grown_mb = max(used for _, used in looks) - before_mb
        assert grown_mb < GROWTH_MB, f"the worker grew by {grown_mb:.0f} MB"
        faulty.evidence["MB grown"] = max(round(grown_mb), 1)
        assert facts_passed(faulty.place, committed) == 0
        clickhouse.start()
        faulty.finish(reference, "s down", "retries")
