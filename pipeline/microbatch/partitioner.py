"""Kafka's default partitioning of a key, so that every producer here agrees with Java clients."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final

_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF
_WORDS: Final = [struct.Struct(f"<{n}I") for n in range(64)]


@lru_cache(maxsize=65_536)
def partition_for(key: bytes, partitions: int) -> int:
    """Partition of ``key`` among ``partitions``: murmur2, as Kafka's default partitioner."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """The 32-bit MurmurHash2 of Kafka: four bytes at a time, as C would read them."""
    words, rest = divmod(len(data), 4)
    layout = _WORDS[words] if words < len(_WORDS) else struct.Struct(f"<{words}I")
    h = _SEED ^ len(data)
    for word in layout.unpack_from(data):
        k = word * _M & _MASK
        h = h * _M & _MASK ^ (k ^ k >> 24) * _M & _MASK
    if rest:
        h = (h ^ int.from_bytes(data[-rest:], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15
