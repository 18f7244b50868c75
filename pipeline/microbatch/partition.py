"""One input partition owned by this worker: its state in memory and where reading goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from aiokafka.structs import TopicPartition

from pipeline.microbatch.batch import Record
from pipeline.microbatch.producer import BatchProducer


class Status(Enum):
    """Life of an owned partition."""

    RESTORING = "restoring"
    IDLE = "idle"
    BUSY = "busy"
    DROPPED = "dropped"


@dataclass(eq=False)
class Partition:
    """State of one partition. A dropped partition is never used again: a new one is made.

    Attributes:
        tp: Topic and partition read.
        generation: Generation of the consumer group under which it was assigned.
        state: Key to value, exactly what the acknowledged changelog holds.
        memory: Whatever the stage derives from ``state``; rebuilt at restore.
        next_offset: First offset not yet processed and acknowledged.
    """

    tp: TopicPartition
    generation: int
    status: Status = Status.RESTORING
    state: MutableMapping[bytes, bytes] = field(default_factory=dict)
    memory: Any = None
    next_offset: int = 0
    producer: BatchProducer | None = None
    #: Records fetched while a checkpoint runs; the next batch.
    fetched: list[Record] = field(default_factory=list)
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

    def load(self, records: Iterable[Record]) -> None:
        """Apply changelog records in log order; a null value deletes the key."""
        state = self.state
        for record in records:
            key = record.key
            if key is None:
                continue
            value = record.value
            if value is None:
                state.pop(key, None)
            else:
                state[key] = value
