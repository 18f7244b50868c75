"""aiokafka's consumer, reading whole record batches.

``AIOKafkaConsumer.getmany`` steps through a generator and makes a wide object of every record,
which costs more than to parse it. Here a record batch is unpacked in one call of aiokafka's C
parser, and its records are what agents see. Checksums, aborted transactions, control batches and
positions are treated as aiokafka does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import FetchError
from aiokafka.errors import ConsumerStoppedError, CorruptRecordException
from aiokafka.structs import TopicPartition

from pipeline.microbatch.batch import LogRecord
from pipeline.microbatch.inflate import (
    MAX_INFLATED_BYTES,
    InflatesTooMuchError,
    bound_decompression,
)

_READ_COMMITTED = 1
NOT_UNPACKED_HEADER: Final = "cx-not-unpacked"
"""Stands on the one record that takes the place of a batch that inflates too much; its value says
of how many records."""

bound_decompression()


class StandIn(msgspec.Struct, frozen=True, gc=False):
    """Takes the place of the records of a batch that is not unpacked."""

    offset: int
    timestamp: int
    headers: Sequence[tuple[str, bytes]]
    key: bytes | None = None
    value: bytes | None = None


class BulkConsumer(AIOKafkaConsumer):  # type: ignore[misc]
    """An ``AIOKafkaConsumer`` with :meth:`fetched` in place of ``getmany``."""

    async def fetched(
        self, partitions: Collection[TopicPartition], timeout_ms: int, enough: int
    ) -> dict[TopicPartition, list[LogRecord]]:
        """Records of ``partitions`` that were fetched, as soon as there are any.

        The read position of a partition moves behind its last record batch that was unpacked, even
        where that has no record to be seen. Once a partition has given ``enough`` records, no
        further record batch of it is unpacked; once all together have, no further partition.
        Raises ``KafkaError``.
        """
        if self._closed:
            raise ConsumerStoppedError
        self._coordinator.check_errors()
        ends_at = time.monotonic() + timeout_ms / 1000
        with self._subscription.fetch_context():
            while True:
                if self._subscription.reassignment_in_progress:
                    await self._subscription.wait_for_assignment()
                found = self._take(partitions, enough)
                left_seconds = ends_at - time.monotonic()
                if found or left_seconds <= 0:
                    return found
                waiter = self._fetcher._create_fetch_waiter()
                done, _ = await asyncio.wait((waiter,), timeout=left_seconds)
                if not done or self._closed:
                    waiter.cancel()
                    return {}
                waiter.result()  # raises what ended the group

    def _take(
        self, partitions: Collection[TopicPartition], enough: int
    ) -> dict[TopicPartition, list[LogRecord]]:
        """What lies ready, without waiting."""
        found: dict[TopicPartition, list[LogRecord]] = {}
        count = 0
        for tp, result in list(self._fetcher._records.items()):
            if tp not in partitions:
                if not self._subscription.is_assigned(tp):
                    self._forget(tp)
            elif isinstance(result, FetchError):
                if found:
                    break  # the next call raises it
                self._forget(tp)
                result.check_raise()
            elif not result.check_assignment(tp):
                self._forget(tp)
            else:
                records, full = self._unpack(tp, result, enough)
                if records:
                    found[tp] = records
                    count += len(records)
                if full or count >= enough:
                    break
        return found

    def _unpack(self, tp: TopicPartition, result: Any, enough: int) -> tuple[list[LogRecord], bool]:
        part = result._partition_records
        try:
            records, full = _unpack(part, enough)
        except CorruptRecordException:
            self._forget(tp)
            raise
        result._update_position()
        if not part._records.has_next():
            self._forget(tp)
        return records, full

    def _forget(self, tp: TopicPartition) -> None:
        """Drop what was fetched of ``tp``, so that the fetcher asks for more."""
        fetcher = self._fetcher
        del fetcher._records[tp]
        fetcher._notify(fetcher._wait_consume_future)


def _unpack(part: Any, enough: int) -> tuple[list[LogRecord], bool]:
    """Records of the next batches of aiokafka's ``PartitionRecords``, and its position behind them.

    Also whether so many bytes were inflated that no more should be unpacked at once.

    Raises:
        CorruptRecordException: a batch does not have the checksum it says.
    """
    part._records_iterator = None  # a cycle that would keep the fetched bytes in memory
    found: list[LogRecord] = []
    inflated = 0
    while part._records.has_next() and len(found) < enough and inflated < MAX_INFLATED_BYTES:
        batch = part._records.next_batch()
        if not batch.validate_crc():
            raise CorruptRecordException(f"Invalid CRC - {part._tp}")
        if not _is_hidden(part, batch):
            records = _records_of(batch)
            if batch.compression_type:
                inflated += sum(len(record.value or b"") for record in records)
            if records and records[0].offset < part.next_fetch_offset:
                # A fetch begins with the whole batch that holds the offset asked for.
                records = [r for r in records if r.offset >= part.next_fetch_offset]
            found += records
        part.next_fetch_offset = batch.next_offset
    return found, inflated >= MAX_INFLATED_BYTES


def _records_of(batch: Any) -> list[LogRecord]:
    """Records of a batch; one that stands for them all where they would be too large."""
    try:
        return list(batch)
    except InflatesTooMuchError:
        told = str(batch.last_offset_delta + 1).encode()
        last = batch.next_offset - 1
        return [StandIn(last, batch.max_timestamp, ((NOT_UNPACKED_HEADER, told),))]


def _is_hidden(part: Any, batch: Any) -> bool:
    """Whether ``batch`` is a marker, or of a transaction that was aborted."""
    if part._isolation_level == _READ_COMMITTED and batch.producer_id is not None:
        part._consume_aborted_up_to(batch.base_offset)
        if batch.is_control_batch and part._contains_abort_marker(batch):
            part._aborted_producers.discard(batch.producer_id)
        if batch.is_transactional and batch.producer_id in part._aborted_producers:
            return True
    return bool(batch.is_control_batch)
