"""What only a broker can decide: who may write, and what compaction leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from aiokafka.errors import KafkaError, ProducerFenced
from aiokafka.structs import TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.embedded.kafka import KafkaServer
from pipeline.microbatch import Broker
from pipeline.microbatch.producer import BatchProducer, Outgoing
from pipeline.microbatch.restore import read_log
from tests.support.services import kafka_server

pytestmark = pytest.mark.kafka

NOW_MS = 1_780_272_000_000
GROUP = "fencing"
INPUT = TopicPartition("fencing.input", 0)
STATE = "fencing.state"
COMPACTED = {
    "cleanup.policy": "compact", "segment.ms": "1000", "min.cleanable.dirty.ratio": "0.001",
    "max.message.bytes": "2000000",
}  # fmt: skip


@pytest.fixture(scope="module")
def compacting() -> Iterator[KafkaServer]:
    properties = {
        "log.cleaner.backoff.ms": "200", "log.cleaner.dedupe.buffer.size": "8388608",
    }  # fmt: skip
    with kafka_server(properties=properties) as server:
        yield server


@pytest.fixture
def broker(compacting: KafkaServer) -> Iterator[Broker]:
    admin = AdminClient({"bootstrap.servers": compacting.bootstrap})
    topics = [NewTopic(INPUT.topic, 1, 1), NewTopic(STATE, 1, 1, config=COMPACTED)]
    for made in admin.create_topics(topics).values():
        made.result()
    yield Broker(compacting.bootstrap)
    for gone in admin.delete_topics([INPUT.topic, STATE], operation_timeout=30).values():
        gone.result()


async def write(
    producer: BatchProducer, changes: dict[bytes, bytes | None], offset: int | None = None
) -> None:
    """A checkpoint that changes state and commits an offset."""
    await producer.begin()
    await producer.send_changes(STATE, 0, changes, NOW_MS, {})
    await producer.commit(GROUP, {} if offset is None else {INPUT: offset})


async def restored(broker: Broker) -> dict[bytes, bytes]:
    """What a worker that takes the partition over finds."""
    said: dict[bytes, bytes | None] = {}
    async for records in read_log(broker, STATE, 0):
        said |= {record.key: record.value for record in records if record.key is not None}
    return {key: value for key, value in said.items() if value is not None and key[:1] != b"#"}


async def offsets(broker: Broker) -> list[int]:
    """Offsets that are left in the changelog."""
    return [record.offset async for records in read_log(broker, STATE, 0) for record in records]


async def compact(broker: Broker, producer: BatchProducer) -> None:
    """Write on until segments have rolled and what is replaced is gone."""
    before = (await offsets(broker))[0]
    for number in range(100):
        await write(producer, {b"#": str(number).encode()})
        left = await offsets(broker)
        if left[0] > before:
            return
        await asyncio.sleep(0.3)
    pytest.fail("nothing was compacted")


async def test_a_writer_that_wakes_changes_no_compacted_state(broker):
    """Counterexample 8: highest position wins, until compaction has dropped the highest."""
    old, new = (BatchProducer(broker, "fencing.0") for _ in range(2))
    await old.start()
    try:
        await write(old, {b"k": b"at 150", b"gone": b"open"}, 150)
        # It freezes with a transaction open: an older state, and a tombstone, are on their way.
        await old.begin()
        await old.send_changes(STATE, 0, {b"k": b"at 199", b"gone": None}, NOW_MS, {})
        await new.start()
        try:
            await write(new, {b"k": b"at 900", b"gone": b"at 900"}, 900)
            with pytest.raises(ProducerFenced):
                await old.commit(GROUP, {INPUT: 199})
            await compact(broker, new)
            assert await restored(broker) == {b"k": b"at 900", b"gone": b"at 900"}
        finally:
            await new.close()
    finally:
        await old.close()


async def test_what_one_partition_refuses_lets_nothing_of_the_checkpoint_be_seen(broker):
    """Counterexample 7: a hole in the outputs is a checkpoint that never was."""
    producer = BatchProducer(broker, "fencing.1")
    await producer.start()
    try:
        await write(producer, {b"k": b"1"}, 1)
        await producer.begin()
        too_large = Outgoing(STATE, 0, b"k", b"x" * 3_000_000, NOW_MS)
        fits = Outgoing(INPUT.topic, 0, b"k", b"2", NOW_MS)
        with pytest.raises(KafkaError):
            await producer.send([fits, too_large])
    finally:
        await producer.close()
    heir = BatchProducer(broker, "fencing.1")
    await heir.start()
    try:
        assert await restored(broker) == {b"k": b"1"}
        found = [record async for part in read_log(broker, INPUT.topic, 0) for record in part]
        assert found == []
        await write(heir, {b"k": b"2"}, 2)
        assert await restored(broker) == {b"k": b"2"}
    finally:
        await heir.close()
