"""What happens in the layer, for whoever counts it or judges by it."""

from __future__ import annotations

from typing import Any


class Observer:
    """Takes what happens in stages; this one ignores it all.

    Calls come from the event loop and must be quick.
    """

    def added(self, stage: str) -> None:
        """A stage exists; it has no partitions yet."""

    def assigned(self, stage: str, owned: int, total: int) -> None:
        """The group gave ``owned`` of the ``total`` partitions that the stage's topics have."""

    def restoring(self, stage: str, topic: str, partition: int) -> None:
        """A partition is being restored; said at the beginning and for every part that was read."""

    def restore_failed(self, stage: str, topic: str, partition: int, error: Exception) -> None:
        """An attempt to restore a partition failed; another follows."""

    def skipped(self, stage: str, topic: str, partition: int, records: int) -> None:
        """``records`` records were removed from the log before the stage had read them."""

    def restored(self, stage: str, topic: str, partition: int, keys: int) -> None:
        """A partition is ready with ``keys`` keys of state."""

    def behind(self, stage: str, topic: str, partition: int, records: int) -> None:
        """``records`` records that can be read are not done yet; said about once a second."""

    def began(self, stage: str, topic: str, partition: int) -> None:
        """A batch was handed to the agent."""

    def committing(self, stage: str, topic: str, partition: int) -> None:
        """The agent is done with a batch; its checkpoint begins."""

    def committed(self, stage: str, topic: str, partition: int, records: int) -> None:
        """A checkpoint of ``records`` is acknowledged."""

    def checkpoint_failed(self, stage: str, error: Exception) -> None:
        """A checkpoint was thrown away; its partition is restored."""

    def lost(self, stage: str, topic: str, partition: int) -> None:
        """A partition was given up."""


class Observers(Observer):
    """Tells several observers, in their order."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def _tell(self, what: str, *told: Any) -> None:
        for observer in self._observers:
            getattr(observer, what)(*told)

    def added(self, stage: str) -> None:
        """Tell all."""
        self._tell("added", stage)

    def assigned(self, stage: str, owned: int, total: int) -> None:
        """Tell all."""
        self._tell("assigned", stage, owned, total)

    def restoring(self, stage: str, topic: str, partition: int) -> None:
        """Tell all."""
        self._tell("restoring", stage, topic, partition)

    def restore_failed(self, stage: str, topic: str, partition: int, error: Exception) -> None:
        """Tell all."""
        self._tell("restore_failed", stage, topic, partition, error)

    def skipped(self, stage: str, topic: str, partition: int, records: int) -> None:
        """Tell all."""
        self._tell("skipped", stage, topic, partition, records)

    def restored(self, stage: str, topic: str, partition: int, keys: int) -> None:
        """Tell all."""
        self._tell("restored", stage, topic, partition, keys)

    def behind(self, stage: str, topic: str, partition: int, records: int) -> None:
        """Tell all."""
        self._tell("behind", stage, topic, partition, records)

    def began(self, stage: str, topic: str, partition: int) -> None:
        """Tell all."""
        self._tell("began", stage, topic, partition)

    def committing(self, stage: str, topic: str, partition: int) -> None:
        """Tell all."""
        self._tell("committing", stage, topic, partition)

    def committed(self, stage: str, topic: str, partition: int, records: int) -> None:
        """Tell all."""
        self._tell("committed", stage, topic, partition, records)

    def checkpoint_failed(self, stage: str, error: Exception) -> None:
        """Tell all."""
        self._tell("checkpoint_failed", stage, error)

    def lost(self, stage: str, topic: str, partition: int) -> None:
        """Tell all."""
        self._tell("lost", stage, topic, partition)
