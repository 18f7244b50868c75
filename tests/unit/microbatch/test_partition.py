from __future__ import annotations

from typing import NamedTuple

from aiokafka.structs import TopicPartition

from pipeline.microbatch.partition import Partition


class Changed(NamedTuple):
    offset: int
    key: bytes | None
    value: bytes | None


def test_state_is_what_the_changelog_says_last():
    partition = Partition(TopicPartition("topic", 0), 1)
    partition.load([Changed(0, b"a", b"1"), Changed(1, b"b", b"1"), Changed(2, None, b"no key")])
    partition.load([Changed(3, b"a", b"2"), Changed(4, b"b", None), Changed(5, b"c", b"1")])
    partition.load([Changed(7, b"c", None), Changed(8, b"c", b"3"), Changed(9, b"never", None)])
    assert partition.state == {b"a": b"2", b"c": b"3"}


def test_changes_of_a_checkpoint_are_merged():
    partition = Partition(TopicPartition("topic", 0), 1)
    partition.store.apply({b"a": b"1", b"b": b"1"}, 2)
    partition.store.apply({b"a": None, b"b": b"2", b"c": None}, 5)
    assert partition.state == {b"b": b"2"}
