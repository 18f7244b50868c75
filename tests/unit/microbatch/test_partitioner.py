from __future__ import annotations

import pytest

from pipeline.microbatch import partition_for
from pipeline.microbatch.partitioner import murmur2


@pytest.mark.parametrize(
    ("data", "signed"),
    [
        # What Kafka's own UtilsTest expects of Utils.murmur2, as Java's signed int.
        (b"21", -973_932_308),
        (b"foobar", -790_332_482),
        (b"a-little-bit-long-string", -985_981_536),
        (b"a-little-bit-longer-string", -1_486_304_829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        (b"abc", 479_470_107),
    ],
)
def test_keys_hash_as_kafka_hashes_them(data, signed):
    assert murmur2(data) == signed % 2**32


def test_a_partition_is_the_hash_without_its_sign():
    # -973,932,308 without its sign bit is 1,173,551,340; of 7 partitions that is number
    # 1,173,551,340 - 7 x 167,650,191 = 3.
    assert partition_for(b"21", 7) == 3
    # 479,470,107 = 4 x 119,867,526 + 3
    assert partition_for(b"abc", 4) == 3
