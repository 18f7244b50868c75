"""What cannot be an event ends as a dead letter, byte for byte, and disturbs nothing around it."""

from __future__ import annotations

import gzip
import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka import Producer

from pipeline.cli.exhibits import read_exhibits
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.kafka import KafkaServer
from pipeline.microbatch import partition_for
from pipeline.microbatch.producer import BatchProducer, Outgoing
from pipeline.replay.run import Job, replay
from pipeline.stages.intake import Source
from schemas.platforms import find_platform
from schemas.topics import CONTACTS, DEAD_LETTERS, FACTS, INTERACTIONS
from tests.integration.logs import PARTITIONS, QUIET, RAW, Read
from tests.integration.process import Process, wait_for
from tests.integration.site import Site, site
from tests.integration.warehouse import client_of

DATABASE = "bad_input"
CUSTOMER = "+15550100"
"""Raw identity that must stay outside; the same for all good records."""
NOW_MS = time.time_ns() // 1_000_000
DAY_MS = 86_400_000
GOOD = 40


def event(number: int, **fields: Any) -> dict[str, Any]:
    """One contact that enters a queue."""
    return {
        "event_id": f"e{number}",
        "kind": "queued",
        "source": "test",
        "occurred_at": "2025-03-03T10:00:00Z",
        "interaction_id": f"i{number}",
        "channel": "voice",
        "queue": "sales",
        "customer": CUSTOMER,
        **fields,
    }


def encoded(number: int, **fields: Any) -> bytes:
    return json.dumps(event(number, **fields)).encode()


def _without(name: str) -> bytes:
    told = event(900)
    del told[name]
    return json.dumps(told).encode()


BAD: tuple[tuple[str, bytes | None], ...] = (
    ("bad_json", b'{"event_id": "e900", "kind": '),
    ("bad_json", b"sales,voice,10:00"),
    ("bad_json", b"[" * 200_000),
    ("bad_json", b'{"customer":' * 80_000),
    ("bad_json", b'{"a":[' * 50_000 + b"]}" * 50_000),
    ("bad_utf8", b'{"event_id": "\xff\xfe\x00", "kind": "queued"}'),
    ("bad_utf8", json.dumps(event(901), ensure_ascii=False).encode("utf-16")),
    ("null_value", None),
    ("null_value", b""),
    ("null_value", b" \r\n"),
    ("null_value", b"[]"),
    ("unknown_kind", encoded(902, kind="teleported")),
    ("null_value", b"null"),
    ("invalid_event", b"17"),
    ("invalid_event", encoded(903, kind=7)),
    ("invalid_event", encoded(904, kind="tick")),
    ("invalid_event", encoded(905, interaction_id=5)),
    ("invalid_event", encoded(906, event_id="")),
    ("invalid_event", encoded(907, channel="telepathy")),
    ("invalid_event", encoded(908, occurred_at=1_740_996_000_000)),
    ("invalid_event", encoded(909, occurred_at="2025-03-03T10:00:00")),
    ("invalid_event", encoded(910, queue={"name": "sales"})),
    ("invalid_event", encoded(911, kind="accepted", wait_ms=-1)),
    ("invalid_event", encoded(912, kind="accepted", wait_ms="12")),
    ("invalid_event", encoded(913, event_id="x" * 513)),
    ("invalid_event", _without("occurred_at")),
    ("time_too_old", encoded(914, occurred_at="1999-12-31T23:59:59.999Z")),
    ("time_in_future", encoded(915, occurred_at="2199-01-01T00:00:00Z")),
)


class Sent(NamedTuple):
    """A record that must be refused: where it lies, why, and what it was."""

    topic: str
    reason: str
    value: bytes


class Outcome(NamedTuple):
    """What the pipeline made of it all."""

    site: Site
    worker: Process
    sent: list[Sent]
    letters: list[Read]


