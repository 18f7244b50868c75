"""Records that are poison, come twice or in any order, are corrected, or tell a wrong time."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from confluent_kafka import Producer

from pipeline.microbatch.inflate import MAX_INFLATED_BYTES
from schemas.topics import DEAD_LETTERS, INTERACTIONS, MAX_RECORD_BYTES
from tests.faults.checker import Outcome
from tests.faults.conftest import SEED, Begin
from tests.faults.kafka import ProxiedKafka
from tests.faults.load import (
    Load,
    Raw,
    ahead,
    corrected,
    in_any_order,
    load,
    of_second_version,
    skewed,
    told_twice,
)
from tests.faults.signs import total
from tests.integration.logs import QUIET, RAW
from tests.integration.process import wait_for
from tests.integration.site import site

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]

STREAK = 50
WRITTEN = 400
EVENTS = 1_500
HOUR_MS = 3_600_000


# --- limits of what is refused --------------------------------------------------------------------


@pytest.mark.parametrize(("topic", "role"), [(RAW, "intake"), (INTERACTIONS, "lifecycle")])
def test_a_topic_of_nonsense_stops_the_worker_that_takes_it_in(
    topic: str, role: str, kafka: ProxiedKafka, tmp_path: Path
) -> None:
    with site(kafka.bootstrap, tmp_path) as place:
        for _ in range(WRITTEN):
            place.produce(b"nonsense", b"k", topic=topic, partition=1)
        place.flush()
        worker = place.worker(CXSTREAM_REFUSED_STREAK=str(STREAK))
        assert worker.wait(120) == 1
        assert "50 records in a row were refused, the last one as bad_json" in worker.tail()
        # All lie in one batch of one partition: nothing of it was committed, nothing refused.
        assert place.committed(role)[topic, 1] == 0
        assert place.read(DEAD_LETTERS) == []


def test_too_large_a_share_of_nonsense_stops_the_worker(
    kafka: ProxiedKafka, brief: Load, tmp_path: Path
) -> None:
    """Two of three are refused, so that no streak is longer than two."""
    good = next(record for record in brief.records if record.event_id)
    with site(kafka.bootstrap, tmp_path) as place:
        for number in range(15_000):
            value = good.value if number % 3 == 0 else b"nonsense"
            place.produce(value, b"k", topic=RAW, partition=1)
        place.flush()
        worker = place.worker(("intake",), CXSTREAM_REFUSED_RATIO="0.5")
        assert worker.wait(90) == 1
        assert "of the last 10000 records were refused" in worker.tail()
        # What came before the window was full was refused one by one; then it ended.
        assert place.committed("intake")[RAW, 1] < 10_000
        assert len(place.read(DEAD_LETTERS)) < 10_000


# --- sizes ----------------------------------------------------------------------------------------


def _event(number: int, **fields: object) -> Raw:
    name = f"sized-{number}"
    event = {
        "event_id": name, "kind": "started", "source": "test", "channel": "voice",
        "occurred_at": "2025-03-03T10:00:00Z", "interaction_id": name, **fields,
    }  # fmt: skip
    return Raw(name.encode(), json.dumps(event).encode(), name)


def test_the_largest_records_and_headers_are_taken_or_refused_whole(begin: Begin) -> None:
    """As large as a topic takes: a good event, one with headers, and one that is refused."""
    large = (
        _event(1, unknown="x" * (MAX_RECORD_BYTES - 300)),
        _event(2)._replace(headers=(("note", bytes(900_000)),)),
        _event(3)._replace(headers=tuple((f"note-{n}", b"of a proxy") for n in range(5_000))),
        Raw(b"k", b"x" * MAX_RECORD_BYTES, reason="bad_json"),
    )
    few = load(SEED, 400)
    with begin("large records", Load(large + few.records, few.clock_ms)) as faulty:
        faulty.evidence["large records"] = len(large)
        faulty.start()
        faulty.finish(None, "large records")


def _compressed(kafka: ProxiedKafka, codec: str, *values: bytes) -> None:
    """Write one record batch, as a producer outside does."""
    producer = Producer({
        "bootstrap.servers": kafka.bootstrap, "compression.type": codec, "linger.ms": 200,
        "message.max.bytes": 900_000_000, "batch.size": 900_000_000, **QUIET,
    })  # fmt: skip
    for value in values:
        producer.produce(RAW, value, partition=1)
    assert producer.flush(60) == 0


def test_compressed_batches_are_read_and_bombs_are_refused(
    begin: Begin, kafka: ProxiedKafka
) -> None:
    few = load(SEED, 400)
    with begin("compressed records", few) as faulty:
        worker = faulty.start()
        for number, codec in enumerate(("gzip", "snappy", "lz4", "zstd"), start=1):
            _compressed(kafka, codec, _event(number).value or b"")
        wait_for(
            lambda: total([worker], "cx_events_total", platform="interactions") == 4,
            "four compressed events", 60,
        )  # fmt: skip
        # A megabyte on the wire, and many times the memory that a worker may have.
        bomb = bytes(MAX_INFLATED_BYTES + 1)
        for _ in range(4):
            _compressed(kafka, "zstd", bomb)
        # Less than what a batch may be, and more than a record may be.
        _compressed(kafka, "gzip", bytes(MAX_RECORD_BYTES * 4))
        wait_for(
            lambda: total([worker], "cx_dead_letters_total", reason="too_large") == 5,
            "five records to be refused", 60,
        )  # fmt: skip
        letters = [
            r for r in faulty.place.read(DEAD_LETTERS) if r.headers["reason"] == b"too_large"
        ]
        told = sorted((r.headers["detail"].decode(), len(r.value or b"")) for r in letters)
        assert told == [
            ("4194304 bytes, at most 1048576 are taken", 65_536),
            *[("a compressed batch of 1 records, never unpacked", 0)] * 4,
        ]
        faulty.feed()
        faulty.place.drain(60, alive=[worker])
        assert faulty.peak_mb < 400


# --- twice, late, corrected -----------------------------------------------------------------------


def test_a_day_that_is_replayed_counts_once(begin: Begin, brief: Load, reference: Outcome) -> None:
    with begin("the whole day twice", told_twice(brief)) as faulty:
        worker = faulty.start()
        faulty.feed()
        faulty.place.drain(120, alive=[worker])
        faulty.evidence["duplicates"] = round(total([worker], "cx_duplicates_total"))
        assert faulty.evidence["duplicates"] >= len(brief.accepted)
        faulty.finish(reference, "duplicates")


def test_any_order_gives_the_same_facts(begin: Begin, brief: Load, reference: Outcome) -> None:
    mixed = in_any_order(brief, SEED)
    with begin("any order", mixed) as faulty:
        times = [record.occurred_ms for record in mixed.records if record.event_id]
        latest = [max(times[: n + 1]) for n in range(len(times))]
        faulty.evidence["hours late"] = max(m - t for m, t in zip(latest, times)) // HOUR_MS  # noqa: B905
        faulty.start()
        faulty.finish(reference, "hours late")


def test_the_same_id_with_new_content_replaces_the_old_one(begin: Begin, brief: Load) -> None:
    with begin("corrections: the right ones alone", of_second_version(brief, 10)) as clean:
        clean.start()
        right = clean.finish(None)
    both = corrected(brief, 10)
    with begin("corrections", both) as faulty:
        worker = faulty.start()
        faulty.evidence["told wrongly"] = len(both.records) - len(brief.records)
        faulty.finish(right, "told wrongly")
        assert worker.running


# --- times ----------------------------------------------------------------------------------------


def test_clocks_of_sources_an_hour_ahead_and_behind(begin: Begin) -> None:
    """They are counted as told; those ahead of their record are counted as skewed."""
    start_ms = (time.time_ns() // 1_000_000 - 8 * HOUR_MS) // HOUR_MS * HOUR_MS
    wrong = skewed(load(SEED, EVENTS, start_ms))
    with begin("clocks an hour ahead and behind", wrong) as faulty:
        worker = faulty.start()
        faulty.feed()
        faulty.place.drain(120, alive=[worker])
        faulty.evidence["skewed"] = round(total([worker], "cx_events_skewed_total"))
        assert faulty.evidence["skewed"] == ahead(wrong) > 100
        faulty.finish(None, "skewed")


def test_times_of_1970_and_2100_are_refused_and_open_no_window(
    begin: Begin, brief: Load, reference: Outcome
) -> None:
    """One in ten: each is a dead letter, and no value more than without them is published."""
    times = {"1970-01-01T00:00:00Z": "time_too_old", "2100-01-01T00:00:00Z": "time_in_future"}
    records: list[Raw] = []
    for number, record in enumerate(brief.records):
        if number % 10 == 0:
            at, reason = list(times.items())[number // 10 % 2]
            event = _event(number, occurred_at=at, queue=f"queue {number}")
            records.append(event._replace(event_id="", reason=reason))
        records.append(record)
    with begin("times of 1970 and 2100", brief._replace(records=tuple(records))) as faulty:
        faulty.start()
        outcome = faulty.finish(reference)
        for reason in times.values():
            refused = sum(count for (why, _), count in outcome.letters.items() if why == reason)
            assert refused > len(brief.records) // 20


@pytest.mark.parametrize(
    ("change", "start_ms"),
    [
        ("forward", 1_743_282_000_000),  # 2025-03-29T21:00Z: 02:00 becomes 03:00 at 01:00Z
        ("back", 1_761_426_000_000),  # 2025-10-25T21:00Z: 03:00 becomes 02:00 at 01:00Z
    ],
)
def test_clocks_are_changed(change: str, start_ms: int, begin: Begin) -> None:
    """The load begins in the evening of the day before, in a zone that changes its clocks."""
    night = load(SEED, EVENTS, start_ms)
    with begin(f"clocks changed {change}", night, zone="Europe/Berlin") as faulty:
        changes_ms = start_ms + 4 * HOUR_MS
        after = sum(record.occurred_ms > changes_ms for record in night.records)
        faulty.evidence["events after the change"] = after
        faulty.evidence["events before"] = len(night.accepted) - after
        faulty.start()
        faulty.finish(None, "events after the change", "events before")
