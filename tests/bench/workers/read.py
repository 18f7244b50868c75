"""Reading alone: every value of a topic is looked at, nothing is done with it.

The argument names the reader: ``librdkafka``, ``getmany`` of aiokafka, or ``layer``, the bulk
consumer that the layer reads with.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable

import aiokafka
import confluent_kafka

from pipeline.microbatch.fetch import BulkConsumer
from pipeline.microbatch.garbage import tune_garbage_collection
from tests.bench.work import PARTITIONS, Task, say_first, say_last

_RECORDS = 10_000
_FETCH_BYTES = 2 * 1024 * 1024


class Count:
    """Records seen, as the harness is to be told."""

    def __init__(self, events: int) -> None:
        self.seen = 0
        self._events = events

    def add(self, values: Iterable[bytes]) -> bool:
        """Count one batch; whether that was all."""
        if not self.seen:
            say_first()
        self.seen += sum(1 for _ in values)
        if self.seen < self._events:
            return False
        say_last(self.seen)
        return True


def librdkafka(task: Task) -> None:
    """The plain loop's consumer; it checks no checksums, as is its default."""
    consumer = confluent_kafka.Consumer({
        "bootstrap.servers": task.bootstrap, "group.id": task.group, "enable.auto.commit": False,
        "enable.auto.offset.store": False, "fetch.queue.backoff.ms": 5,
    })  # fmt: skip
    partitions = [confluent_kafka.TopicPartition(task.topic, n, 0) for n in range(PARTITIONS)]
    consumer.assign(partitions)
    count = Count(task.events)
    while True:
        messages = consumer.consume(_RECORDS, 0.2)
        if messages and count.add(message.value() for message in messages):
            return


async def from_aiokafka(task: Task, *, bulk: bool) -> None:
    """Aiokafka, by its own ``getmany`` or in bulk."""
    consumer = (BulkConsumer if bulk else aiokafka.AIOKafkaConsumer)(
        bootstrap_servers=task.bootstrap,
        enable_auto_commit=False,
        isolation_level="read_committed",
        max_partition_fetch_bytes=_FETCH_BYTES,
    )
    await consumer.start()
    partitions = [aiokafka.TopicPartition(task.topic, n) for n in range(PARTITIONS)]
    consumer.assign(partitions)
    for tp in partitions:
        consumer.seek(tp, 0)
    count = Count(task.events)
    done = False
    while not done:
        if bulk:
            found = await consumer.fetched(partitions, 200, _RECORDS)
        else:
            found = await consumer.getmany(timeout_ms=200, max_records=_RECORDS)
        for records in found.values():
            done = count.add(record.value for record in records)
    await consumer.stop()


if __name__ == "__main__":
    tune_garbage_collection()
    if sys.argv[1] == "librdkafka":
        librdkafka(Task.of_environment())
    else:
        asyncio.run(from_aiokafka(Task.of_environment(), bulk=sys.argv[1] == "layer"))