@pytest.fixture(scope="module")
def outcome(
    kafka: KafkaServer,
    clickhouse: EmbeddedClickHouse,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Outcome]:
    """Good and bad records in turns: on the raw topic, and past intake on the unified one."""
    folder = tmp_path_factory.mktemp("bad_input")
    with site(kafka.bootstrap, folder, clickhouse=clickhouse, database=DATABASE) as place:
        worker = place.worker()
        sent = []
        for number in range(GOOD):
            # Every other good record has no key, and intake finds its interaction by itself.
            key = f"i{number}".encode() if number % 2 else None
            place.produce(encoded(number), key, timestamp_ms=NOW_MS)
            reason, value = BAD[number % len(BAD)]
            place.produce(value, b"some key" if number % 3 else None, timestamp_ms=NOW_MS)
            sent.append(Sent(RAW, reason, value or b""))
        # A record's own time decides what is the future, not the clock of a machine.
        ahead = encoded(950, occurred_at="2025-03-04T10:00:00.001Z")
        place.produce(ahead, timestamp_ms=1_740_996_000_000)
        sent.append(Sent(RAW, "time_in_future", ahead))
        place.produce(
            encoded(GOOD, occurred_at="2025-03-04T10:00:00Z"), timestamp_ms=1_740_996_000_000
        )
        for number in range(PARTITIONS):
            # Where the record lies is not where its interaction belongs.
            place.produce(
                encoded(100 + number), topic=INTERACTIONS, partition=number, timestamp_ms=NOW_MS
            )
            for reason, value in BAD:
                place.produce(value, topic=INTERACTIONS, partition=number, timestamp_ms=NOW_MS)
                sent.append(Sent(INTERACTIONS, reason, value or b""))
        place.flush()
        place.drain(90, alive=[worker])
        place.tick(1_741_082_400_000)
        place.drain(60, alive=[worker])
        yield Outcome(place, worker, sent, place.read(DEAD_LETTERS))


pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]


def test_every_bad_record_is_a_dead_letter_with_its_reason_and_its_own_bytes(
    outcome: Outcome,
) -> None:
    def told(letter: Read) -> tuple[str, str, str]:
        text = {name: value.decode() for name, value in letter.headers.items()}
        body = letter.value or b""
        assert text["sha256"] == hashlib.sha256(body).hexdigest()
        assert int(text["bytes"]) == len(body)
        assert text["detail"]
        return text["topic"], text["reason"], text["sha256"]

    expected = Counter(
        (sent.topic, sent.reason, hashlib.sha256(sent.value).hexdigest()) for sent in outcome.sent
    )
    assert Counter(told(letter) for letter in outcome.letters) == expected
    assert expected.total() == 40 + 1 + 4 * 28


def test_a_dead_letter_names_the_place_of_the_record_it_keeps(outcome: Outcome) -> None:
    originals = {
        (record.topic, record.partition, record.offset): record.value or b""
        for topic in (RAW, INTERACTIONS)
        for record in outcome.site.read(topic)
    }
    places = set()
    for letter in outcome.letters:
        text = {name: value.decode() for name, value in letter.headers.items()}
        place = (text["topic"], int(text["partition"]), int(text["offset"]))
        assert originals[place] == letter.value
        places.add(place)
    assert len(places) == len(outcome.letters)


def test_counts_by_reason_agree_in_topic_metrics_and_clickhouse(
    outcome: Outcome, clickhouse: EmbeddedClickHouse
) -> None:
    expected = Counter(sent.reason for sent in outcome.sent)
    assert Counter(letter.headers["reason"].decode() for letter in outcome.letters) == expected
    counted = {
        dict(labels)["reason"]: value
        for (name, labels), value in outcome.worker.metrics().items()
        # Every reason is there from the start, so that the first letter is an increase.
        if name == "cx_dead_letters_total" and value
    }
    assert counted == expected
    with client_of(clickhouse, DATABASE) as client:
        rows = client.query(
            "SELECT reason, count(), uniqExact(topic, partition, offset) FROM dead_letters FINAL"
            " GROUP BY reason"
        ).result_rows
        assert {reason: (n, places) for reason, n, places in rows} == {
            reason: (n, n) for reason, n in expected.items()
        }
        hashes = client.query("SELECT sha256 FROM dead_letters FINAL").result_rows
    assert Counter(row[0] for row in hashes) == Counter(
        hashlib.sha256(sent.value).hexdigest() for sent in outcome.sent
    )


def test_good_records_around_bad_ones_are_all_counted(
    outcome: Outcome, clickhouse: EmbeddedClickHouse
) -> None:
    good = GOOD + 1 + PARTITIONS
    assert outcome.worker.metric("cx_events_total", platform="interactions") == good
    with client_of(clickhouse, DATABASE) as client:
        ((events, interactions),) = client.query(
            "SELECT count(), uniqExact(interaction_id) FROM events"
        ).result_rows
        offered = client.query(
            "SELECT numerator FROM kpis"
            " WHERE `as` = 'offered' AND window_kind = 'all' AND dimensions['queue'] = 'sales'"
        ).result_rows
    assert (events, interactions) == (good, good)
    assert offered == [(good,)]


def test_a_raw_customer_goes_no_further_than_intake(
    outcome: Outcome, clickhouse: EmbeddedClickHouse
) -> None:
    accepted = [r for r in outcome.site.read(INTERACTIONS) if "cx-accepted" in r.headers]
    assert len(accepted) == GOOD + 1 + PARTITIONS
    for record in accepted:
        told = json.loads(record.value or b"")
        assert "customer" not in told
        assert len(told["customer_key"]) == 32
        assert record.key == told["interaction_id"].encode()
        assert record.partition == partition_for(record.key, PARTITIONS)
    assert len({json.loads(r.value or b"")["customer_key"] for r in accepted}) == 1
    records = [*accepted, *outcome.site.read(FACTS), *outcome.site.read(CONTACTS)]
    assert len(records) > 3 * len(accepted)
    for record in records:
        assert CUSTOMER.encode() not in (record.key or b"") + (record.value or b"")
    with client_of(clickhouse, DATABASE) as client:
        tables = client.query(
            "SELECT name FROM system.tables WHERE database = {db:String} AND engine LIKE '%Tree'",
            parameters={"db": DATABASE},
        ).result_rows
        assert len(tables) >= 10
        for (table,) in tables:
            found = client.query(
                f"SELECT count() FROM `{table}`"  # noqa: S608 - a table's own name
                " WHERE position(toString(tuple(*)), {customer:String}) > 0",
                parameters={"customer": CUSTOMER},
            ).result_rows
            assert found == [(0,)], table


async def test_what_is_larger_than_a_record_may_be_is_refused_by_a_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = encoded(1, intent="x" * 1_048_576)
    assert len(large) > 1_048_576
    file = tmp_path / "events.jsonl.gz"
    file.write_bytes(gzip.compress(b"\n".join((encoded(2), large, encoded(3)))))
    letters: list[Outgoing] = []
    send = BatchProducer.send

    async def spy(self: BatchProducer, records: Any) -> None:
        kept = list(records)
        letters.extend(record for record in kept if record.topic == DEAD_LETTERS)
        await send(self, kept)

    monkeypatch.setattr(BatchProducer, "send", spy)
    platform = find_platform("interactions")
    result = await replay(Job([file], Source(platform, platform.options()), read_exhibits([])))
    assert result.summary["records"] == 3
    assert result.summary["events"] == 2
    assert result.summary["dead_letters"] == {"too_large": 1}
    (letter,) = letters
    headers = dict(letter.headers)
    assert letter.value == large[:65_536]
    assert headers["reason"] == b"too_large"
    assert headers["bytes"] == str(len(large)).encode()
    assert headers["sha256"] == hashlib.sha256(large).hexdigest().encode()


def test_a_broker_takes_no_record_beyond_one_mebibyte(outcome: Outcome) -> None:
    """So a record that large can only come out of a file, and the pipeline never meets one."""
    told: list[str] = []
    producer = Producer(
        {"bootstrap.servers": outcome.site.bootstrap, "message.max.bytes": 4_000_000, **QUIET}
    )
    producer.produce(RAW, b"x" * 1_200_000, on_delivery=lambda error, _: told.append(error.name()))
    wait_for(lambda: producer.flush(1) == 0, "the broker to answer", 20)
    assert told == ["MSG_SIZE_TOO_LARGE"]
