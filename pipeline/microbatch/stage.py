"""A stage: one agent's topics, the partitions it owns of them, and their life."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, ProducerFenced
from aiokafka.structs import TopicPartition

from pipeline.microbatch.batch import Batch, LogRecord
from pipeline.microbatch.checkpoint import Checkpoint
from pipeline.microbatch.partition import Partition, Status
from pipeline.microbatch.store import MemoryStore
from pipeline.microbatch.takeover import Takeover

if TYPE_CHECKING:
    from pipeline.microbatch.app import BatchApp

log = structlog.get_logger(__name__)

_MARKER_SECONDS = 0.5
_BATCH_SHARE = 0.1
"""Share of a session that a batch may take: partitions of all stages take turns."""
MAX_FETCHED_AHEAD = 10_000
"""Records kept of a partition while its checkpoint runs; then it is not read on."""
_MAX_BYTES_AHEAD = 16 * 1024 * 1024
"""The same in bytes of values: some topics have records of a megabyte."""


class RecordSizeError(RuntimeError):
    """A topic takes no record as large as a checkpoint has one to write."""


class Memory(Protocol):
    """What a stage derives from the state of one partition."""

    def close(self) -> None:
        """Called when the partition is lost: nothing of it may be shown any more."""


class Stage:
    """Partitions, state and checkpoints of one agent.

    Args:
        app: The Faust app the agent belongs to; its id is the consumer group.
        name: Name of the stage, as it stands in transactional ids, metrics and fail points.
        topics: Topics read. A stage with state reads one.
        outputs: Topics written.
        knows: Further topics whose number of partitions the stage needs.
        changelog: Compacted topic, partitioned as the input, that holds the state. None keeps state
            in memory only, for a broker whose log does not last.
        memory: Builds what is derived from the state of a partition, once it is restored.
        reload: Also read the input from its beginning to the committed offset at restore, and hand
            it to the memory's ``reload``: for a stage whose compacted input is its own state.
        idle_seconds: Wake an idle partition with an empty batch this often; None never does.
    """

    def __init__(
        self,
        app: BatchApp,
        name: str,
        *,
        topics: Sequence[str],
        outputs: Sequence[str] = (),
        knows: Sequence[str] = (),
        changelog: str | None = None,
        memory: Callable[[int, Mapping[bytes, bytes]], Any] | None = None,
        reload: bool = False,
        idle_seconds: float | None = None,
    ) -> None:
        if changelog is not None and len(topics) != 1:
            # Its order on replay would be another one, and one position would not say what is done.
            raise ValueError(f"{name}: a stage with a changelog reads one topic, not {len(topics)}")
        self.app = app
        self.name = name
        self.topics = tuple(topics)
        self.outputs = tuple(outputs)
        self.knows = tuple(knows)
        self.changelog = changelog
        self.idle_seconds = idle_seconds
        self.partition_counts: dict[str, int] = {}
        self.partitions: dict[TopicPartition, Partition] = {}
        self.channel = app.topic(*self.topics, acks=False)
        self._takeover = Takeover(self, memory, reload=reload)
        self._tasks: set[asyncio.Task[None]] = set()
        self._suspended: dict[TopicPartition, Partition] = {}
        if app.broker.pacer is not None:
            for topic in self.topics:
                app.broker.pacer.add_reader(topic, name)
        app.add_stage(self)

    @property
    def group(self) -> str:
        """Consumer group of the stage."""
        return str(self.app.conf.id)

    @property
    def writes(self) -> bool:
        """Whether anything is written, and so by a producer of each partition."""
        return bool(self.outputs or self.changelog)

    def checkpoint(self, batch: Batch) -> Checkpoint:
        """Overlay in which ``batch`` is processed; see :class:`Checkpoint`."""
        return Checkpoint(self, batch)

    # --- life of partitions -------------------------------------------------------------------

    def assign(self, assigned: Iterable[TopicPartition], generation: int) -> None:
        """Take over ``assigned``; each becomes ready once its state is there."""
        mine = {tp for tp in assigned if tp.topic in self.topics}
        total = sum(self.app.batch_consumer.topic_partitions(name) or 0 for name in self.topics)
        self.app.observer.assigned(self.name, len(mine), total)
        for tp in set(self._suspended) - mine:
            self._suspended.pop(tp).close()
        for tp in mine:
            partition = Partition(tp, generation)
            self.partitions[tp] = partition
            partition.task = self._spawn(
                self._takeover.run(partition, self._suspended.pop(tp, None))
            )

    async def revoke(self, revoked: Iterable[TopicPartition], budget_seconds: float) -> None:
        """Give up ``revoked``. Running checkpoints get ``budget_seconds`` to finish.

        Memory is kept aside: if the partition comes back untouched, it need not be restored. That
        nobody touched it is told by the offset and what is noted beside it.
        """
        mine = [self.partitions[tp] for tp in revoked if tp in self.partitions]
        running = [p.task for p in mine if p.status is Status.BUSY and p.task is not None]
        if running:
            await asyncio.wait(running, timeout=budget_seconds)
        drops = []
        for partition in mine:
            del self.partitions[partition.tp]
            clean = partition.status is Status.IDLE
            if clean:
                self._suspended[partition.tp] = Partition(
                    partition.tp,
                    partition.generation,
                    store=partition.store,
                    memory=partition.memory,
                    next_offset=partition.next_offset,
                    key_count=partition.key_count,
                    note=partition.note,
                )
                partition.use(MemoryStore())
            drops.append(self._drop(partition, close_memory=not clean))
        await asyncio.gather(*drops)

    async def close(self, budget_seconds: float) -> None:
        """Finish running checkpoints within the budget and drop everything."""
        await self.revoke(list(self.partitions), budget_seconds)
        for partition in self._suspended.values():
            partition.close()
        self._suspended.clear()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _drop(self, partition: Partition, *, close_memory: bool) -> None:
        partition.status = Status.DROPPED
        self.app.observer.lost(self.name, partition.tp.topic, partition.number)
        if partition.task is not None and partition.task is not asyncio.current_task():
            partition.task.cancel()
        producer, partition.producer = partition.producer, None
        if producer is not None:
            await producer.close()
        if close_memory:
            partition.close()

    # --- batches ------------------------------------------------------------------------------

    def ready(self) -> list[Partition]:
        """Partitions whose next batch can begin now."""
        return [p for p in self.partitions.values() if p.status is Status.IDLE]

    def fetchable(self) -> list[Partition]:
        """Partitions that may be read on: those ready, and those that fetch ahead meanwhile."""
        return [
            p
            for p in self.partitions.values()
            if p.status is Status.IDLE
            or (
                p.status is Status.BUSY
                and len(p.fetched) < MAX_FETCHED_AHEAD
                and p.fetched_bytes < _MAX_BYTES_AHEAD
            )
        ]

    async def deliver(self, partition: Partition, records: Sequence[LogRecord]) -> None:
        """Hand records fetched for ``partition`` to the agent; those already done are left out.

        While a checkpoint runs they are kept for the next batch. Nothing is delivered if the
        partition was lost or made anew since the fetch began: a new one seeks to its own position.
        """
        if self.partitions.get(partition.tp) is not partition or partition.dropped:
            return
        if records and records[0].offset < partition.next_offset:
            records = [r for r in records if r.offset >= partition.next_offset]
            if not records:
                return
        if partition.status is not Status.IDLE:
            partition.fetched.extend(records)
            partition.fetched_bytes += sum(len(r.value) for r in records if r.value)
            return
        if len(records) > partition.most_records:
            partition.fetched[:0] = records[partition.most_records :]
            records = records[: partition.most_records]
        partition.status = Status.BUSY
        partition.last_batch_at = time.monotonic()
        if records:
            partition.last_records_at = partition.last_batch_at
        self.app.observer.began(self.name, partition.tp.topic, partition.number)
        await self.app.deliver(self, Batch(partition, records))

    async def skip_to(self, partition: Partition, position: int) -> None:
        """Commit ``position`` for an idle partition: there is no record before it to be done."""
        owned = self.partitions.get(partition.tp) is partition
        idle = owned and partition.status is Status.IDLE and not partition.fetched
        rested = time.monotonic() - partition.last_records_at >= _MARKER_SECONDS
        if idle and rested and position > partition.next_offset:
            await self.commit_offset(partition, position)
            partition.next_offset = position

    async def wake_idle(self) -> None:
        """Give an empty batch to partitions that have been idle for ``idle_seconds``."""
        if self.idle_seconds is None:
            return
        now = time.monotonic()
        for partition in self.ready():
            if now - partition.last_batch_at >= self.idle_seconds:
                await self.deliver(partition, ())

    def submit(self, checkpoint: Checkpoint) -> None:
        """Commit ``checkpoint`` in the background; its partition stays busy until it is done."""
        partition = checkpoint.partition
        if not partition.dropped:
            took = time.monotonic() - partition.last_batch_at
            budget = self.app.broker.session_timeout_ms / 1000 * _BATCH_SHARE
            partition.took(len(checkpoint.batch.log_records), took, budget)
            self.app.observer.committing(self.name, partition.tp.topic, partition.number)
            partition.task = self._spawn(self._commit(checkpoint))

    async def commit_offset(self, partition: Partition, offset: int) -> None:
        """Commit an offset under the group's generation, where there is no transaction."""
        await self.app.batch_consumer.commit_offset(partition.tp, offset, partition.note)

    async def _commit(self, checkpoint: Checkpoint) -> None:
        partition = checkpoint.partition
        try:
            await checkpoint.commit()
        except KafkaError as error:
            if partition.dropped:
                return
            if isinstance(error, MessageSizeTooLargeError):
                # It would be as large the next time: to go on trying is to stand still, unseen.
                told = f"a topic refuses a record: {checkpoint.largest()}"
                await self.failed(partition, RecordSizeError(told))
                return
            if not self.app.broker.transactional and self.writes:
                await self.failed(partition, error)
                return
            await self._reset(partition, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing more may be processed
            if not partition.dropped:
                await self.failed(partition, error)
        else:
            if not partition.dropped:
                partition.status = Status.IDLE
                self.app.batch_consumer.wake()
                pacer, tp = self.app.broker.pacer, partition.tp
                done = len(checkpoint.batch.log_records)
                self.app.observer.committed(self.name, tp.topic, tp.partition, done)
                if pacer is not None:
                    await pacer.read(tp.topic, tp.partition, self.name, partition.next_offset)
                if partition.fetched and partition.status is Status.IDLE:
                    records, partition.fetched = partition.fetched, []
                    partition.fetched_bytes = 0
                    await self.deliver(partition, records)

    async def _reset(self, partition: Partition, error: KafkaError) -> None:
        """Throw the memory of a failed checkpoint away and restore what the broker has."""
        log.warning(
            "checkpoint_failed", stage=self.name, topic=partition.tp.topic,
            partition=partition.number, error=repr(error),
        )  # fmt: skip
        self.app.observer.checkpoint_failed(self.name, error)
        await self._drop(partition, close_memory=True)
        if isinstance(error, ProducerFenced):
            # Another worker holds this partition, or held it for a moment. If it still does, the
            # group will say so within a session; only then may this worker fence it in turn.
            await self.app.batch_consumer.wait_for_rebalance(self.app.broker.session_timeout_ms)
        self._begin_anew(partition)

    async def lost_position(self, tp: TopicPartition) -> None:
        """The log of ``tp`` does not hold where it is read: find out why, at restore."""
        partition = self.partitions.get(tp)
        if partition is not None and not partition.dropped:
            log.warning(
                "position_lost", stage=self.name, topic=tp.topic, partition=tp.partition,
                offset=partition.next_offset,
            )  # fmt: skip
            await self._drop(partition, close_memory=True)
            self._begin_anew(partition)

    def _begin_anew(self, partition: Partition) -> None:
        """Restore a partition that was dropped, unless it was lost meanwhile."""
        tp = partition.tp
        if self.partitions.get(tp) is partition:
            fresh = Partition(tp, partition.generation)
            self.partitions[tp] = fresh
            fresh.task = self._spawn(self._takeover.run(fresh, None))

    async def failed(self, partition: Partition, error: Exception) -> None:
        """End the process: a bug, or a broker that cannot take back half a checkpoint."""
        log.error(
            "stage_failed", stage=self.name, topic=partition.tp.topic,
            partition=partition.number, error=repr(error), exc_info=error,
        )  # fmt: skip
        partition.status = Status.DROPPED
        await self.app.fail(error)

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def batches(self, stream: AsyncIterator[Batch]) -> AsyncIterator[Batch]:
        """Batches of the stream whose partition is still owned."""
        async for batch in stream:
            if not batch.partition.dropped:
                yield batch
