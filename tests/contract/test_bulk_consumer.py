"""The bulk consumer reads what aiokafka's own consumer reads; both from a real log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.embedded.kafka import KafkaServer
from pipeline.microbatch.fetch import BulkConsumer

pytestmark = pytest.mark.kafka

TP = TopicPartition("bulk", 0)
ENOUGH = 100
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def topic(kafka: KafkaServer) -> Iterator[str]:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    # Records of 1970 would be deleted, and each batch would begin a segment, where a fetch ends.
    keep = {"retention.ms": "-1", "segment.ms": str(2**63 - 1)}
    admin.create_topics([NewTopic(TP.topic, 1, 1, config=keep)])[TP.topic].result()
    yield kafka.bootstrap
    admin.delete_topics([TP.topic])[TP.topic].result()


@pytest.fixture(scope="module")
def log(topic: str) -> str:
    """The topic with records in it; where to find it."""
    asyncio.run(write_log(topic))
    return topic


async def write_log(topic: str) -> None:
    """Offsets 0-2 plain; 3-4 aborted, 5 its marker; 6-7 committed, 8 its marker; 9 plain, a null
    value; 10 aborted, 11 its marker."""
    async with (
        AIOKafkaProducer(bootstrap_servers=topic) as plain,
        AIOKafkaProducer(bootstrap_servers=topic, transactional_id="bulk") as transactional,
    ):
        await write(plain, b"a", b"b", b"c")
        await transactional.begin_transaction()
        await write(transactional, b"x", b"y")
        await transactional.abort_transaction()
        await wait_for_marker(topic, 5)
        async with transactional.transaction():
            await write(transactional, b"d", b"e")
        await wait_for_marker(topic, 8)
        await write(plain, None)
        await transactional.begin_transaction()
        await write(transactional, b"z")
        await transactional.abort_transaction()
        await wait_for_marker(topic, 11)


async def wait_for_marker(topic: str, offset: int) -> None:
    """A marker is written after the producer was told that its transaction ended."""
    async with (
        asyncio.timeout(PATIENCE_MS / 1000),
        AIOKafkaConsumer(bootstrap_servers=topic, enable_auto_commit=False) as consumer,
    ):
        while (await consumer.end_offsets([TP]))[TP] <= offset:  # noqa: ASYNC110  a broker tells nobody
            await asyncio.sleep(0.01)


async def write(producer: AIOKafkaProducer, *values: bytes | None) -> None:
    """One record batch."""
    batch = producer.create_batch()
    for number, value in enumerate(values):
        batch.append(timestamp=1_000 + number, key=b"k", value=value, headers=[("h", b"v")])
    await (await producer.send_batch(batch, TP.topic, partition=0))


@asynccontextmanager
async def reading(bootstrap: str, isolation: str = "read_committed") -> AsyncIterator[BulkConsumer]:
    consumer = BulkConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, isolation_level=isolation
    )
    await consumer.start()
    try:
        consumer.assign([TP])
        consumer.seek(TP, 0)
        yield consumer
    finally:
        await consumer.stop()


async def take(consumer: BulkConsumer, enough: int = ENOUGH) -> list[int]:
    found = await consumer.fetched({TP}, PATIENCE_MS, enough)
    return [record.offset for record in found[TP]]


async def test_aborted_records_and_markers_are_passed_by(log):
    async with reading(log) as consumer:
        assert await take(consumer) == [0, 1, 2, 6, 7, 9]
        assert await consumer.position(TP) == 12
        assert await consumer.fetched({TP}, 50, ENOUGH) == {}


async def test_who_reads_uncommitted_sees_aborted_records(log):
    async with reading(log, "read_uncommitted") as consumer:
        assert await take(consumer) == [0, 1, 2, 3, 4, 6, 7, 9, 10]
        assert await consumer.position(TP) == 12


async def test_reading_stops_behind_the_batch_that_makes_it_enough(log):
    async with reading(log) as consumer:
        assert await take(consumer, 2) == [0, 1, 2]
        assert await consumer.position(TP) == 3
        assert await take(consumer, 2) == [6, 7]
        assert await consumer.position(TP) == 8
        assert await take(consumer, 2) == [9]
        assert await consumer.position(TP) == 12


async def test_a_seek_throws_away_what_was_fetched(log):
    async with reading(log) as consumer:
        assert await take(consumer, 1) == [0, 1, 2]
        consumer.seek(TP, 1)
        assert await take(consumer) == [1, 2, 6, 7, 9]


async def test_partitions_not_asked_for_stay_fetched(log):
    async with reading(log) as consumer:
        assert await consumer.fetched((), 300, ENOUGH) == {}
        assert await consumer.position(TP) == 0
        assert await take(consumer) == [0, 1, 2, 6, 7, 9]


async def test_records_are_those_of_aiokafka(log):
    def fields(record: Any) -> tuple[Any, ...]:
        headers = tuple(record.headers)
        return record.offset, record.timestamp, record.key, record.value, headers

    async with reading(log) as consumer:
        ours = [fields(r) for r in (await consumer.fetched({TP}, PATIENCE_MS, ENOUGH))[TP]]
        consumer.seek(TP, 0)
        theirs = [fields(r) for r in (await consumer.getmany(timeout_ms=PATIENCE_MS))[TP]]
    assert ours == theirs
    assert ours[0] == (0, 1_000, b"k", b"a", (("h", b"v"),))
    assert ours[-1] == (9, 1_000, b"k", None, (("h", b"v"),))
