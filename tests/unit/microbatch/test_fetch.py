from __future__ import annotations

import pytest
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from pipeline.microbatch.batch import Batch
from pipeline.microbatch.fetch import NOT_UNPACKED_HEADER, _unpack
from pipeline.microbatch.inflate import MAX_INFLATED_BYTES
from pipeline.microbatch.partition import Partition
from pipeline.stages import wire

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


NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)


def record_batch(*values: bytes, codec: int = NONE) -> bytes:
    """One record batch with offsets from 0."""
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, 0, 10**9)
    for offset, value in enumerate(values):
        builder.append(offset, 1_000 + offset, b"key", value, [("name", b"told")])
    return bytes(builder.build())


def test_a_fetch_in_the_middle_of_a_batch_begins_where_it_asked():
    part = fetched(record_batch(b"a", b"b", b"c"), 1)
    assert [(r.offset, r.value) for r in _unpack(part, 10)[0]] == [(1, b"b"), (2, b"c")]
    assert part.next_fetch_offset == 3


def test_a_damaged_batch_is_refused():
    data = bytearray(record_batch(b"a", b"b"))
    data[-1] ^= 1
    part = fetched(bytes(data), 0)
    with pytest.raises(CorruptRecordException, match="Invalid CRC"):
        _unpack(part, 10)
    assert part.next_fetch_offset == 0


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD])
def test_whatever_a_producer_compresses_with_is_read(codec: int):
    values = [b"a" * 70_000, b"b", b"c" * 1_000_000]
    records, full = _unpack(fetched(record_batch(*values, codec=codec), 0), 10)
    assert [r.value for r in records] == values
    assert not full


@pytest.mark.parametrize("codec", [GZIP, LZ4, ZSTD])
def test_a_batch_that_inflates_too_much_is_never_unpacked(codec: int):
    bomb = record_batch(b"a", bytes(MAX_INFLATED_BYTES), b"c", codec=codec)
    assert len(bomb) < MAX_INFLATED_BYTES / 100
    part = fetched(bomb + record_batch(b"next"), 0)
    (stand_in,), _ = _unpack(part, 1)
    assert (stand_in.offset, stand_in.value) == (2, None)
    assert list(stand_in.headers) == [(NOT_UNPACKED_HEADER, b"3")]
    assert part.next_fetch_offset == 3


def test_what_is_unpacked_at_once_is_bounded():
    large = record_batch(bytes(MAX_INFLATED_BYTES // 2 + 1), codec=GZIP)
    # A batch begins with its first offset, which no checksum covers.
    part = fetched(b"".join(offset.to_bytes(8, "big") + large[8:] for offset in range(3)), 0)
    records, full = _unpack(part, 10)
    assert (len(records), full) == (2, True)


def test_stages_and_fetches_mean_the_same_header():
    assert wire.NOT_UNPACKED_HEADER == NOT_UNPACKED_HEADER


def test_records_of_a_batch_know_where_they_lie():
    batch = Batch(Partition(TP, 1), _unpack(fetched(record_batch(b"a", b"b"), 0), 10)[0])
    assert batch.next_offset == 2
    assert [
        (r.topic, r.partition, r.offset, r.timestamp, r.key, r.value, list(r.headers))
        for r in batch.records
    ] == [
        ("topic", 3, 0, 1_000, b"key", b"a", [("name", b"told")]),
        ("topic", 3, 1, 1_001, b"key", b"b", [("name", b"told")]),
    ]
