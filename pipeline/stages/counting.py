"""Adding to counters what a committed batch did."""

from __future__ import annotations

from pipeline import metrics
from pipeline.stages.intake import Counts


def count_intake(counts: Counts) -> None:
    """Count what intake did with records."""
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
