"""Exhibits of a running installation: which are in force, and changes to them through the log."""

from __future__ import annotations

import time
from collections.abc import Iterable

from pipeline.microbatch import Broker
from pipeline.microbatch.producer import BatchProducer, Outgoing
from pipeline.microbatch.restore import partition_count, read_log
from pipeline.stages.configuration import (
    Configuration,
    ExhibitChange,
    decode_configuration,
    encode_change,
)
from pipeline.stages.wire import CONTROL_HEADER, EXHIBIT
from schemas.topics import EXHIBITS, INTERACTIONS

_WRITER = "cxstream-exhibits"


async def in_force(broker: Broker) -> dict[str, Configuration]:
    """What each partition of ``cx.interactions`` counts for, by source. Raises ``KafkaError``."""
    found: dict[str, Configuration] = {}
    for number in range(await partition_count(broker, EXHIBITS)):
        async for records in read_log(broker, EXHIBITS, number):
            for record in records:
                if record.key is not None and record.value is not None:
                    found[record.key.decode()] = decode_configuration(record.value)
    return found


async def announce(broker: Broker, changes: Iterable[ExhibitChange]) -> None:
    """Write changes into every partition of ``cx.interactions``; all or none, with transactions.

    Raises:
        ConfigurationError: a change cannot be where some partition stands; nothing was written.
        KafkaError: the cluster cannot be reached.
    """
    changes = list(changes)
    for configuration in (await in_force(broker)).values():
        for change in changes:
            configuration.apply(change)
    producer = BatchProducer(broker, _WRITER if broker.transactional else None)
    await producer.start()
    try:
        count = await producer.partitions(INTERACTIONS)
        now_ms = time.time_ns() // 1_000_000
        await producer.begin()
        await producer.send(
            Outgoing(
                INTERACTIONS,
                number,
                None,
                encode_change(change),
                now_ms,
                ((CONTROL_HEADER, EXHIBIT),),
            )
            for number in range(count)
            for change in changes
        )
        if broker.transactional:
            await producer.commit("", {})
    finally:
        await producer.close()
