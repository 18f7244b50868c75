from __future__ import annotations

from typing import NamedTuple

from aiokafka.structs import TopicPartition

from pipeline.microbatch.partition import Partition


class Changed(NamedTuple):
    key: bytes | None
    value: bytes | None


def test_state_is_what_the_changelog_says_last():
    partition = Partition(TopicPartition("topic", 0), 1)
    partition.load([Changed(b"a", b"1"), Changed(b"b", b"1"), Changed(None, b"no key")])
    partition.load([Changed(b"a", b"2"), Changed(b"b", None), Changed(b"c", b"1")])
    partition.load([Changed(b"c", None), Changed(b"c", b"3"), Changed(b"never", None)])
    assert partition.state == {b"a": b"2", b"c": b"3"}


def test_changes_of_a_checkpoint_are_merged():
    partition = Partition(TopicPartition("topic", 0), 1)
    partition.merge({b"a": b"1", b"b": b"1"})
    partition.merge({b"a": None, b"b": b"2", b"c": None})
    assert partition.state == {b"b": b"2"}
