from __future__ import annotations

from aiokafka import TopicPartition

from pipeline.microbatch.partition import Partition


def test_a_batch_that_took_too_long_halves_the_next_and_quick_ones_double_it() -> None:
    partition = Partition(TopicPartition("t", 0), 1)
    sizes = []
    for records, seconds in (
        (10_000, 3.0), (5_000, 1.5), (2_500, 0.5), (2_500, 0.1), (5_000, 0.1), (9_000, 0.1),
        (150, 9.0), (75, 9.0),
    ):  # fmt: skip
        partition.took(records, seconds, budget_seconds=1.0)
        sizes.append(partition.most_records)
    assert sizes == [5_000, 2_500, 2_500, 5_000, 10_000, 10_000, 100, 100]
