"""Logs that were changed under a worker: cut, emptied, made anew, compacted, or merely long."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from schemas.topics import INTERACTIONS, PARTIALS, changelog_topic
from tests.faults.checker import (
    Outcome,
    committed_now,
    compacted,
    event_id,
)
from tests.faults.conftest import SEED, Begin
from tests.faults.kafka import ProxiedKafka
from tests.faults.load import load
from tests.faults.signs import total
from tests.faults.trial import Trial, told
from tests.integration.logs import QUIET, RAW
from tests.integration.process import wait_for
from tests.integration.site import site

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]

CHANGELOG = changelog_topic("lifecycle")


def admin(kafka: ProxiedKafka) -> AdminClient:
    """Keep it until it has answered: what it was asked ends with it."""
    return AdminClient({"bootstrap.servers": kafka.bootstrap, **QUIET})


def cut(kafka: ProxiedKafka, offsets: Mapping[tuple[str, int], int]) -> None:
    """Let retention have passed: remove the records before each offset."""
    client = admin(kafka)
    before = [TopicPartition(topic, number, offset) for (topic, number), offset in offsets.items()]
    for done in client.delete_records(before).values():
        done.result(20)


def make_anew(faulty: Trial, kafka: ProxiedKafka, topics: Iterable[str]) -> None:
    """Delete topics and make them again, empty."""
    told_to = admin(kafka)
    gone = list(topics)
    for done in told_to.delete_topics(gone, operation_timeout=20).values():
        done.result(20)
    wait_for(
        lambda: not {*gone} & {*told_to.list_topics(timeout=10).topics}, "topics to be deleted", 20
    )
    faulty.place.command("topics", "apply")
    faulty.place.connect()


# --- records that are gone ------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["stopped", "running"])
def test_retention_passes_the_committed_offset(
    when: str, begin: Begin, kafka: ProxiedKafka
) -> None:
    with begin(f"retention passes, worker {when}") as faulty:
        worker = faulty.start()
        faulty.wait_for_progress("intake")
        faulty.place.drain(60, alive=[worker])
        if when == "stopped":
            assert worker.stop() == 0
        else:
            worker.signal(signal.SIGSTOP)
            wait_for(lambda: worker.status == "stopped", "the worker to freeze", 10)
        read = committed_now(faulty.place, "intake")
        faulty.feed(5)
        ends = faulty.place.ends("intake")
        gone = {place: end - read[place] for place, end in ends.items()}
        assert sum(gone.values()) > 100
        written = faulty.place.read(RAW)
        kept = {event_id(r) for r in written if r.offset < read[r.topic, r.partition]}
        cut(kafka, ends)
        if when == "stopped":
            worker = faulty.place.worker()
        else:
            worker.signal(signal.SIGCONT)
        assert worker.wait(120) == 1
        assert "were removed from the log before they were read" in worker.tail()
        assert committed_now(faulty.place, "intake") == read
        # Whoever has read what to do about it lets the worker go on, and it counts.
        worker = faulty.start(CXSTREAM_GONE_RECORDS="skip")
        kept |= {record.event_id for record in faulty.load.records[-faulty.left :]}
        faulty.feed()
        faulty.place.drain(120, alive=[worker])
        assert total([worker], "cx_gone_records_total", stage="intake") == sum(gone.values())
        # All that was not gone is taken in, what was read before the gap and what came behind it.
        query = "SELECT event_id FROM interaction_events"
        stored = {row[0] for row in faulty.client.query(query).result_rows}
        assert stored == kept - {"", "poison", "e900"}


def test_a_raw_topic_made_anew_is_read_from_its_beginning(
    begin: Begin, kafka: ProxiedKafka, reference: Outcome
) -> None:
    with begin("raw topic made anew") as faulty:
        worker = faulty.start()
        faulty.feed(5)
        faulty.place.drain(60, alive=[worker])
        before = committed_now(faulty.place, "intake")
        assert min(before.values()) > 10
        assert worker.stop() == 0
        make_anew(faulty, kafka, [RAW])
        # What was taken in and more comes again: fewer records than there were in all.
        faulty.feed_again()
        faulty.start()
        faulty.evidence["records before"] = sum(before.values())
        faulty.finish(reference, "records before", anew=True)


def test_a_changelog_that_lost_its_records_is_refused(begin: Begin, kafka: ProxiedKafka) -> None:
    with begin("changelog made anew") as faulty:
        worker = faulty.start()
        faulty.feed(5)
        faulty.place.drain(60, alive=[worker])
        assert worker.stop() == 0
        make_anew(faulty, kafka, [CHANGELOG])
        before = committed_now(faulty.place, "lifecycle")
        faulty.feed(1)
        worker = faulty.place.worker()
        assert worker.wait(120) == 1
        assert "its changelog gives 0: it lost records" in worker.tail()
        assert committed_now(faulty.place, "lifecycle") == before


# --- compaction and markers -----------------------------------------------------------------------


def test_holes_of_compaction_and_markers_of_transactions_hold_nobody_up(
    begin: Begin, reference: Outcome
) -> None:
    with begin("compacted logs", compact=True) as faulty:
        worker = faulty.start()
        faulty.wait_for_progress("exhibits")
        for topic, name in ((PARTIALS, "holes of shares"), (CHANGELOG, "holes of state")):
            faulty.feed_until(
                lambda: compacted(faulty.place, topic),  # noqa: B023
                f"{topic} to be compacted", 60,
            )  # fmt: skip
            faulty.evidence[name] = compacted(faulty.place, topic)
        death = faulty.kill(worker)
        worker = faulty.start()
        faulty.count_inheritance(death)
        # Every log ends with the marker of a transaction, and the lag of every group comes to 0.
        faulty.finish(reference, "holes of shares", "holes of state", "restored keys")
        assert total([worker], "cx_lag_records") == 0


# --- numbers of partitions ------------------------------------------------------------------------


def _add_partitions(kafka: ProxiedKafka, count: int, topics: list[str]) -> None:
    more = [NewPartitions(topic, count) for topic in topics]
    client = admin(kafka)
    for done in client.create_partitions(more).values():
        done.result(20)


def _ours(kafka: ProxiedKafka) -> list[str]:
    return [name for name in admin(kafka).list_topics(timeout=10).topics if name.startswith("cx.")]


def test_topics_with_other_numbers_of_partitions_are_refused_at_the_start(
    kafka: ProxiedKafka, tmp_path: Path
) -> None:
    with site(kafka.bootstrap, tmp_path) as place:
        _add_partitions(kafka, 8, [INTERACTIONS])
        worker = place.worker()
        assert worker.wait(120) == 1
        said = worker.tail().splitlines()[-1]
        assert "all topics must have the same number of partitions" in said
        assert "cx.facts has 4, cx.interactions has 8" in said


def test_another_number_of_partitions_is_refused_and_the_procedure_works(
    begin: Begin, kafka: ProxiedKafka, reference: Outcome
) -> None:
    """As docs/operations.md says under "More partitions"."""
    with begin("4 partitions, then 8") as faulty:
        worker = faulty.start()
        faulty.feed(15)
        faulty.place.drain(180, alive=[worker])
        assert worker.stop() == 0
        _add_partitions(kafka, 8, _ours(kafka))
        refused = faulty.place.worker()
        assert refused.wait(120) == 1
        assert "is of 4 partitions, its topic has 8: keys have parted" in refused.tail()
        # Everything is in ClickHouse: topics and groups go, and are made anew.
        faulty.place.partitions = 8
        faulty.place.environment["CXSTREAM_PARTITIONS"] = "8"
        make_anew(faulty, kafka, _ours(kafka))
        groups = [f"{faulty.place.prefix}-{role}" for role in faulty.place.roles]
        client = admin(kafka)
        for done in client.delete_consumer_groups(groups).values():
            done.result(20)
        written = faulty.place.command("rebuild", "--since", "2025-01-01T00:00:00Z")
        faulty.evidence["events written anew"] = int(written.split()[0].replace(",", ""))
        faulty.start()
        faulty.finish(reference, "events written anew", anew=True)


# --- much to do -----------------------------------------------------------------------------------


def test_catching_up_takes_linear_time_and_bounded_memory(begin: Begin) -> None:
    """A cold start on a full topic: four times the backlog costs no more than five times as much.

    In CPU seconds after the worker was ready, which other work on this machine does not change.
    """
    took: dict[int, float] = {}
    peak: dict[int, float] = {}
    for events in (1_500, 6_000):
        backlog = load(SEED, events)
        with begin(f"backlog of {events}", backlog) as faulty:
            faulty.feed(pause_seconds=0.0)
            worker = faulty.start()
            began = worker.system.cpu_times().user
            faulty.evidence["waiting"] = faulty.place.lag("lifecycle")
            faulty.finish(None, "waiting")
            took[events] = worker.system.cpu_times().user - began
            peak[events] = faulty.peak_mb
            restores = told(worker, "partition_ready")
            assert all(line["keys"] == 0 for line in restores if line["stage"] == "lifecycle")
    assert took[6_000] < 5 * took[1_500], took
    assert peak[6_000] < peak[1_500] + 100, peak
