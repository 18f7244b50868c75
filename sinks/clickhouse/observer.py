"""What happens in the ClickHouse sink, as metrics."""

from __future__ import annotations

from collections.abc import Callable

from pipeline import metrics
from sinks.base import SinkObserver
from sinks.clickhouse.ddl import TABLES


class SinkMetrics(SinkObserver):
    """Counts rows, retries by error code, and the time inserts take.

    Args:
        on_retry: Called when an attempt failed and another will follow.
    """

    def __init__(self, on_retry: Callable[[], None] = lambda: None) -> None:
        self._on_retry = on_retry
        # A counter that is born with its first count shows no increase.
        for table in TABLES:
            metrics.SINK_REJECTED.labels(table)

    def inserted(self, table: str, rows: int, seconds: float) -> None:
        """``rows`` were acknowledged."""
        metrics.SINK_ROWS.labels(table).inc(rows)
        metrics.SINK_SECONDS.labels(table).observe(seconds)

    def retried(self, table: str, code: int | None, delay_seconds: float) -> None:  # noqa: ARG002
        """An attempt failed."""
        metrics.SINK_RETRIES.labels(table, "none" if code is None else str(code)).inc()
        self._on_retry()

    def rejected(self, table: str, rows: int, code: int | None) -> None:  # noqa: ARG002
        """``rows`` will never be taken."""
        metrics.SINK_REJECTED.labels(table).inc(rows)
