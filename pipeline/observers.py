"""Observers that turn what happens in stages into metrics."""

from __future__ import annotations

from pipeline import metrics
from pipeline.microbatch import Observer


class StageMetrics(Observer):
    """Counts what the micro-batch layer does."""

    def __init__(self) -> None:
        self._ready: set[tuple[str, str, int]] = set()

    def committed(self, stage: str, topic: str, partition: int, records: int) -> None:  # noqa: ARG002
        """A checkpoint of ``records`` is acknowledged."""
        metrics.BATCHES.labels(stage).inc()
        metrics.BATCH_RECORDS.labels(stage).inc(records)
        metrics.LAST_COMMIT.labels(stage).set_to_current_time()

    def checkpoint_failed(self, stage: str, error: Exception) -> None:  # noqa: ARG002
        """A checkpoint was thrown away."""
        metrics.CHECKPOINTS_FAILED.labels(stage).inc()

    def restored(self, stage: str, topic: str, partition: int, keys: int) -> None:
        """A partition is ready."""
        self._ready.add((stage, topic, partition))
        metrics.RESTORED_KEYS.labels(stage, str(partition)).set(keys)
        self._count(stage)

    def lost(self, stage: str, topic: str, partition: int) -> None:
        """A partition was given up: nothing of it may be shown any more."""
        if (stage, topic, partition) in self._ready:
            self._ready.discard((stage, topic, partition))
            metrics.RESTORED_KEYS.remove(stage, str(partition))
            self._count(stage)

    def _count(self, stage: str) -> None:
        owned = sum(name == stage for name, _, _ in self._ready)
        metrics.OWNED_PARTITIONS.labels(stage).set(owned)
