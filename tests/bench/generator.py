"""Writes the events of the work into Kafka, before any clock starts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.bench.work import CHANNELS, FORMS, PARTITIONS, QUEUES, SEED, START_MS, Sums

_FLUSH_EVERY = 20_000


class Written(NamedTuple):
    """What was written to each topic."""

    sums: Sums
    mean_bytes: float


class _Event(NamedTuple):
    queue_key: str
    customer: str
    value: bytes
    milliseconds: int
    answer: int


def _events(count: int) -> Iterator[_Event]:
    """``count`` events; half as many customers exist, so that about 43 % of events are repeats."""
    rng = random.Random(SEED)  # noqa: S311 - a benchmark, no secret
    below, customers = rng.random, max(count // 2, 1)
    for number in range(count):
        queue, channel = QUEUES[int(below() * 20)], CHANNELS[int(below() * 7)]
        customer = f"cust-{int(below() * customers):07d}"
        digits = f"{rng.getrandbits(128):032x}"
        uuid = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
        talk, hold, wrap = (int(below() * limit) for limit in (600_000, 60_000, 90_000))
        answer = int(below() * 5) + 1 if below() < 0.4 else 0
        value = (
            f'{{"event_id": "{uuid}", "type": "completed", '
            f'"interaction_id": "int-{rng.getrandbits(64):016x}", "customer_id": "{customer}", '
            f'"queue": "{queue}", "channel": "{channel}", '
            f'"agent_kind": "{"bot" if below() < 0.5 else "human"}", '
            f'"agent_id": "agent-{int(below() * 5000):05d}", "ts": {START_MS + number}, '
            f'"talk_s": {talk / 1000}, "hold_s": {hold / 1000}, "acw_s": {wrap / 1000}, '
            f'"csat": {answer or "null"}}}'
        ).encode()
        yield _Event(f"{queue}|{channel}", customer, value, talk + hold + wrap, answer)


def fill(bootstrap: str, count: int) -> Written:
    """Make the topics of all forms and write the same ``count`` events to each."""
    topics = [NewTopic(form.topic, form.partitions, 1) for form in FORMS.values()]
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 3})
    for made in admin.create_topics(topics).values():
        made.result()
    producer = Producer(
        {"bootstrap.servers": bootstrap, "linger.ms": 20, "batch.size": 1_000_000, "log_level": 3}
    )
    total_bytes = milliseconds = answers = answered = 0
    for number, event in enumerate(_events(count)):
        for form in ("few", "spread"):
            producer.produce(FORMS[form].topic, event.value, event.queue_key)
        producer.produce(FORMS["many"].topic, event.value, event.customer)
        total_bytes += len(event.value)
        milliseconds += event.milliseconds
        answers += event.answer > 0
        answered += event.answer
        if number % _FLUSH_EVERY == 0:
            producer.flush()
    producer.flush()
    return Written(Sums(count, milliseconds / 1000, answers, answered), total_bytes / count)


def fill_changelog(bootstrap: str, topic: str, keys: int) -> None:
    """Make a compacted topic that holds ``keys`` aggregates of customers."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 3})
    compacted = NewTopic(topic, PARTITIONS, 1, config={"cleanup.policy": "compact"})
    admin.create_topics([compacted])[topic].result()
    producer = Producer(
        {"bootstrap.servers": bootstrap, "linger.ms": 20, "batch.size": 1_000_000, "log_level": 3}
    )
    for number in range(keys):
        producer.produce(topic, f"[2,{number % 9999}.5,1,4]", f"cust-{number:07d}|20605")
        if number % _FLUSH_EVERY == 0:
            producer.flush()
    producer.flush()
