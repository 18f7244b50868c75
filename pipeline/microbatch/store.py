"""Where the state of a partition is kept. A store holds what the acknowledged changelog holds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import cast

Changes = Mapping[bytes, bytes | None]
"""Changes of a state by key; a None deletes the key."""


class StoreError(RuntimeError):
    """A store cannot be read, cannot be written, or does not belong to its changelog."""


class Store(ABC):
    """State of one partition.

    Attributes:
        view: Key to value; stays up to date.
        position: First offset of the changelog whose record may be missing here.
    """

    view: Mapping[bytes, bytes]
    position: int = 0

    @abstractmethod
    def apply(
        self, changes: Changes, position: int | None, as_of_seconds: float | None = None
    ) -> None:
        """Take acknowledged changes over, all or none.

        Args:
            changes: What the changelog says since.
            position: The offset behind the last record of them; None where it is not known.
            as_of_seconds: Epoch seconds at which nothing of the changelog from ``position`` on was
                written yet; None where that is not known to be later than said before.

        Raises:
            StoreError: they could not be written.
        """

    @abstractmethod
    def clear(self) -> None:
        """Forget everything: it is filled again from the beginning of the changelog."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what the store holds open; what was applied stays where it is kept."""


class MemoryStore(Store):
    """A dictionary, which ends with the process."""

    view: dict[bytes, bytes]

    def __init__(self) -> None:
        self.view = {}

    def apply(
        self,
        changes: Changes,
        position: int | None,  # noqa: ARG002 - memory is filled from the beginning
        as_of_seconds: float | None = None,  # noqa: ARG002 - the same
    ) -> None:
        """Take acknowledged changes over."""
        state = self.view
        if None not in changes.values():
            state.update(cast("Mapping[bytes, bytes]", changes))
            return
        for key, value in changes.items():
            if value is None:
                state.pop(key, None)
            else:
                state[key] = value

    def clear(self) -> None:
        """Forget everything. Whoever holds the old view keeps it."""
        self.view = {}

    def close(self) -> None:
        """Nothing is held open."""


class Stores(ABC):
    """Makes the stores of the partitions of a process."""

    @abstractmethod
    async def open(self, name: str, changelog: str, partition: int) -> Store:
        """The store of one partition, with what is left of an earlier one if that can be trusted.

        Args:
            name: Name of the state, the same in every process that owns it in turn.
            changelog: Topic that holds the state.
            partition: Partition of it.

        Raises:
            OSError: the changelog cannot be asked what it is, or nothing can be written.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of what all stores share, once they are closed."""


class MemoryStores(Stores):
    """Stores in memory."""

    async def open(self, name: str, changelog: str, partition: int) -> Store:  # noqa: ARG002 - memory has no names
        """An empty store."""
        return MemoryStore()

    def close(self) -> None:
        """Nothing is shared."""
