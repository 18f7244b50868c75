"""Workers die, freeze, come and go, or are another version than the others."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from schemas.topics import CONTACTS, PARTIALS, PERFORMANCES
from tests.faults.checker import Outcome, committed_now
from tests.faults.conftest import Begin
from tests.faults.proxy import Proxy
from tests.faults.spoils import MORE, NEXT_VERSION, held_commit, late_insert
from tests.faults.trial import Trial, told
from tests.integration.process import wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]

STOP_SECONDS = 20.0
"""Within so long a worker that was told to end has ended; it gives checkpoints at most 5 s."""
POINTS = (
    "intake.after_outputs:2",  # in the middle of a batch: what was sent is never seen
    "sink.cx.facts.before_outputs:2",  # after the insert, before its offset is committed
    "lifecycle.after_commit:3",  # after the commit, before this process knew of it
)


def test_killed_in_a_batch_before_and_after_its_commit(begin: Begin, reference: Outcome) -> None:
    with begin("kill -9 at a step") as faulty:
        for point in POINTS:
            worker = faulty.start(point=point)
            faulty.feed_until(lambda: not worker.running, point, 60)  # noqa: B023
            assert worker.wait(10) == -signal.SIGKILL
            death = faulty.death(point.split(".")[0])
            faulty.evidence[point.split(":")[0]] += 1
            worker = faulty.start()
            faulty.count_inheritance(death)
            worker.kill()
        faulty.start()
        faulty.finish(reference, "kills", "read again", *(p.split(":")[0] for p in POINTS))


def test_a_worker_that_is_told_to_end_ends_in_its_time(begin: Begin, reference: Outcome) -> None:
    with begin("SIGTERM, once and twice") as faulty:
        for times in (1, 2):
            worker = faulty.start()
            faulty.wait_for_progress("lifecycle")
            for _ in range(times):
                worker.signal(signal.SIGTERM)
                faulty.evidence["SIGTERM"] += 1
            assert worker.wait(STOP_SECONDS) == 0
            # It has left its groups: whoever comes next need not wait for a session to pass.
            assert told(worker, "worker_stopping")
        faulty.start()
        faulty.finish(reference, "SIGTERM")


def test_a_zombie_writes_late_and_changes_nothing(
    begin: Begin, reference: Outcome, tmp_path: Path
) -> None:
    done = tmp_path / "done"
    with begin("SIGSTOP past the session") as faulty:
        zombie = faulty.start(spoiled=late_insert(done))
        faulty.feed_until(lambda: zombie.status == "stopped", "the worker to freeze", 60)
        faulty.evidence["frozen"] += 1
        heir = faulty.place.worker()
        wait_for(lambda: heir.metric("cx_owned_partitions", stage="lifecycle") == 4, "the heir", 60)
        faulty.wait_for_progress("sink")
        before = committed_now(faulty.place, "sink")
        zombie.signal(signal.SIGCONT)
        wait_for(done.exists, "the late insert", 60)
        faulty.evidence["late inserts"] += 1
        faulty.wait_for_progress("sink")
        after = committed_now(faulty.place, "sink")
        assert all(after[place] >= offset for place, offset in before.items())
        assert zombie.running
        faulty.finish(reference, "frozen", "late inserts")


def test_partitions_move_while_rows_are_written(
    begin: Begin, clickhouse: EmbeddedClickHouse, reference: Outcome
) -> None:
    with (
        Proxy(clickhouse.http_port) as proxy,
        begin(
            "rebalance during a flush", environment={"CXSTREAM_CLICKHOUSE_PORT": str(proxy.port)}
        ) as faulty,
    ):
        first = faulty.start()
        faulty.wait_for_progress("sink")
        held = proxy.hits["held"]
        proxy.freeze()
        faulty.feed(3)
        wait_for(lambda: proxy.hits["held"] > held, "a flush under way", 30)
        ready = len(told(first, "partition_ready"))
        faulty.start()
        wait_for(lambda: len(told(first, "partition_ready")) > ready, "partitions to move", 60)
        faulty.evidence["flushes under way"] = proxy.hits["held"] - held
        proxy.heal()
        faulty.finish(reference, "flushes under way")


def test_partitions_move_while_a_checkpoint_commits(
    begin: Begin, reference: Outcome, tmp_path: Path
) -> None:
    held, go = tmp_path / "held", tmp_path / "go"
    with begin("rebalance during a commit") as faulty:
        first = faulty.start(spoiled=held_commit(held, go))
        faulty.feed(3)
        wait_for(held.exists, "a commit under way", 30)
        faulty.evidence["commits under way"] += 1
        before = committed_now(faulty.place, "lifecycle")
        second = faulty.place.worker()

        def taken_over() -> list[dict[str, Any]]:
            return [one for one in told(second, "partition_ready") if one["stage"] == "lifecycle"]

        # What was not done in the time that a rebalance gives was given up: the heir begins there.
        for line in wait_for(taken_over, "partitions to move", 60):
            assert line["offset"] == before[line["topic"], line["partition"]]
        go.touch()
        faulty.wait_for_progress("lifecycle")
        assert first.running
        faulty.finish(reference, "commits under way")


def test_workers_come_and_go_and_some_have_nothing_to_do(begin: Begin, reference: Outcome) -> None:
    with begin("joins and leaves") as faulty:
        for _ in range(5):  # one more than there are partitions
            faulty.start()
            faulty.feed(1)
            faulty.evidence["joins"] += 1

        def owned() -> list[float]:
            return sorted(
                w.metric("cx_owned_partitions", stage="lifecycle") for w in faulty.running
            )

        # Whoever comes last may still be joining when all partitions are owned.
        wait_for(lambda: owned() == [0, 1, 1, 1, 1], "each partition to have a worker", 60)
        for _ in range(3):
            _leave(faulty)
        faulty.start()
        faulty.evidence["joins"] += 1
        _leave(faulty)
        faulty.wait_for_progress("lifecycle")
        faulty.finish(reference, "joins", "leaves")


def _leave(faulty: Trial) -> None:
    assert faulty.running[0].stop() == 0
    faulty.evidence["leaves"] += 1
    faulty.feed(1)


def test_versions_are_rolled_forward_and_back(begin: Begin, reference: Outcome) -> None:
    """Old workers read what new ones write, records and state, and the other way round."""
    with begin("rolling deploy") as faulty:
        faulty.start()
        faulty.start()
        faulty.wait_for_progress("lifecycle")
        for spoiled in (NEXT_VERSION, NEXT_VERSION, "", ""):
            assert faulty.running[0].stop() == 0
            faulty.start(spoiled=spoiled)
            faulty.wait_for_progress("lifecycle")
            faulty.evidence["workers replaced"] += 1
        records = [
            r for topic in (CONTACTS, PERFORMANCES, PARTIALS) for r in faulty.place.read(topic)
        ]
        new = sum(MORE in (record.value or b"") for record in records)
        faulty.evidence["records of the new version"] = new
        faulty.evidence["records of the old version"] = len(records) - new
        faulty.finish(
            reference,
            "workers replaced",
            "records of the new version",
            "records of the old version",
        )
