"""The end of a batch: outputs, state and offset, in this order, or not at all."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from aiokafka.structs import OffsetAndMetadata

from pipeline.microbatch import failpoints
from pipeline.microbatch.batch import Batch
from pipeline.microbatch.partitioner import partition_for
from pipeline.microbatch.position import note_of
from pipeline.microbatch.producer import BatchProducer, Outgoing

if TYPE_CHECKING:
    from pipeline.microbatch.stage import Stage

_ABSENT: Any = object()


class Checkpoint:
    """Overlay of one batch over the state of its partition.

    Reads see the batch's own writes; nothing outside sees them before they are acknowledged.
    Leaving the ``async with`` block hands the checkpoint to the stage, which commits it in the
    background while other partitions go on; leaving it by an exception ends the process with
    nothing committed.

    The steps, and why in this order:

    0. outside: what is written elsewhere by idempotent inserts must be there before the offset is;
    1. outputs: what others must see before this worker forgets that it owes them;
    2. state: the changelog, in the same transaction where there are transactions;
    3. offset: only now the records count as done;
    4. memory: the overlay is merged, so memory never runs ahead of what the broker acknowledged;
    5. callbacks: what may be shown to people.
    """

    def __init__(self, stage: Stage, batch: Batch) -> None:
        self.stage = stage
        self.batch = batch
        self.partition = batch.partition
        self.outputs: list[Outgoing] = []
        self.overlay: dict[bytes, bytes | None] = {}
        self.tombstone_headers: dict[bytes, Sequence[tuple[str, bytes]]] = {}
        self.callbacks: list[Callable[[], None]] = []
        self._state: tuple[int, str] | None = None
        self.outside: list[Callable[[], Awaitable[None]]] = []
        #: Offset of the changelog behind the changes that were sent; None where it is not known.
        self._changes_end: int | None = None
        #: Kafka time of records written, unless they say their own.
        self.timestamp_ms = batch.log_records[-1].timestamp if batch.log_records else 0

    @property
    def memory(self) -> Any:
        """What the stage derives from this partition's state."""
        return self.partition.memory

    def get(self, key: bytes) -> bytes | None:
        """Value of ``key``, this batch's own writes included."""
        value = self.overlay.get(key, _ABSENT)
        return self.partition.state.get(key) if value is _ABSENT else value

    def put(self, key: bytes, value: bytes) -> None:
        """Set ``key`` in state and changelog."""
        self.overlay[key] = value

    def delete(self, key: bytes, headers: Sequence[tuple[str, bytes]] = ()) -> None:
        """Remove ``key`` from state and, by a tombstone with ``headers``, from the changelog."""
        self.overlay[key] = None
        if headers:
            self.tombstone_headers[key] = headers

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        """Add an output record.

        Without ``partition`` the key decides. Without ``timestamp_ms`` it is the Kafka time of the
        batch's last record, so that a replayed log gives the same bytes.
        """
        if partition is None:
            partition = partition_for(key or b"", self.stage.partition_counts[topic])
        time_ms = self.timestamp_ms if timestamp_ms is None else timestamp_ms
        self.outputs.append(Outgoing(topic, partition, key, value, time_ms, headers))

    def write_outside(self, write: Callable[[], Awaitable[None]]) -> None:
        """Await ``write`` before anything is committed; it may be called again after a crash."""
        self.outside.append(write)

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once this checkpoint is acknowledged, and only then."""
        self.callbacks.append(callback)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if exc is None:
            self.stage.submit(self)
        elif isinstance(exc, Exception):
            # Work done in turns may see its partition go, and the store of it closed.
            if self.partition.dropped:
                return True
            await self.stage.failed(self.partition, exc)
        return False

    def largest(self) -> str:
        """The largest record of it, in words: for where the broker takes none so large."""
        told = [(out.topic, out.key, out.value) for out in self.outputs]
        told += [(self.stage.changelog or "", key, value) for key, value in self.overlay.items()]
        topic, key, value = max(told, key=lambda one: len(one[2] or b""), default=("", b"", b""))
        return f"{len(value or b'')} bytes for {topic}, key {(key or b'')[:64]!r}"

    async def commit(self) -> None:
        """Carry out the numbered steps. Raises ``KafkaError`` when the broker refuses one."""
        partition, stage, name = self.partition, self.stage, self.stage.name
        moved = bool(self.batch.log_records)
        began_seconds = time.time()
        for write in self.outside:  # 0
            await write()
        if self.outputs or (self.overlay and stage.changelog) or moved:
            failpoints.hit(f"{name}.before_outputs")
            producer = partition.producer
            if producer is None:  # a stage without outputs and state: only its offset moves
                await stage.commit_offset(partition, self.batch.next_offset)
            elif producer.transactional_id is not None:
                await self._commit_transaction(producer, moved=moved)
            else:
                await producer.send(self.outputs)  # 1
                await self._send_changes(producer)  # 2
                if moved:
                    await stage.commit_offset(partition, self.batch.next_offset)  # 3
        if partition.dropped:
            return
        self.partition.store.apply(self.overlay, self._changes_end, began_seconds)  # 4
        self.partition.next_offset = self.batch.next_offset
        if self._state is not None:
            self.partition.key_count, self.partition.note = self._state
        for callback in self.callbacks:  # 5
            callback()

    async def _send_changes(self, producer: BatchProducer) -> None:
        topic = self.stage.changelog
        if topic is not None:
            self._changes_end = await producer.send_changes(
                topic,
                self.partition.number,
                self.overlay,
                self.timestamp_ms,
                self.tombstone_headers,
            )

    async def _commit_transaction(self, producer: BatchProducer, *, moved: bool) -> None:
        name = self.stage.name
        keys = self.partition.keys_after(self.overlay) if self.stage.changelog else None
        note = note_of(keys)
        offsets = {}
        # What is noted beside the offset tells the state, so it moves with either.
        if moved or (self.overlay and self.stage.changelog):
            offsets[self.partition.tp] = OffsetAndMetadata(self.batch.next_offset, note)
        await producer.begin()
        await producer.send(self.outputs)  # 1
        failpoints.hit(f"{name}.after_outputs")
        await self._send_changes(producer)  # 2
        failpoints.hit(f"{name}.after_state")
        await producer.commit(self.stage.group, offsets)  # 3
        failpoints.hit(f"{name}.after_commit")
        if offsets:
            self._state = keys or 0, note
