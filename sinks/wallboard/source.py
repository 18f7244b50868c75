"""Committed values and clocks out of Kafka, of all partitions, whichever worker owns them."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from pipeline.microbatch import Broker
from schemas.topics import CLOCKS, KPIS
from schemas.values import ExhibitValue, decode_clock, decode_value

_POLL_MS: Final = 200
_MAX_RECORDS: Final = 5_000


class Shown(Protocol):
    """What takes values and clocks."""

    def show(self, partition: int, values: dict[bytes, ExhibitValue | None]) -> None:
        """Take over values of a partition by key; None where one is gone."""

    def tick(self, partition: int, clock_ms: int) -> None:
        """The values of a partition are as of ``clock_ms``."""


class KpiSource:
    """Reads ``cx.kpis`` and ``cx.clocks`` from their beginning, for ever, in no consumer group.

    ``async with KpiSource(broker) as source: await source.follow(board)``.
    """

    def __init__(self, broker: Broker) -> None:
        self._client: Any = AIOKafkaConsumer(
            bootstrap_servers=broker.bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed" if broker.transactional else "read_uncommitted",
            request_timeout_ms=broker.request_timeout_ms,
            **broker.security,
        )
        self._partitions: list[TopicPartition] = []

    async def __aenter__(self) -> KpiSource:
        await self._client.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.stop()

    async def partitions(self) -> int:
        """Number of partitions of ``cx.kpis``.

        Raises:
            RuntimeError: a topic is not there.
        """
        counts = {}
        for topic in (KPIS, CLOCKS):
            await self._client._client._wait_on_metadata(topic)
            counts[topic] = len(self._client.partitions_for_topic(topic) or ())
            if not counts[topic]:
                raise RuntimeError(f"no topic {topic}; make it with `cxstream topics apply`")
        self._partitions = [
            TopicPartition(topic, number) for topic, count in counts.items()
            for number in range(count)
        ]  # fmt: skip
        return counts[KPIS]

    async def follow(self, shown: Shown) -> None:
        """Show what is there, then what comes. Ends only by being cancelled, or by an error.

        Clocks that were there at the start tell nothing of now, so none is shown before all that
        was there is read.

        Raises:
            aiokafka.errors.KafkaError: Kafka refuses.
        """
        self._client.assign(self._partitions)
        await self._client.seek_to_beginning()
        ends = await self._client.end_offsets(self._partitions)
        old: dict[int, int] = {}
        while ends:
            _take_values(await self._poll(), shown, old)
            for tp in [*ends]:
                if await self._client.position(tp) >= ends[tp]:
                    del ends[tp]
        while True:
            clocks: dict[int, int] = {}
            _take_values(await self._poll(), shown, clocks)
            for partition, clock_ms in clocks.items():
                shown.tick(partition, clock_ms)

    async def _poll(self) -> dict[TopicPartition, Any]:
        found = await self._client.getmany(timeout_ms=_POLL_MS, max_records=_MAX_RECORDS)
        # Reading a long log must not keep pages waiting for their frames.
        await asyncio.sleep(0)
        return dict(found)


def _take_values(found: dict[TopicPartition, Any], shown: Shown, clocks: dict[int, int]) -> None:
    for tp, records in found.items():
        if tp.topic == KPIS:
            values = {
                record.key: None if record.value is None else decode_value(record.value)
                for record in records
            }
            shown.show(tp.partition, values)
        else:
            moment = datetime.fromisoformat(decode_clock(records[-1].value).as_of)
            clocks[tp.partition] = round(moment.timestamp() * 1000)
