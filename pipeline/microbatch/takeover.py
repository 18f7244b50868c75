"""Taking a partition over: fence whoever held it, restore its state, find where reading goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import structlog
from aiokafka.errors import KafkaError

from pipeline.microbatch.partition import Partition, Status
from pipeline.microbatch.position import BeyondEndError, LogGoneError, begin_at, check_state
from pipeline.microbatch.producer import BatchProducer
from pipeline.microbatch.restore import NotInLogError, read_log
from pipeline.microbatch.store import StoreError

if TYPE_CHECKING:
    from pipeline.microbatch.stage import Stage

log = structlog.get_logger(__name__)

_RETRY_SECONDS = (0.1, 0.5, 2.0, 5.0)
_BEYOND_END_ATTEMPTS = 5
"""Some 13 s: longer than a new leader needs to learn how far its log reaches."""


class Takeover:
    """Brings partitions of a stage to where whoever had them before has left them.

    Args:
        stage: Whose partitions they are.
        memory: Builds what is derived from the state of a partition, once it is restored.
        reload: Also read the input from its beginning to the committed offset.
    """

    def __init__(
        self,
        stage: Stage,
        memory: Callable[[int, Mapping[bytes, bytes]], Any] | None,
        *,
        reload: bool,
    ) -> None:
        self._stage = stage
        self._memory = memory
        self._reload = reload

    async def run(self, partition: Partition, kept: Partition | None) -> None:
        """Fence, find the committed offset, restore, then let the partition be read.

        It is tried until it succeeds or the partition is lost; what trying again cannot cure ends
        the process. ``kept`` is what this worker has of the partition from before, if anything.
        """
        attempt = 0
        while not partition.dropped:
            try:
                await self._restore(partition, kept)
            except (KafkaError, OSError) as error:
                if isinstance(error, BeyondEndError) and attempt == _BEYOND_END_ATTEMPTS:
                    await self._stage.failed(partition, LogGoneError(str(error)))
                    return
                delay = _RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)]
                attempt += 1
                await self._give_up(partition, error, delay)
                await asyncio.sleep(delay)
            except Exception as error:  # noqa: BLE001 - a bug in restore must end the process
                await self._stage.failed(partition, error)
                return
            else:
                return

    async def _give_up(self, partition: Partition, error: Exception, delay_seconds: float) -> None:
        """Leave an attempt that failed."""
        name, tp = self._stage.name, partition.tp
        log.warning(
            "restore_failed", stage=name, partition=partition.number, error=str(error),
            retry_seconds=delay_seconds,
        )  # fmt: skip
        self._stage.app.observer.restore_failed(name, tp.topic, tp.partition, error)
        if partition.producer is not None:
            await partition.producer.close()
            partition.producer = None

    async def _restore(self, partition: Partition, kept: Partition | None) -> None:
        stage, app, tp = self._stage, self._stage.app, partition.tp
        app.observer.restoring(stage.name, tp.topic, tp.partition)
        if stage.writes:
            await self._fence(partition)
        committed = await app.batch_consumer.committed(tp)
        first, end = await app.batch_consumer.bounds(tp)
        position = begin_at(tp, committed, first, end, skip=app.broker.skips_gone)
        partition.next_offset, partition.note = position, committed.note
        read = 0
        kept_as = None if kept is None else (kept.next_offset, kept.note)
        if kept is not None and kept_as == (position, committed.note) and stage.writes:
            partition.use(kept.store)
            partition.memory, partition.key_count = kept.memory, kept.key_count
        else:
            if kept is not None:
                kept.close()
            read = await self._load(partition)
            partition.key_count = len(partition.state)
        if partition.dropped:
            return
        if stage.changelog is not None:
            check_state(stage.name, tp, committed, partition.key_count)
        if committed.offset is not None and position > committed.offset:
            gone = position - committed.offset
            log.warning(
                "records_gone", stage=stage.name, topic=tp.topic, partition=tp.partition,
                offset=committed.offset, records=gone,
            )  # fmt: skip
            app.observer.skipped(stage.name, tp.topic, tp.partition, gone)
            await stage.commit_offset(partition, position)
        app.batch_consumer.seek(tp, position)
        partition.status = Status.IDLE
        keys = partition.key_count
        app.observer.restored(stage.name, tp.topic, tp.partition, keys)
        log.info(
            "partition_ready", stage=stage.name, topic=tp.topic, partition=tp.partition,
            offset=position, keys=keys, read=read,
        )  # fmt: skip

    async def _fence(self, partition: Partition) -> None:
        """Let nobody else write for the partition any more: what is read afterwards is final."""
        stage, tp = self._stage, partition.tp
        transactional_id = None
        if stage.app.broker.transactional:
            transactional_id = f"{stage.group}.{stage.name}.{tp.topic}.{tp.partition}"
        producer = BatchProducer(stage.app.broker, transactional_id, stage.name)
        partition.producer = producer
        await producer.start()
        for topic in (*stage.outputs, *stage.knows):
            if topic not in stage.partition_counts:
                stage.partition_counts[topic] = await producer.partitions(topic)

    async def _load(self, partition: Partition) -> int:
        """Bring state and memory to the end of the changelog; how many records that took."""
        stage, number = self._stage, partition.number
        partition.close()  # of an attempt that failed
        if stage.changelog is None:
            await self._remember(partition)
            return 0
        name = f"{stage.group}.{stage.name}"
        partition.use(await stage.app.stores.open(name, stage.changelog, number))
        try:
            return await self._read_changelog(partition, stage.changelog)
        except (StoreError, NotInLogError) as error:
            log.warning("state_emptied", store=name, partition=number, reason=str(error))
            partition.store.clear()
            partition.use(partition.store)
            return await self._read_changelog(partition, stage.changelog)

    async def _read_changelog(self, partition: Partition, changelog: str) -> int:
        stage, store, number = self._stage, partition.store, partition.number
        read, as_of_seconds = 0, time.time()
        broker = stage.app.broker
        async for records in read_log(broker, changelog, number, begin=store.position):
            partition.load(records)
            read += len(records)
            stage.app.observer.restoring(stage.name, partition.tp.topic, number)
        # Only at its end is it known that every tombstone was seen.
        store.apply({}, store.position, as_of_seconds)
        await self._remember(partition)
        return read

    async def _remember(self, partition: Partition) -> None:
        """Build what the stage derives from its state."""
        stage, number, topic = self._stage, partition.number, partition.tp.topic
        if self._memory is None:
            return
        memory = partition.memory = self._memory(number, partition.state)
        if self._reload:
            upto = partition.next_offset
            async for records in read_log(stage.app.broker, topic, number, until=upto):
                if partition.dropped:
                    return
                memory.reload(records)
                stage.app.observer.restoring(stage.name, topic, number)
