"""What a running demonstration is fed with: earlier events from ClickHouse, then the simulator."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

import msgspec

from pipeline.microbatch import Broker, partition_for
from pipeline.microbatch.producer import BatchProducer, Outgoing
from pipeline.simulator import Disorder, DisorderConfig, Simulator, SimulatorConfig
from pipeline.stages.intake import ACCEPTED
from schemas.topics import INTERACTIONS, raw_topic

STEP_SECONDS = 0.1
_CHUNK = 500


class Feeder:
    """Writes events to the log of ``broker``."""

    def __init__(self, broker: Broker) -> None:
        self._producer = BatchProducer(broker, None, "feed")
        self.sent = 0

    async def start(self) -> None:
        """Connect."""
        await self._producer.start()

    async def close(self) -> None:
        """Disconnect."""
        await self._producer.close()

    async def again(self, events: AsyncIterator[tuple[str, str, int]]) -> int:
        """Feed accepted events again, given as (key, JSON, accepted ms); how many there were."""
        count = await self._producer.partitions(INTERACTIONS)
        total = 0
        chunk: list[Outgoing] = []
        async for key, body, accepted_ms in events:
            number = partition_for(key.encode(), count)
            chunk.append(
                Outgoing(INTERACTIONS, number, key.encode(), body.encode(), accepted_ms, ACCEPTED)
            )
            total += 1
            if len(chunk) >= _CHUNK:
                await self._producer.send(chunk)
                chunk = []
        if chunk:
            await self._producer.send(chunk)
        return total

    async def send(self, events: Iterable[dict[str, Any]]) -> None:
        """Write unified events to the raw topic of their platform, as a producer outside would."""
        topic = raw_topic("interactions")
        count = await self._producer.partitions(topic)
        now_ms = time.time_ns() // 1_000_000
        for chunk in _chunks(events, _CHUNK):
            await self._producer.send(
                Outgoing(
                    topic,
                    partition_for(event["interaction_id"].encode(), count),
                    event["interaction_id"].encode(),
                    msgspec.json.encode(event),
                    now_ms,
                )
                for event in chunk
            )
            self.sent += len(chunk)

    async def simulate(self, config: SimulatorConfig, disorder: DisorderConfig) -> None:
        """Simulate a center on the wall clock, until cancelled. Every run has its own ids."""
        seed = secrets.randbits(32)
        start_ms = time.time_ns() // 1_000_000
        center = Simulator(config, seed, start_ms, f"{start_ms:x}")
        shuffled = Disorder(disorder, seed)
        while True:
            now_ms = time.time_ns() // 1_000_000
            for event in center.generate(now_ms):
                shuffled.put(event)
            await self.send(list(shuffled.arrived(now_ms)))
            await asyncio.sleep(STEP_SECONDS)


def _chunks(events: Iterable[dict[str, Any]], size: int) -> Iterable[list[dict[str, Any]]]:
    iterator = iter(events)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk
