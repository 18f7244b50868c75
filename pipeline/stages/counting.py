"""Adding to counters what a committed batch did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from pipeline import metrics
from pipeline.stages.heard import SourceQueue
from pipeline.stages.intake import Counts


def count_late(late: Counter[tuple[str, str]]) -> None:
    """Count late records by kind and age, and empty ``late``."""
    for (kind, age), n in late.items():
        metrics.LATE_RECORDS.labels(kind, age).inc(n)
    late.clear()


def count_intake(counts: Counts, heard: Mapping[SourceQueue, int]) -> None:
    """Count what intake did with records, and show when sources were ``heard`` last."""
    for (source, queue), at_ms in heard.items():
        metrics.LAST_EVENT.labels(source, queue).set(at_ms / 1000)
    for name, n in counts.records.items():
        metrics.RECORDS.labels(name).inc(n)
    for name, n in counts.events.items():
        metrics.EVENTS.labels(name).inc(n)
    for name, n in counts.skewed.items():
        metrics.SKEWED.labels(name).inc(n)
    for name, n in counts.ignored.items():
        metrics.IGNORED.labels(name).inc(n)
    for reason, n in counts.dead_letters.items():
        metrics.DEAD_LETTERS.labels(reason).inc(n)
