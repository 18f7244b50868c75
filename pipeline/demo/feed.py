"""What a running demonstration is fed with: earlier events from ClickHouse, then the simulator."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any, NamedTuple

import msgspec

from pipeline.microbatch import Broker, partition_for
from pipeline.microbatch.producer import BatchProducer, Outgoing
from pipeline.simulator import Disorder, DisorderConfig, Simulator, SimulatorConfig
from pipeline.simulator.simulator import SOURCE
from pipeline.stages.intake import ACCEPTED
from pipeline.stages.wire import (
    CONTROL_HEADER,
    GENERATION,
    RESTART,
    Generation,
    Restart,
    encode_generation,
    encode_restart,
    written_again,
)
from schemas.topics import INTERACTIONS, raw_topic
from schemas.values import rfc3339

STEP_SECONDS = 0.1
_CHUNK = 500


class PerformerLeft(NamedTuple):
    """A performer who was never signed off, in one queue."""

    performer_id: str
    queue: str
    channel: str


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

    async def begin(self, generation: int) -> None:
        """Let a new log begin: which generation it is stands first in every partition."""
        value = encode_generation(Generation(generation))
        await self._to_all(value, GENERATION, time.time_ns() // 1_000_000)

    async def restarts(self, told: Iterable[tuple[str, int]]) -> None:
        """Tell again when platforms began anew, given as (source, at ms)."""
        for source, at_ms in told:
            await self.restart(source, at_ms)

    async def again(self, events: AsyncIterator[tuple[str, str, int]]) -> int:
        """Feed accepted events again, given as (key, JSON, accepted ms); how many there were."""
        count = await self._producer.partitions(INTERACTIONS)
        total = 0
        chunk: list[Outgoing] = []
        async for key, body, accepted_ms in events:
            number = partition_for(key.encode(), count)
            headers = (*ACCEPTED, *written_again(accepted_ms))
            chunk.append(
                Outgoing(INTERACTIONS, number, key.encode(), body.encode(), accepted_ms, headers)
            )
            total += 1
            if len(chunk) >= _CHUNK:
                await self._producer.send(chunk)
                chunk = []
        if chunk:
            await self._producer.send(chunk)
        return total

    async def close_left(self, states: Iterable[PerformerLeft]) -> None:
        """Close what a simulator that is no more left open: its contacts, and its performers.

        Nobody would end them otherwise, and the longest wait would be that of a contact of the
        last run.
        """
        now_ms = time.time_ns() // 1_000_000
        await self.restart(SOURCE, now_ms)
        await self.send(_went_offline(state, now_ms) for state in states)

    async def restart(self, source: str, at_ms: int) -> None:
        """Tell every partition that a platform began anew: what was open there has ended."""
        await self._to_all(encode_restart(Restart(source, at_ms)), RESTART, at_ms)

    async def _to_all(self, value: bytes, control: bytes, at_ms: int) -> None:
        headers = ((CONTROL_HEADER, control),)
        await self._producer.send(
            Outgoing(INTERACTIONS, number, None, value, at_ms, headers)
            for number in range(await self._producer.partitions(INTERACTIONS))
        )

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


def _went_offline(left: PerformerLeft, now_ms: int) -> dict[str, Any]:
    return {
        "event_id": f"left-{now_ms:x}-{left.performer_id}-{left.queue}",
        "kind": "performer_state",
        "source": SOURCE,
        "occurred_at": rfc3339(now_ms),
        "interaction_id": f"performer:{left.performer_id}",
        "performer_kind": "human",
        "performer_id": left.performer_id,
        "queue": left.queue,
        "channel": left.channel,
        "state": "offline",
    }


def _chunks(events: Iterable[dict[str, Any]], size: int) -> Iterable[list[dict[str, Any]]]:
    iterator = iter(events)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk
