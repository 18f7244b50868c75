"""Faust's consumer, rebuilt for batches: one fetch, one message a partition, own read positions.

Faust's accounting of single acknowledged offsets is not used: a checkpoint commits, and nothing
else does. What Faust gives is kept: subscription through its topics, rebalance calls into its
agents, its service life.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import aiokafka
import structlog
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import ConsumerStoppedError, KafkaError, OffsetOutOfRangeError
from aiokafka.structs import TopicPartition
from faust.transport.consumer import Consumer
from faust.types import TP
from mode import Service

from pipeline.microbatch.fetch import BulkConsumer
from pipeline.microbatch.partition import Status
from pipeline.microbatch.partitioner import partition_for
from pipeline.microbatch.position import Committed, read_note

log = structlog.get_logger(__name__)

# A partition that becomes fetchable meanwhile waits for the next poll, so polls are short.
_POLL_MS = 50
_ENOUGH_RECORDS = 10_000
# The group must not drop a worker that waits for a slow sink; progress is judged by commits.
_MAX_POLL_INTERVAL_MS = 24 * 3600 * 1000
_FETCH_MAX_WAIT_MS = 250
_TELL_SECONDS = 1.0


class _RebalanceListener(aiokafka.abc.ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, consumer: BatchConsumer) -> None:
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._consumer.rebalance_started(set(revoked))

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        await self._consumer.rebalance_finished(set(assigned))


class BatchConsumer(Consumer):  # type: ignore[misc]
    """Consumer of a :class:`~pipeline.microbatch.app.BatchApp`."""

    consumer_stopped_errors: ClassVar[tuple[type[BaseException], ...]] = (ConsumerStoppedError,)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._client: Any = None
        self._wake = asyncio.Event()
        self._rebalanced = asyncio.Event()
        self._reading = asyncio.Event()
        self._told_at = 0.0

    async def on_start(self) -> None:
        """Join the group."""
        broker = self.app.broker
        self._client = BulkConsumer(
            bootstrap_servers=broker.bootstrap,
            client_id=self.app.conf.id,
            group_id=self.app.conf.id,
            partition_assignment_strategy=[StickyPartitionAssignor],
            enable_auto_commit=False,
            # A position that the log does not hold is told, and judged at restore.
            auto_offset_reset="none",
            isolation_level="read_committed" if broker.transactional else "read_uncommitted",
            session_timeout_ms=broker.session_timeout_ms,
            heartbeat_interval_ms=max(broker.session_timeout_ms // 5, 300),
            max_poll_interval_ms=_MAX_POLL_INTERVAL_MS,
            rebalance_timeout_ms=max(broker.session_timeout_ms, 10_000),
            request_timeout_ms=broker.request_timeout_ms,
            fetch_max_wait_ms=_FETCH_MAX_WAIT_MS,
            max_partition_fetch_bytes=2 * 1024 * 1024,
            metadata_max_age_ms=30_000,
            **broker.security,
        )
        await self._client.start()

    async def on_stop(self) -> None:
        """Finish what runs within the budget, then leave the group."""
        await self._close_stages()
        await self._client.stop()

    async def _close_stages(self) -> None:
        budget = self._revoke_budget_seconds()
        await asyncio.gather(*(stage.close(budget) for stage in self.app.stages))

    def _revoke_budget_seconds(self) -> float:
        # Long enough for a checkpoint, short enough that the group does not drop this member.
        return float(min(self.app.broker.session_timeout_ms / 3000, 5.0))

    # --- what the stages use ------------------------------------------------------------------

    async def committed(self, tp: TopicPartition) -> Committed:
        """What the group has committed."""
        found = await self._client._coordinator.fetch_committed_offsets([tp])
        return read_note(found[tp]) if tp in found else Committed(None)

    async def bounds(self, tp: TopicPartition) -> tuple[int, int]:
        """First offset of the log, and the one behind the last record that can be read."""
        first = (await self._client.beginning_offsets([tp]))[tp]
        return int(first), int((await self._client.end_offsets([tp]))[tp])

    async def commit_offset(self, tp: TopicPartition, offset: int, note: str) -> None:
        """Commit under the current generation, with a note on the state.

        Raises ``KafkaError`` when the generation is stale.
        """
        await self._client.commit({tp: (offset, note)})

    def seek(self, tp: TopicPartition, offset: int) -> None:
        """Read ``tp`` from ``offset`` next; what was fetched before is thrown away."""
        if tp in self._client.assignment():
            self._client.seek(tp, offset)
        self.wake()

    def wake(self) -> None:
        """Look for work again: a partition became ready."""
        self._wake.set()

    async def wait_for_rebalance(self, timeout_ms: int) -> None:
        """Return at the next rebalance, or after ``timeout_ms``."""
        self._rebalanced.clear()
        try:
            await asyncio.wait_for(self._rebalanced.wait(), timeout_ms / 1000)
        except TimeoutError:
            log.info("no_rebalance_seen", group=self.app.conf.id)

    # --- rebalance ----------------------------------------------------------------------------

    async def rebalance_started(self, revoked: set[TopicPartition]) -> None:
        """Stop reading and give the partitions up in order."""
        self._reading.clear()
        budget = self._revoke_budget_seconds()
        await asyncio.gather(*(stage.revoke(revoked, budget) for stage in self.app.stages))

    async def rebalance_finished(self, assigned: set[TopicPartition]) -> None:
        """Take the new assignment over."""
        generation = self._client._coordinator.generation
        self.app.consumer_generation_id = generation
        await self.app.rebalanced({TP(tp.topic, tp.partition) for tp in assigned})
        for stage in self.app.stages:
            stage.assign(assigned, generation)
        self._rebalanced.set()
        self._reading.set()
        self.wake()

    # --- fetching -----------------------------------------------------------------------------

    @Service.task
    async def _fetch(self) -> None:
        while not self.should_stop:
            await self._reading.wait()
            try:
                await self._fetch_once()
            except OffsetOutOfRangeError as error:
                await self._lost_position(error)
            except KafkaError as error:
                log.warning("fetch_failed", group=self.app.conf.id, error=repr(error))
                await self.sleep(0.5)

    async def _lost_position(self, error: OffsetOutOfRangeError) -> None:
        """Begin partitions anew whose log does not hold the position that was asked for."""
        for tp in error.args[0]:
            for stage in self.app.stages:
                await stage.lost_position(tp)

    async def _fetch_once(self) -> None:
        stages = self.app.stages
        self._tell_how_far()
        for stage in stages:
            await stage.wake_idle()
        owner = {p.tp: (stage, p) for stage in stages for p in stage.fetchable()}
        if not owner:
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), _POLL_MS / 1000)
            except TimeoutError:
                return
            return
        found = await self._client.fetched(owner.keys(), _POLL_MS, _ENOUGH_RECORDS)
        for tp, (stage, partition) in owner.items():
            if found.get(tp):
                await stage.deliver(partition, found[tp])
            elif tp in self._client.assignment():
                # Transaction markers at the end of a log would look like lag for ever.
                await stage.skip_to(partition, await self._client.position(tp))

    def _tell_how_far(self) -> None:
        """Say of each partition how many records are to be done, as far as fetches have shown."""
        now = time.monotonic()
        if now - self._told_at < _TELL_SECONDS:
            return
        self._told_at = now
        for stage in self.app.stages:
            for tp, partition in stage.partitions.items():
                end = self._readable_end(tp)
                if end is not None and partition.status is not Status.RESTORING:
                    behind = max(end - partition.next_offset, 0)
                    self.app.observer.behind(stage.name, tp.topic, tp.partition, behind)

    def _readable_end(self, tp: TopicPartition) -> int | None:
        """Offset behind the last record that can be read now; None before the first fetch."""
        if tp not in self._client.assignment():
            return None
        if self.app.broker.transactional:
            end = self._client.last_stable_offset(tp)
        else:
            end = self._client.highwater(tp)
        return None if end is None or end < 0 else int(end)

    # --- what Faust's consumer does and a checkpoint does instead -----------------------------

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Subscribe to the topics of the app's agents."""
        self._client.subscribe(topics=list(topics), listener=_RebalanceListener(self))

    @Service.task
    async def _commit_handler(self) -> None:
        return

    @Service.task
    async def _commit_livelock_detector(self) -> None:
        return

    async def commit(self, *_args: Any, **_kwargs: Any) -> bool:
        """Do nothing: only a checkpoint commits."""
        return False

    async def _commit(self, _offsets: Mapping[TP, int]) -> bool:
        return False

    def assignment(self) -> set[TP]:
        """Return the partitions this worker owns."""
        if self._client is None:
            return set()
        return {TP(tp.topic, tp.partition) for tp in self._client.assignment()}

    def highwater(self, tp: TP) -> int:
        """Offset behind the last record of ``tp``, 0 while unknown."""
        return int(self._client.highwater(TopicPartition(tp.topic, tp.partition)) or 0)

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Return no positions: the stages hold them."""
        return {}

    async def _seek(self, partition: TP, offset: int) -> None:
        self.seek(TopicPartition(partition.topic, partition.partition), offset)

    async def position(self, tp: TP) -> int | None:
        """Next offset to be fetched from ``tp``."""
        return int(await self._client.position(TopicPartition(tp.topic, tp.partition)))

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Seek several partitions."""
        for tp, offset in partitions.items():
            await self._seek(tp, offset)

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        """First offsets still held by the broker."""
        found: Mapping[TP, int] = await self._client.beginning_offsets(partitions)
        return found

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """Offsets behind the last records."""
        found: Mapping[TP, int] = await self._client.end_offsets(partitions)
        return found

    def topic_partitions(self, topic: str) -> int | None:
        """Return the number of partitions of ``topic``, None while unknown."""
        return len(self._client.partitions_for_topic(topic) or ()) or None

    def key_partition(
        self, topic: str, key: bytes | None, partition: int | None = None
    ) -> int | None:
        """Partition a record with ``key`` belongs to, None while the topic is unknown."""
        count = self.topic_partitions(topic)
        if partition is not None or count is None:
            return partition
        return partition_for(key or b"", count)

    async def create_topic(self, topic: str, *_args: Any, **_kwargs: Any) -> None:
        """Refuse: topics are made by an administrator's plan, never by a worker."""
        raise TypeError(f"a worker does not create topics ({topic})")

    async def _getmany(self, *_args: Any) -> Any:
        raise TypeError("batches are fetched by _fetch_once")

    def _to_message(self, *_args: Any) -> Any:
        raise TypeError("records reach agents as batches")
