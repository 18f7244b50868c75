"""Every metric name of the product, declared once: kind, labels, help.

Counters count only what never comes back (records, rows added, rows taken back); sums of KPIs are
gauges. Units are base units and stand in the name.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

REGISTRY: Final = CollectorRegistry(auto_describe=True)

RECORDS = Counter("cx_records", "Records taken in.", ["platform"], registry=REGISTRY)
EVENTS = Counter("cx_events", "Unified events sent on.", ["platform"], registry=REGISTRY)
SKEWED = Counter(
    "cx_events_skewed",
    "Events more than 5 minutes ahead of the time of their record.",
    ["platform"],
    registry=REGISTRY,
)
LAST_EVENT = Gauge(
    "cx_last_event_timestamp_seconds",
    "When the last event of a source and queue was told, by the time of its record.",
    ["source", "queue"],
    registry=REGISTRY,
)
IGNORED = Counter(
    "cx_ignored", "Native events that no KPI needs, by type.", ["type"], registry=REGISTRY
)
DEAD_LETTERS = Counter("cx_dead_letters", "Records refused.", ["reason"], registry=REGISTRY)
DUPLICATES = Counter("cx_duplicates", "Events that were known already.", registry=REGISTRY)
LATE_RECORDS = Counter(
    "cx_late_records",
    "Accepted events that came when what they tell of was frozen: in no number.",
    ["kind", "age"],
    registry=REGISTRY,
)
BATCHES = Counter("cx_batches", "Checkpoints acknowledged.", ["stage"], registry=REGISTRY)
LAST_COMMIT = Gauge(
    "cx_last_commit_timestamp_seconds",
    "When the last checkpoint of a stage was acknowledged.",
    ["stage"],
    registry=REGISTRY,
)
BATCH_RECORDS = Counter(
    "cx_batch_records", "Records in committed batches.", ["stage"], registry=REGISTRY
)
CHECKPOINTS_FAILED = Counter(
    "cx_checkpoints_failed",
    "Checkpoints thrown away; their partition was restored.",
    ["stage"],
    registry=REGISTRY,
)
OWNED_PARTITIONS = Gauge(
    "cx_owned_partitions", "Partitions a stage owns and has restored.", ["stage"], registry=REGISTRY
)
STAGE_PARTITIONS = Gauge(
    "cx_stage_partitions", "Partitions that the topics of a stage have.", ["stage"],
    registry=REGISTRY,
)  # fmt: skip
RESTORING_PARTITIONS = Gauge(
    "cx_restoring_partitions", "Partitions a stage owns and has not restored yet.", ["stage"],
    registry=REGISTRY,
)  # fmt: skip
RESTORES_FAILED = Counter(
    "cx_restores_failed", "Attempts to restore a partition that failed.", ["stage"],
    registry=REGISTRY,
)  # fmt: skip
GONE = Counter(
    "cx_gone_records", "Records that were removed from the log before they were read.", ["stage"],
    registry=REGISTRY,
)  # fmt: skip
HEARTBEAT = Gauge(
    "cx_heartbeat_timestamp_seconds",
    "When the oldest of the last heartbeats that a stage committed was written at the way in.",
    ["stage"],
    registry=REGISTRY,
)
LAG = Gauge(
    "cx_lag_records",
    "Records that can be read and are not done yet.",
    ["stage", "topic", "partition"],
    registry=REGISTRY,
)
RESTORED_KEYS = Gauge(
    "cx_restored_keys",
    "Keys of state a partition had when it became ready.",
    ["stage", "partition"],
    registry=REGISTRY,
)
SINK_ROWS = Counter("cx_sink_rows", "Rows written.", ["table"], registry=REGISTRY)
SINK_REJECTED = Counter(
    "cx_sink_rejected_rows", "Rows that the sink will never take.", ["table"], registry=REGISTRY
)
SINK_RETRIES = Counter(
    "cx_sink_retries", "Inserts tried again, by error code.", ["table", "code"], registry=REGISTRY
)
SINK_SECONDS = Histogram(
    "cx_sink_insert_duration_seconds", "Time of one insert.", ["table"], registry=REGISTRY
)
BUILD = Info("cx_build", "Version of this worker.", registry=REGISTRY)
