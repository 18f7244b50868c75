"""What an agent receives: the fetched records of one partition, in log order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Protocol

import msgspec
from aiokafka.structs import TopicPartition

if TYPE_CHECKING:
    from pipeline.microbatch.partition import Partition


class LogRecord(Protocol):
    """What a log holds at one offset. ``timestamp`` is epoch milliseconds."""

    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def timestamp(self) -> int: ...  # noqa: D102
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...  # noqa: D102


class Record(LogRecord, Protocol):
    """A record that knows where it lies."""

    @property
    def topic(self) -> str: ...  # noqa: D102
    @property
    def partition(self) -> int: ...  # noqa: D102


class _PlacedRecord(msgspec.Struct, frozen=True, gc=False):
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Batch:
    """Records of one partition with rising offsets; empty when an idle partition is woken.

    Attributes:
        partition: Owner of the state these records belong to.
        log_records: The records, oldest first, as the client parsed them: the cheapest to read.
    """

    __slots__ = ("_records", "log_records", "partition")

    def __init__(self, partition: Partition, log_records: Sequence[LogRecord]) -> None:
        self.partition = partition
        self.log_records = log_records
        self._records: Sequence[Record] | None = None

    @property
    def records(self) -> Sequence[Record]:
        """The same records, each with its topic and partition; made when first asked for."""
        if self._records is None:
            self._records = placed(self.partition.tp, self.log_records)
        return self._records

    @property
    def next_offset(self) -> int:
        """Offset to commit once this batch is done."""
        return self.log_records[-1].offset + 1 if self.log_records else self.partition.next_offset


_COLUMNS = tuple(attrgetter(name) for name in ("offset", "timestamp", "key", "value", "headers"))


def placed(tp: TopicPartition, log_records: Sequence[LogRecord]) -> Sequence[Record]:
    """Records that know that they lie in ``tp``; whole columns at a time, which is quicker."""
    columns = (map(column, log_records) for column in _COLUMNS)
    return list(map(_PlacedRecord, repeat(tp.topic), repeat(tp.partition), *columns))
