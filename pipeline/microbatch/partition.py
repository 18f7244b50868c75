"""One input partition owned by this worker: its state in memory and where reading goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from aiokafka.structs import TopicPartition

from pipeline.microbatch.batch import LogRecord
from pipeline.microbatch.producer import BatchProducer
from pipeline.microbatch.store import MemoryStore, Store


class Status(Enum):
    """Life of an owned partition."""

    RESTORING = "restoring"
    IDLE = "idle"
    BUSY = "busy"
    DROPPED = "dropped"


MOST_RECORDS: Final = 10_000
LEAST_RECORDS: Final = 100


@dataclass(eq=False)
class Partition:
    """State of one partition. A dropped partition is never used again: a new one is made.

    Attributes:
        tp: Topic and partition read.
        generation: Generation of the consumer group under which it was assigned.
        store: Where the state is kept.
        state: Key to value, exactly what the acknowledged changelog holds.
        memory: Whatever the stage derives from ``state``; rebuilt at restore.
        next_offset: First offset not yet processed and acknowledged.
    """

    tp: TopicPartition
    generation: int
    status: Status = Status.RESTORING
    store: Store = field(default_factory=MemoryStore)
    state: Mapping[bytes, bytes] = field(init=False)
    memory: Any = None
    next_offset: int = 0
    #: Keys of ``state``; counted here, since a store on disk counts by reading all.
    key_count: int = 0
    #: What stands beside the committed offset.
    note: str = ""
    producer: BatchProducer | None = None
    #: Records of a batch at most; follows how long the last one took.
    most_records: int = MOST_RECORDS
    #: Records fetched while a checkpoint runs; the next batch.
    fetched: list[LogRecord] = field(default_factory=list)
    fetched_bytes: int = 0
    last_batch_at: float = 0.0
    last_records_at: float = 0.0
    task: asyncio.Task[None] | None = None

    @property
    def number(self) -> int:
        """Number of the partition within its topic."""
        return int(self.tp.partition)

    @property
    def dropped(self) -> bool:
        """Whether this worker has lost it; nothing may be committed for it any more."""
        return self.status is Status.DROPPED

    def took(self, records: int, seconds: float, budget_seconds: float) -> None:
        """Let the next batch be smaller if one took too long, and larger if it was quick.

        While a batch is worked on the process answers nobody: not its group either.
        """
        if seconds > budget_seconds:
            self.most_records = max(min(records, self.most_records) // 2, LEAST_RECORDS)
        elif seconds < budget_seconds / 4:
            self.most_records = min(self.most_records * 2, MOST_RECORDS)

    def __post_init__(self) -> None:
        self.state = self.store.view

    def use(self, store: Store) -> None:
        """Keep the state in ``store``, with what that holds."""
        self.store = store
        self.state = store.view

    def close(self) -> None:
        """Forget state and memory: nothing of them may be shown any more."""
        if self.memory is not None and hasattr(self.memory, "close"):
            self.memory.close()
        self.memory = None
        self.store.close()
        self.use(MemoryStore())

    def keys_after(self, changes: Mapping[bytes, bytes | None]) -> int:
        """How many keys the state has once ``changes`` are applied."""
        state = self.state
        return self.key_count + sum(
            (value is not None) - (key in state) for key, value in changes.items()
        )

    def load(self, records: Sequence[LogRecord]) -> None:
        """Apply changelog records in log order; a null value deletes the key."""
        changes = {record.key: record.value for record in records if record.key is not None}
        self.store.apply(changes, records[-1].offset + 1)
