"""A broker in memory for the layer's own code: what a checkpoint does to it, step by step.

It stands where clients of Kafka stand. What only a real broker decides (fencing, compaction,
isolation) is looked at in ``tests/contract`` and ``tests/integration``.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from pipeline.microbatch import Batch, Broker, Checkpoint, Observer, Stage, takeover
from pipeline.microbatch.partition import Partition, Status
from pipeline.microbatch.position import Committed, read_note
from pipeline.microbatch.producer import Outgoing
from pipeline.microbatch.store import MemoryStores

TP = TopicPartition("words", 0)
CHANGELOG = "counts.changelog"


class Written(NamedTuple):
    """A record of the input log."""

    offset: int
    value: bytes | None
    key: bytes | None = None
    timestamp: int = 0
    headers: Sequence[tuple[str, bytes]] = ()


class Cluster:
    """Logs, committed offsets, and the order in which things were done.

    Attributes:
        journal: What was done, in order: ``begin``, ``outputs``, ``state``, ``offset 3``,
            ``commit``.
        fails_at: The step that is refused, until it is set to something else.
        refusal: The error it is refused with.
    """

    def __init__(self) -> None:
        self.journal: list[str] = []
        self.fails_at = ""
        self.refusal = KafkaError
        self.logs: defaultdict[str, list[tuple[bytes | None, bytes | None]]] = defaultdict(list)
        self.committed = OffsetAndMetadata(0, "")

    @property
    def offset(self) -> int:
        """What is committed."""
        return self.committed.offset

    @offset.setter
    def offset(self, offset: int) -> None:
        self.committed = OffsetAndMetadata(offset, "")

    def step(self, name: str) -> None:
        if name.partition(" ")[0] == self.fails_at:
            raise self.refusal(f"refused: {name}")
        self.journal.append(name)

    def changelog(self) -> dict[bytes, bytes]:
        """What the changelog says last of each key."""
        said = {key: value for key, value in self.logs[CHANGELOG] if key is not None}
        return {key: value for key, value in said.items() if value is not None}


class MemoryProducer:
    """Stands for ``BatchProducer``; what is sent in a transaction counts once that is committed."""

    def __init__(self, cluster: Cluster, transactional_id: str | None) -> None:
        self.transactional_id = transactional_id
        self._cluster = cluster
        self._open: list[tuple[str, bytes | None, bytes | None]] = []

    async def start(self) -> None:
        self._cluster.step("fence")

    async def partitions(self, _topic: str) -> int:
        return 1

    async def begin(self) -> None:
        self._cluster.step("begin")

    async def send(self, records: Iterable[Outgoing]) -> None:
        found = [(record.topic, record.key, record.value) for record in records]
        if found:
            self._cluster.step("outputs")
            self._write(found)

    async def send_changes(
        self, topic: str, _partition: int, changes: Mapping[bytes, bytes | None], *_: Any
    ) -> int | None:
        if not changes:
            return None
        self._cluster.step("state")
        end = len(self._cluster.logs[topic]) + len(changes)
        self._write([(topic, key, value) for key, value in changes.items()])
        return end

    def _write(self, records: list[tuple[str, bytes | None, bytes | None]]) -> None:
        self._open += records
        if self.transactional_id is None:
            self._apply()

    def _apply(self) -> None:
        for topic, key, value in self._open:
            self._cluster.logs[topic].append((key, value))
        self._open = []

    async def commit(
        self, _group: str, offsets: Mapping[TopicPartition, OffsetAndMetadata]
    ) -> None:
        for committed in offsets.values():
            self._cluster.step(f"offset {committed.offset}")
        self._cluster.step("commit")
        for committed in offsets.values():
            self._cluster.committed = committed
        self._apply()

    async def close(self) -> None:
        self._open = []


class MemoryConsumer:
    """Stands for ``BatchConsumer``."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.sought: list[int] = []

    def topic_partitions(self, _topic: str) -> int:
        return 1

    async def committed(self, _tp: TopicPartition) -> Committed:
        self._cluster.step("committed?")
        return read_note(self._cluster.committed)

    async def bounds(self, _tp: TopicPartition) -> tuple[int, int]:
        return 0, 1_000_000

    async def commit_offset(self, _tp: TopicPartition, offset: int, note: str) -> None:
        self._cluster.step(f"offset {offset}")
        self._cluster.committed = OffsetAndMetadata(offset, note)

    def seek(self, _tp: TopicPartition, offset: int) -> None:
        self.sought.append(offset)

    def wake(self) -> None:
        return

    async def wait_for_rebalance(self, _timeout_ms: int) -> None:
        return


