from __future__ import annotations

from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from pipeline.embedded.broker import DEFAULT_PARTITIONS, EmbeddedBroker
from pipeline.embedded.process import ServiceError
from schemas.topics import MAX_RECORD_BYTES


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as running:
        yield running


async def test_topics_get_the_partitions_asked_for_and_four_otherwise(broker):
    broker.create_topic("narrow", 1)
    broker.create_topic("wide", 12)
    with pytest.raises(ServiceError, match=r"topic narrow: .*exists"):
        broker.create_topic("narrow", 2)
    with pytest.raises(ServiceError, match="at least one partition, not 0"):
        broker.create_topic("none", 0)

    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        counts = [len(await producer.partitions_for(name)) for name in ("narrow", "wide", "new")]
    assert counts == [1, 12, DEFAULT_PARTITIONS]
    assert DEFAULT_PARTITIONS == 4


async def test_a_group_goes_on_where_it_committed(broker):
    broker.create_topic("t", 1)
    async with AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap, enable_idempotence=True, acks="all"
    ) as producer:
        for value in (b"a", b"b", b"c"):
            await producer.send_and_wait("t", value, key=b"k")

    async def read(count: int) -> list[tuple[int, bytes]]:
        async with AIOKafkaConsumer(
            "t",
            bootstrap_servers=broker.bootstrap,
            group_id="g",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=1_500,
            heartbeat_interval_ms=300,
            max_poll_records=count,
        ) as consumer:
            got = [await consumer.getone() for _ in range(count)]
            await consumer.commit({TopicPartition("t", 0): got[-1].offset + 1})
            return [(record.offset, record.value) for record in got]

    assert await read(2) == [(0, b"a"), (1, b"b")]
    assert await read(1) == [(2, b"c")]


async def test_a_full_partition_drops_its_oldest_records(broker):
    broker.create_topic("t", 1)
    async with AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap, max_request_size=2 * MAX_RECORD_BYTES
    ) as producer:
        for _ in range(8):
            await producer.send_and_wait("t", bytes(1_000_000))
        assert (await producer.send_and_wait("t", bytes(MAX_RECORD_BYTES))).offset == 8
    async with AIOKafkaConsumer(bootstrap_servers=broker.bootstrap) as consumer:
        partition = TopicPartition("t", 0)
        first = (await consumer.beginning_offsets([partition]))[partition]
        end = (await consumer.end_offsets([partition]))[partition]
    # 4 x 1,000,000 + 1,048,576 fit into 5 x 1,048,576 bytes, one more does not.
    assert (first, end) == (4, 9)


def test_a_broker_starts_once_and_stops_as_often_as_told():
    broker = EmbeddedBroker().start()
    with pytest.raises(ServiceError, match="already runs"):
        broker.start()
    broker.stop()
    broker.stop()
    with pytest.raises(ServiceError, match="does not run"):
        _ = broker.bootstrap
