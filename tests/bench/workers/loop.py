"""The yardstick: a plain loop on librdkafka, the leanest way to do the work in Python.

Its output, sent before the offsets are committed, could serve as changelog; but nothing restores
from it, a rebalance loses what it holds, and a crash sends outputs twice. A ceiling, no product.
"""

from __future__ import annotations

import time

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.bench.work import Aggregate, Task, decode_event, say_first, say_last

_COMMIT_SECONDS = 1.0
_MESSAGES = 10_000


def main() -> None:
    """Do the task of the environment."""
    task = Task.of_environment()
    consumer = Consumer({
        "bootstrap.servers": task.bootstrap,
        "group.id": task.group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "fetch.queue.backoff.ms": 5,  # with the default of 1,000 a quick consumer starves
    })  # fmt: skip
    producer = Producer({
        "bootstrap.servers": task.bootstrap,
        "linger.ms": 20,
        "queue.buffering.max.messages": 2_000_000,
    })  # fmt: skip
    aggregates: dict[tuple[object, ...], Aggregate] = {}
    changed: set[tuple[object, ...]] = set()
    offsets: dict[int, int] = {}

    def commit() -> None:
        for key in changed:
            producer.produce(
                task.output, msgspec.json.encode(aggregates[key]), "|".join(map(str, key))
            )
        changed.clear()
        producer.flush()
        positions = [TopicPartition(task.topic, n, offset + 1) for n, offset in offsets.items()]
        consumer.commit(offsets=positions, asynchronous=False)

    consumer.subscribe([task.topic])
    seen = 0
    committed_at = 0.0
    while seen < task.events:
        messages = consumer.consume(_MESSAGES, 0.2)
        if not messages:
            continue
        if not seen:
            say_first()
            committed_at = time.monotonic()
        for event in [decode_event(message.value()) for message in messages]:
            changed.add(task.fold(event, aggregates))
        for message in messages:
            offsets[message.partition()] = message.offset()
        seen += len(messages)
        if time.monotonic() - committed_at >= _COMMIT_SECONDS:
            commit()
            committed_at = time.monotonic()
    commit()
    say_last(seen)
    consumer.close()


if __name__ == "__main__":
    main()
