"""Sending whole batches, inside a transaction where the broker has them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from pipeline.microbatch.broker import Broker

log = structlog.get_logger(__name__)

_CLOSE_SECONDS = 1.0
# Below the 1 MiB a broker takes by default, large enough that a checkpoint is a few requests.
_MAX_BATCH_BYTES = 512 * 1024
_NO_HEADERS: list[tuple[str, bytes]] = []


Headers = Sequence[tuple[str, bytes]]


class Outgoing(NamedTuple):
    """One record to be sent. ``timestamp_ms`` is the record's own Kafka time."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: Headers = ()


_OutgoingFields = tuple[str, int, bytes | None, bytes | None, int, Headers]


class BatchProducer:
    """An idempotent producer with acks=all; transactional if it was given an id.

    Any failure to send is final for the checkpoint: the caller throws this producer away and starts
    a new one under the same id, which aborts what the old one left open and fences it.
    """

    def __init__(self, broker: Broker, transactional_id: str | None, writer: str = "") -> None:
        self.transactional_id = transactional_id
        self._writer = writer
        self._pacer = broker.pacer
        options: dict[str, Any] = {}
        if transactional_id is not None:
            options["transactional_id"] = transactional_id
            options["transaction_timeout_ms"] = broker.transaction_timeout_ms
        self._client = AIOKafkaProducer(
            bootstrap_servers=broker.bootstrap,
            enable_idempotence=True,
            acks="all",
            linger_ms=0,
            max_batch_size=_MAX_BATCH_BYTES,
            request_timeout_ms=broker.request_timeout_ms,
            **options,
            **broker.security,
        )

    async def start(self) -> None:
        """Connect; with an id, abort what an earlier holder left open and fence it."""
        await self._client.start()
        if self.transactional_id is not None:
            # The producer id is otherwise fetched at the first transaction: fencing must come now,
            # before the committed offset and the state are read.
            await self._client._txn_manager.wait_for_pid()

    async def partitions(self, topic: str) -> int:
        """Number of partitions of ``topic``. Raises ``KafkaError`` when it does not exist."""
        return len(await self._client.partitions_for(topic))

    async def begin(self) -> None:
        """Open a transaction; nothing without an id."""
        if self.transactional_id is not None:
            await self._client.begin_transaction()

    async def send(self, records: Iterable[Outgoing]) -> None:
        """Send ``records`` and return when all are acknowledged; order holds per partition."""
        by_partition: defaultdict[tuple[str, int], list[Outgoing]] = defaultdict(list)
        for record in records:
            by_partition[record.topic, record.partition].append(record)
        await asyncio.gather(
            *(self._send_partition(topic, n, part) for (topic, n), part in by_partition.items())
        )

    async def send_changes(
        self,
        topic: str,
        partition: int,
        changes: Mapping[bytes, bytes | None],
        timestamp_ms: int,
        tombstone_headers: Mapping[bytes, Headers],
    ) -> int | None:
        """Send changes of a state to its changelog, as :meth:`send`; a None deletes the key.

        Returns:
            The offset behind the last record; None if nothing was sent, or the broker did not say.
        """
        if not changes:
            return None
        told = {key: h for key, h in tombstone_headers.items() if changes[key] is None}
        headers = map(told.get, changes, repeat(())) if told else repeat(())
        place = (repeat(topic), repeat(partition))
        fields = zip(*place, changes, changes.values(), repeat(timestamp_ms), headers, strict=False)
        return await self._send_partition(topic, partition, fields)

    async def _send_partition(
        self, topic: str, partition: int, records: Iterable[_OutgoingFields]
    ) -> int | None:
        """Send ``records``, of which there is at least one, in as few requests as they fit in.

        Returns:
            The offset behind the last of them; None if the broker did not say.
        """
        futures = []
        batch = self._client.create_batch()
        for _, _, key, value, time_ms, headers in records:
            told = list(headers) if headers else _NO_HEADERS
            if batch.append(timestamp=time_ms, key=key, value=value, headers=told) is None:
                futures.append(await self._send_batch(batch, topic, partition))
                batch = self._client.create_batch()
                batch.append(timestamp=time_ms, key=key, value=value, headers=told)
        futures.append(await self._send_batch(batch, topic, partition))
        *_, last = await asyncio.gather(*futures)
        # A batch that was sent twice has no offset in the second answer.
        return last.offset + batch.record_count() if last.offset >= 0 else None

    async def _send_batch(self, batch: Any, topic: str, partition: int) -> Any:
        if self._pacer is None:
            return await self._client.send_batch(batch, topic, partition=partition)
        await self._pacer.room(topic, partition, self._writer)
        records, size = batch.record_count(), batch.size()
        sent = await self._client.send_batch(batch, topic, partition=partition)
        metadata = await sent
        self._pacer.wrote(topic, partition, metadata.offset + records, records, size)
        return sent

    async def commit(self, group: str, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """Add ``offsets`` of ``group`` to the transaction and commit it."""
        if offsets:
            await self._client.send_offsets_to_transaction(offsets, group)
        await self._client.commit_transaction()

    async def close(self) -> None:
        """Close the connection. An open transaction is left to the next holder of the id.

        Batches that cannot be delivered any more, such as those of a fenced producer, do not hold
        this up: a rebalance waits for it.
        """
        try:
            await asyncio.wait_for(self._client.stop(), _CLOSE_SECONDS)
        except TimeoutError:
            log.warning("producer_closed_hard", transactional_id=self.transactional_id)
            await self._client._sender.close()
            await self._client.client.close()
