"""What an agent receives: the fetched records of one partition, in log order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pipeline.microbatch.partition import Partition


class Record(Protocol):
    """One Kafka record as the client gives it. ``timestamp`` is epoch milliseconds."""

    @property
    def topic(self) -> str: ...  # noqa: D102
    @property
    def partition(self) -> int: ...  # noqa: D102
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


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one partition with rising offsets; empty when an idle partition is woken.

    Attributes:
        partition: Owner of the state these records belong to.
        records: The records, oldest first.
    """

    partition: Partition
    records: Sequence[Record]

    @property
    def next_offset(self) -> int:
        """Offset to commit once this batch is done."""
        return self.records[-1].offset + 1 if self.records else self.partition.next_offset
