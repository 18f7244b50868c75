"""What happens in the layer, for whoever counts it."""

from __future__ import annotations


class Observer:
    """Takes what happens in stages; this one ignores it all."""

    def committed(self, stage: str, topic: str, partition: int, records: int) -> None:
        """A checkpoint of ``records`` is acknowledged."""

    def checkpoint_failed(self, stage: str, error: Exception) -> None:
        """A checkpoint was thrown away; its partition is restored."""

    def restored(self, stage: str, topic: str, partition: int, keys: int) -> None:
        """A partition is ready with ``keys`` keys of state."""

    def lost(self, stage: str, topic: str, partition: int) -> None:
        """A partition was given up."""
