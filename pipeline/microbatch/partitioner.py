"""Kafka's default partitioning of a key, so that every producer here agrees with Java clients."""

from __future__ import annotations

from functools import lru_cache

from aiokafka.partitioner import murmur2


@lru_cache(maxsize=65_536)
def partition_for(key: bytes, partitions: int) -> int:
    """Partition of ``key`` among ``partitions``: murmur2, as Kafka's default partitioner."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)
