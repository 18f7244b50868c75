"""Observers that turn what happens in stages into metrics."""

from __future__ import annotations

from pipeline import metrics
from pipeline.microbatch import Observer


class StageMetrics(Observer):
    """Counts what the micro-batch layer does."""

    def __init__(self) -> None:
        self._ready: set[tuple[str, str, int]] = set()
        self._restoring: set[tuple[str, str, int]] = set()

    def added(self, stage: str) -> None:
        """Counters of failures begin at 0: one born with its first count shows no increase."""
        metrics.CHECKPOINTS_FAILED.labels(stage)
        metrics.RESTORES_FAILED.labels(stage)
        metrics.GONE.labels(stage)

    def assigned(self, stage: str, owned: int, total: int) -> None:  # noqa: ARG002
        """The group has spoken."""
        metrics.STAGE_PARTITIONS.labels(stage).set(total)
        self._count(stage)

    def restore_failed(self, stage: str, topic: str, partition: int, error: Exception) -> None:  # noqa: ARG002
        """An attempt to restore failed."""
        metrics.RESTORES_FAILED.labels(stage).inc()

    def skipped(self, stage: str, topic: str, partition: int, records: int) -> None:  # noqa: ARG002
        """Records are gone."""
        metrics.GONE.labels(stage).inc(records)

    def restoring(self, stage: str, topic: str, partition: int) -> None:
        """A partition is not ready yet."""
        self._restoring.add((stage, topic, partition))
        self._count(stage)

    def behind(self, stage: str, topic: str, partition: int, records: int) -> None:
        """Records wait."""
        metrics.LAG.labels(stage, topic, str(partition)).set(records)

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
        self._restoring.discard((stage, topic, partition))
        self._ready.add((stage, topic, partition))
        metrics.RESTORED_KEYS.labels(stage, str(partition)).set(keys)
        metrics.LAG.labels(stage, topic, str(partition)).set(0)
        self._count(stage)

    def lost(self, stage: str, topic: str, partition: int) -> None:
        """A partition was given up: nothing of it may be shown any more."""
        self._restoring.discard((stage, topic, partition))
        if (stage, topic, partition) in self._ready:
            self._ready.discard((stage, topic, partition))
            metrics.RESTORED_KEYS.remove(stage, str(partition))
            metrics.LAG.remove(stage, topic, str(partition))
        self._count(stage)

    def _count(self, stage: str) -> None:
        owned = sum(name == stage for name, _, _ in self._ready)
        metrics.OWNED_PARTITIONS.labels(stage).set(owned)
        restoring = sum(name == stage for name, _, _ in self._restoring)
        metrics.RESTORING_PARTITIONS.labels(stage).set(restoring)