class App:
    """Stands for ``BatchApp``: keeps batches instead of giving them to an agent."""

    def __init__(self, cluster: Cluster, *, transactional: bool) -> None:
        self.broker = Broker("memory", transactional=transactional)
        self.conf = SimpleNamespace(id="group")
        self.observer = Observer()
        self.stores = MemoryStores()
        self.batch_consumer = MemoryConsumer(cluster)
        self.batches: list[Batch] = []
        self.failure: Exception | None = None

    def topic(self, *names: str, acks: bool) -> tuple[str, ...]:
        assert not acks, "only a checkpoint commits"
        return names

    def add_stage(self, stage: Stage) -> None:
        self.stage = stage

    async def deliver(self, _stage: Stage, batch: Batch) -> None:
        self.batches.append(batch)

    async def fail(self, error: Exception) -> None:
        self.failure = self.failure or error


class Counting:
    """Memory of a stage that counts words; knows whether it was let go."""

    def __init__(self, state: Mapping[bytes, bytes]) -> None:
        self.total = sum(map(int, state.values()))
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Bench:
    """A stage that counts words, on a cluster in memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, transactional: bool = True) -> None:
        self.cluster = Cluster()
        self.app = App(self.cluster, transactional=transactional)
        self.shown: list[int] = []

        def producer(broker: Broker, transactional_id: str | None, name: str) -> MemoryProducer:
            return MemoryProducer(self.cluster, transactional_id)

        async def read_log(
            broker: Broker, topic: str, partition: int, until: int | None = None, begin: int = 0
        ) -> AsyncIterator[list[Written]]:
            self.cluster.step("restore")
            found = enumerate(self.cluster.logs[topic])
            records = [Written(offset, value, key) for offset, (key, value) in found]
            if records[begin:]:
                yield records[begin:]

        monkeypatch.setattr(takeover, "BatchProducer", producer)
        monkeypatch.setattr(takeover, "read_log", read_log)
        self.stage = Stage(
            self.app,  # type: ignore[arg-type]
            "count",
            topics=(TP.topic,),
            outputs=("counts",),
            changelog=CHANGELOG,
            memory=lambda _number, state: Counting(state),
        )

    @property
    def partition(self) -> Partition:
        return self.stage.partitions[TP]

    async def assigned(self) -> Partition:
        """Take the partition over, and wait until it can be read."""
        self.stage.assign([TP], 1)
        await self.ready()
        self.cluster.journal.clear()
        return self.partition

    async def ready(self) -> None:
        while self.partition.status is not Status.IDLE:
            task = self.partition.task
            assert task is not None
            await asyncio.wait_for(asyncio.shield(task), 5)
            if self.app.failure is not None:
                raise self.app.failure

    async def fetched(self, first: int, *words: bytes) -> Batch:
        """Let records be fetched; the batch that the agent gets."""
        records = [Written(first + number, word) for number, word in enumerate(words)]
        before = len(self.app.batches)
        await self.stage.deliver(self.partition, records)
        assert len(self.app.batches) == before + 1, "nothing was delivered"
        return self.app.batches[-1]

    def count(self, checkpoint: Checkpoint) -> None:
        """What the agent does: count each word of the batch, and tell the count."""
        for record in checkpoint.batch.log_records:
            word = record.value or b""
            number = int(checkpoint.get(word) or 0) + 1
            checkpoint.put(word, str(number).encode())
            checkpoint.send("counts", word, str(number).encode())
            checkpoint.memory.total += 1
        total = checkpoint.memory.total
        checkpoint.after_commit(lambda: self.shown.append(total))

    async def process(self, batch: Batch) -> None:
        """Let the agent do a batch and its checkpoint end, well or not."""
        async with self.stage.checkpoint(batch) as checkpoint:
            self.count(checkpoint)
        await self.ended(batch)

    async def ended(self, batch: Batch) -> None:
        task = batch.partition.task
        if task is not None:
            await task
