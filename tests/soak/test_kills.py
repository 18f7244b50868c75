"""kill -9 at each numbered step of a checkpoint, of the product's own workers, under load.

One run for intake and one for each stage that folds: it is killed at each of its steps, with
segments of a second so that its heirs restore from a compacted changelog. A run counts records that
were redelivered, writes that were fenced off (in a topic, never seen by a reader of committed
records), keys restored, and offsets that compaction had removed; one of them zero fails it.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.kafka import KafkaServer
from schemas.topics import (
    CONTACTS,
    DEAD_LETTERS,
    FACTS,
    INTERACTIONS,
    KPIS,
    PARTIALS,
    PERFORMANCES,
    changelog_topic,
)
from tests.faults.checker import Outcome, committed_now, compacted, torn_records
from tests.faults.load import Load, load
from tests.faults.trial import Trial, reference_of, trial
from tests.integration.logs import GROUPS
from tests.integration.site import Site

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]

POINTS = ("before_outputs", "after_outputs", "after_state", "after_commit")
WRITES = {
    "intake": (INTERACTIONS, DEAD_LETTERS),
    "lifecycle": (FACTS, CONTACTS, PERFORMANCES, PARTIALS, changelog_topic("lifecycle")),
    "journeys": (FACTS, PARTIALS, changelog_topic("journeys")),
    "performers": (FACTS, PARTIALS, changelog_topic("performers")),
}
"""Topics that a stage writes in its transactions."""
PASS = 4
"""At which pass of its step a worker dies: the first ones only move an offset."""


@pytest.fixture(scope="module")
def told() -> Load:
    return load(31, 3_000)


@pytest.fixture(scope="module")
def reference(
    kafka: KafkaServer,
    clickhouse: EmbeddedClickHouse,
    told: Load,
    tmp_path_factory: pytest.TempPathFactory,
) -> Outcome:
    folder = tmp_path_factory.mktemp("undisturbed")
    return reference_of("steps, undisturbed", kafka.bootstrap, clickhouse, folder, told)


def feed_until_dead(faulty: Trial, point: str, seconds: float = 120.0) -> None:
    """Feed a chunk a second until the last worker has killed itself."""
    victim = faulty.place.workers[-1]
    deadline = time.monotonic() + seconds
    while victim.running:
        assert time.monotonic() < deadline, f"{point} was never reached: {victim.tail()}"
        faulty.feed(1)
        until = time.monotonic() + 1.0
        while victim.running and time.monotonic() < until:
            time.sleep(0.05)
    assert victim.wait(10) == -signal.SIGKILL


def undone(faulty: Trial, stage: str) -> int:
    """Records before the ends of what a stage reads that it has not committed."""
    ends, committed = faulty.place.ends(stage), committed_now(faulty.place, stage)
    assert set(ends) == {(t, p) for t in GROUPS[stage] for _, p in ends}
    return sum(max(end - committed[place], 0) for place, end in ends.items())


def committed_records(place: Site, topics: Iterable[str]) -> set[tuple[str, int, int]]:
    """Where the records lie that readers of committed records see."""
    return {(r.topic, r.partition, r.offset) for topic in topics for r in place.read(topic)}


@pytest.mark.parametrize("stage", WRITES)
def test_killed_at_each_step_under_load(
    stage: str,
    kafka: KafkaServer,
    clickhouse: EmbeddedClickHouse,
    told: Load,
    reference: Outcome,
    tmp_path: Path,
) -> None:
    with trial(
        f"kill -9 in {stage}", kafka.bootstrap, clickhouse, tmp_path, told, compact=True
    ) as faulty:
        for point in POINTS:
            torn_before = torn_records(faulty.place, WRITES[stage])
            faulty.start(point=f"{stage}.{point}:{PASS}")
            feed_until_dead(faulty, f"{stage}.{point}")
            redelivered = undone(faulty, stage)
            faulty.evidence["redelivered"] += redelivered
            if point != "after_commit":
                # What was in its hands was not committed, so it is still to be done.
                assert redelivered > 0, point
            # What it had written stands in open transactions, which its heir will abort.
            written = torn_records(faulty.place, WRITES[stage]) - torn_before
            # All stages die with it; intake has no state of its own to be restored.
            death = faulty.death("lifecycle")
            worker = faulty.start()
            faulty.count_inheritance(death)
            fenced = written - committed_records(faulty.place, WRITES[stage])
            faulty.evidence["fenced"] += len(fenced)
            if point in ("after_outputs", "after_state"):
                assert fenced, f"nothing was written and undone at {point}"
            faulty.evidence["compacted"] = compacted(faulty.place, changelog_topic("lifecycle"))
            worker.kill()
        faulty.start()
        faulty.finish(reference, "kills", "redelivered", "fenced", "restored keys", "compacted")


def test_the_sink_is_killed_between_its_rows_and_its_offset(
    kafka: KafkaServer,
    clickhouse: EmbeddedClickHouse,
    told: Load,
    reference: Outcome,
    tmp_path: Path,
) -> None:
    """Rows are there, the offset is not: they are written again, and are there once."""
    with trial("kill -9 in sink", kafka.bootstrap, clickhouse, tmp_path, told) as faulty:
        for topic in (INTERACTIONS, FACTS, KPIS, DEAD_LETTERS):
            faulty.start(point=f"sink.{topic}.before_outputs:3")
            feed_until_dead(faulty, topic)
            faulty.evidence["redelivered"] += undone(faulty, "sink")
            faulty.evidence["kills"] += 1
            faulty.start().kill()
        faulty.start()
        faulty.finish(reference, "kills", "redelivered")
