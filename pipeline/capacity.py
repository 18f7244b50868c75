"""How large an installation must be: from interactions a day to workers, memory, disk and rows.

All that is known of costs is read from the result file of ``make bench PARTS=product``: another
file gives another plan. Arithmetic only: nothing is asked of a running system.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from schemas.topics import RAW_PREFIX, TOPICS

DAY_SECONDS: Final = 86_400
DAY_MS: Final = 86_400_000
PARTITION_BYTES_A_SECOND: Final = 5_000_000
"""What a partition is asked to carry at most; brokers carry several times as much."""
RAW_RETENTION_DAYS: Final = 7


class Volume(msgspec.Struct, frozen=True):
    """What an event leaves in one place: records or rows, and bytes."""

    records: float
    bytes: float


class Measured(msgspec.Struct, frozen=True):
    """What an event costs, as measured.

    Attributes:
        events_per_interaction: Of the measured center.
        cpu_us: CPU microseconds an event, by role.
        topics: What it leaves in each topic, the changelogs included.
        tables: What it leaves in each ClickHouse table, after merges, compressed.
        interaction_bytes: Resident memory of an open interaction, over all stages.
        base_bytes: Resident memory of a worker that holds nothing.
        restored_keys_per_second: Keys of a changelog a worker reads back in a second.
        clickhouse_us: CPU microseconds an event of ClickHouse, which reads rows and merges them.
    """

    events_per_interaction: float
    cpu_us: dict[str, float]
    topics: dict[str, Volume]
    tables: dict[str, Volume]
    interaction_bytes: float
    base_bytes: float
    restored_keys_per_second: float
    clickhouse_us: float


class Load(NamedTuple):
    """What an installation has to bear.

    Attributes:
        interactions_per_day: Over all channels.
        peak: The busiest second over the mean of the day.
        utilisation: How busy a core may be in that second.
        horizon_days: How long a closed interaction may still be corrected.
        stored_days: How long ClickHouse keeps rows.
        replication: Copies of each Kafka record.
    """

    interactions_per_day: float
    peak: float = 4.0
    utilisation: float = 0.5
    horizon_days: float = 35.0
    stored_days: float = 400.0
    replication: int = 3


class RolePlan(NamedTuple):
    """Workers of one role."""

    role: str
    cores: float
    workers: int


class Plan(NamedTuple):
    """What the load takes. Bytes are of the whole installation."""

    events_per_second: float
    peak_events_per_second: float
    roles: tuple[RolePlan, ...]
    partitions: int
    state_keys: float
    state_bytes: float
    restore_seconds: float
    kafka_bytes: float
    rows_per_day: float
    clickhouse_bytes: float
    clickhouse_cores: float
    limit: str


def plan(load: Load, measured: Measured) -> Plan:
    """Size an installation for ``load``.

    Partitions are as many as the busiest role has workers, doubled so that it can grow, and at
    least as many as the bytes of the largest topic ask for.
    """
    per_day = load.interactions_per_day * measured.events_per_interaction
    mean = per_day / DAY_SECONDS
    peak = mean * load.peak
    roles = tuple(_role(role, us, peak, load) for role, us in measured.cpu_us.items())
    keys = load.interactions_per_day * load.horizon_days
    busiest = max(role.workers for role in roles)
    widest = max(volume.bytes for volume in measured.topics.values()) * peak
    partitions = max(2 * busiest, math.ceil(widest / PARTITION_BYTES_A_SECOND), 4)
    workers = sum(role.workers for role in roles)
    return Plan(
        events_per_second=mean,
        peak_events_per_second=peak,
        roles=roles,
        partitions=partitions,
        state_keys=keys,
        state_bytes=keys * measured.interaction_bytes + workers * measured.base_bytes,
        restore_seconds=keys / workers / measured.restored_keys_per_second,
        kafka_bytes=per_day * load.replication * _kept_bytes(measured.topics, load),
        rows_per_day=per_day * sum(volume.records for volume in measured.tables.values()),
        clickhouse_bytes=per_day * load.stored_days
        * sum(volume.bytes for volume in measured.tables.values()),
        clickhouse_cores=peak * measured.clickhouse_us / 1e6,
        limit=_limit(roles, keys / workers * measured.interaction_bytes),
    )  # fmt: skip


def _role(role: str, cpu_us: float, events_per_second: float, load: Load) -> RolePlan:
    cores = events_per_second * cpu_us / 1e6
    return RolePlan(role, cores, max(math.ceil(cores / load.utilisation), 1))


def _kept_bytes(topics: dict[str, Volume], load: Load) -> float:
    """Bytes an event of one day leaves in Kafka, times the days each topic keeps them."""
    total = 0.0
    for name, volume in topics.items():
        if name.startswith(RAW_PREFIX):
            days: float = RAW_RETENTION_DAYS
        elif name in TOPICS and (kept_ms := TOPICS[name].retention_ms) is not None:
            days = kept_ms / DAY_MS
        else:
            days = load.horizon_days
        total += volume.bytes * min(days, load.horizon_days)
    return total


_LARGE_BYTES: Final = 32e9


def _limit(roles: Sequence[RolePlan], bytes_a_worker: float) -> str:
    """Which part is reached first when the load grows."""
    exhibits = next((role for role in roles if role.role == "exhibits"), None)
    if exhibits is not None and exhibits.workers > 1:
        return "exhibits: an exhibit lives in one partition; split it by site or client"
    if bytes_a_worker > _LARGE_BYTES:
        return "memory: more workers, or a shorter horizon"
    busiest = max(roles, key=lambda role: role.cores)
    return f"CPU of {busiest.role}: it grows with workers up to the number of partitions"
