from __future__ import annotations

import pytest
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from pipeline.microbatch.batch import Batch
from pipeline.microbatch.fetch import _unpack
from pipeline.microbatch.partition import Partition

TP = TopicPartition("topic", 3)


def fetched(data: bytes, position: int) -> PartitionRecords:
    return PartitionRecords(
        TP,
        MemoryRecords(data),
        aborted_transactions=[],
        fetch_offset=position,
        key_deserializer=None,
        value_deserializer=None,
        check_crcs=True,
        isolation_level=0,
    )


def record_batch(*values: bytes) -> bytes:
    """One record batch with offsets from 0."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, 10_000)
    for offset, value in enumerate(values):
        builder.append(offset, 1_000 + offset, b"key", value, [("name", b"told")])
    return bytes(builder.build())


def test_a_fetch_in_the_middle_of_a_batch_begins_where_it_asked():
    part = fetched(record_batch(b"a", b"b", b"c"), 1)
    assert [(r.offset, r.value) for r in _unpack(part, 10)] == [(1, b"b"), (2, b"c")]
    assert part.next_fetch_offset == 3


def test_a_damaged_batch_is_refused():
    data = bytearray(record_batch(b"a", b"b"))
    data[-1] ^= 1
    part = fetched(bytes(data), 0)
    with pytest.raises(CorruptRecordException, match="Invalid CRC"):
        _unpack(part, 10)
    assert part.next_fetch_offset == 0


def test_records_of_a_batch_know_where_they_lie():
    batch = Batch(Partition(TP, 1), _unpack(fetched(record_batch(b"a", b"b"), 0), 10))
    assert batch.next_offset == 2
    assert [
        (r.topic, r.partition, r.offset, r.timestamp, r.key, r.value, list(r.headers))
        for r in batch.records
    ] == [
        ("topic", 3, 0, 1_000, b"key", b"a", [("name", b"told")]),
        ("topic", 3, 1, 1_001, b"key", b"b", [("name", b"told")]),
    ]
