"""What the wallboard reads of the log, of all partitions, whichever worker owns them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Protocol, Self

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from pipeline.microbatch import Broker
from pipeline.stages.configuration import Configuration, decode_configuration
from schemas import topics
from schemas.sources import SourceHeard, decode_heard
from schemas.topics import CLOCKS, EXHIBITS, KPIS, SOURCES
from schemas.values import ExhibitValue, decode_clock, decode_value

VALUES: Final = (KPIS, CLOCKS)
"""Committed values and what they are as of; in the process of the workers the stage tells both."""

STANDING: Final = (EXHIBITS, SOURCES)
"""Which exhibits are in force, and when sources were heard."""

_POLL_MS: Final = 200
_MAX_RECORDS: Final = 5_000


class Told(Protocol):
    """What takes all that is read."""

    def show(self, partition: int, values: dict[bytes, ExhibitValue | None]) -> None:
        """Take over values of a partition by key; None where one is gone."""

    def tick(self, partition: int, clock_ms: int) -> None:
        """The values of a partition are as of ``clock_ms``."""

    def configure(self, source: str, configuration: Configuration) -> None:
        """A source says which exhibits it counts for."""

    def heard(self, heard: SourceHeard) -> None:
        """A source of events was heard."""


class LogSource:
    """Reads compacted topics from their beginning, for ever, in no consumer group.

    ``async with LogSource(broker, (*STANDING, *VALUES)) as source: await source.follow(board)``.
    """

    def __init__(self, broker: Broker, topics: Sequence[str]) -> None:
        self._topics = topics
        self._client: Any = AIOKafkaConsumer(
            bootstrap_servers=broker.bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed" if broker.transactional else "read_uncommitted",
            request_timeout_ms=broker.request_timeout_ms,
            **broker.security,
        )

    async def __aenter__(self) -> Self:
        await self._client.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.stop()

    async def partitions(self, topic: str) -> int:
        """Number of partitions of ``topic``.

        Raises:
            RuntimeError: the topic is not there.
        """
        await self._client._client._wait_on_metadata(topic)
        count = len(self._client.partitions_for_topic(topic) or ())
        if not count:
            raise RuntimeError(f"no topic {topic}; make it with `cxstream topics apply`")
        return count

    async def follow(self, told: Told) -> None:
        """Tell what is there, then what comes. Ends only by being cancelled, or by an error.

        Clocks that were there at the start tell nothing of now, so none is told before all that
        was there is read.

        Raises:
            RuntimeError: a topic is not there.
            aiokafka.errors.KafkaError: Kafka refuses.
        """
        partitions = [
            TopicPartition(topic, number)
            for topic in self._topics
            for number in range(await self.partitions(topic))
        ]
        self._client.assign(partitions)
        await self._client.seek_to_beginning()
        ends = await self._client.end_offsets(partitions)
        old: dict[int, int] = {}
        while ends:
            _tell(await self._poll(), told, old)
            for tp in [*ends]:
                if await self._client.position(tp) >= ends[tp]:
                    del ends[tp]
        while True:
            clocks: dict[int, int] = {}
            _tell(await self._poll(), told, clocks)
            for partition, clock_ms in clocks.items():
                told.tick(partition, clock_ms)

    async def _poll(self) -> dict[TopicPartition, Any]:
        found = await self._client.getmany(timeout_ms=_POLL_MS, max_records=_MAX_RECORDS)
        # Reading a long log must not keep pages waiting for their frames.
        await asyncio.sleep(0)
        return dict(found)


def _tell(found: dict[TopicPartition, Any], told: Told, clocks: dict[int, int]) -> None:
    for tp, records in found.items():
        match tp.topic:
            case topics.KPIS:
                values = {
                    record.key: None if record.value is None else decode_value(record.value)
                    for record in records
                }
                told.show(tp.partition, values)
            case topics.CLOCKS:
                moment = datetime.fromisoformat(decode_clock(records[-1].value).as_of)
                clocks[tp.partition] = round(moment.timestamp() * 1000)
            case topics.EXHIBITS:
                for record in records:
                    told.configure(record.key.decode(), decode_configuration(record.value))
            case topics.SOURCES:
                for record in records:
                    told.heard(decode_heard(record.value))
