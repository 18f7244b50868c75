"""Reading a partition of a compacted log in bulk, from its beginning to a known end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from aiokafka.structs import TopicPartition

from pipeline.microbatch.batch import LogRecord
from pipeline.microbatch.broker import Broker
from pipeline.microbatch.fetch import BulkConsumer

_POLL_MS = 200
_ENOUGH_RECORDS = 10_000


async def partition_count(broker: Broker, topic: str) -> int:
    """Number of partitions of ``topic``. Raises ``KafkaError``."""
    client: Any = BulkConsumer(bootstrap_servers=broker.bootstrap, **broker.security)
    await client.start()
    try:
        await client._client._wait_on_metadata(topic)
        return len(client.partitions_for_topic(topic) or ())
    finally:
        await client.stop()


class NotInLogError(Exception):
    """The log does not reach to where reading was to begin, or lost what lies there."""


async def read_log(
    broker: Broker, topic: str, partition: int, until: int | None = None, begin: int = 0
) -> AsyncIterator[list[LogRecord]]:
    """Yield committed records of ``topic[partition]`` in order, from ``begin`` up to ``until``.

    Without ``until`` the end is where the log ends when reading begins.

    Raises:
        KafkaError: the broker does not give them.
        NotInLogError: ``begin`` is not 0 and not in the log.
    """
    tp = TopicPartition(topic, partition)
    client: Any = BulkConsumer(
        bootstrap_servers=broker.bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed" if broker.transactional else "read_uncommitted",
        max_partition_fetch_bytes=8 * 1024 * 1024,
        fetch_max_bytes=32 * 1024 * 1024,
        request_timeout_ms=broker.request_timeout_ms,
        **broker.security,
    )
    await client.start()
    try:
        client.assign([tp])
        end = until if until is not None else (await client.end_offsets([tp]))[tp]
        first = (await client.beginning_offsets([tp]))[tp]
        if begin and not first <= begin <= end:
            raise NotInLogError(f"{topic}[{partition}] goes from {first} to {end}, not by {begin}")
        position = max(first, begin)
        client.seek(tp, position)
        while position < end:
            found = await client.fetched((tp,), _POLL_MS, _ENOUGH_RECORDS)
            records = found.get(tp, [])
            if records and records[-1].offset >= end:
                records = [record for record in records if record.offset < end]
            if records:
                yield records
            # Transaction markers and compacted records move the position without giving records.
            position = await client.position(tp)
    finally:
        await client.stop()
