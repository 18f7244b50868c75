from __future__ import annotations

import pytest
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from pipeline.microbatch.partition import Partition
from pipeline.microbatch.position import (
    BeyondEndError,
    Committed,
    LogGoneError,
    StateGoneError,
    begin_at,
    check_state,
    note_of,
    read_note,
)

TP = TopicPartition("topic", 3)


@pytest.mark.parametrize("keys", [None, 0, 17])
def test_what_is_noted_is_read(keys: int | None):
    note = note_of(keys)
    assert read_note(OffsetAndMetadata(5, note)) == Committed(5, keys, note)


def test_two_commits_of_a_state_never_note_the_same():
    assert note_of(17) != note_of(17)
    assert note_of(None) == note_of(None) == ""


@pytest.mark.parametrize("note", ["", "keys=", "keys=many", "of another tool"])
def test_what_others_noted_is_no_number_of_keys(note: str):
    assert read_note(OffsetAndMetadata(5, note)) == Committed(5, None, note)


def test_nothing_committed():
    assert read_note(OffsetAndMetadata(-1, "")) == Committed(None)
    assert begin_at(TP, Committed(None), 7, 9, skip=False) == 7


@pytest.mark.parametrize("offset", [7, 8, 9])
def test_what_the_log_holds_is_read_on(offset: int):
    assert begin_at(TP, Committed(offset), 7, 9, skip=False) == offset


def test_records_that_were_removed_unread_are_refused_or_skipped():
    with pytest.raises(LogGoneError, match=r"topic\[3\]: records 4 to 6 were removed"):
        begin_at(TP, Committed(4), 7, 9, skip=False)
    assert begin_at(TP, Committed(4), 7, 9, skip=True) == 7


@pytest.mark.parametrize("skip", [False, True])
def test_an_offset_beyond_the_end_is_never_passed_over(skip: bool):
    with pytest.raises(BeyondEndError, match="offset 10 is committed, and the log ends at 9"):
        begin_at(TP, Committed(10), 7, 9, skip=skip)


def test_a_state_with_other_keys_is_refused():
    check_state("count", TP, Committed(5, 2), 2)
    check_state("count", TP, Committed(5), 0)
    with pytest.raises(StateGoneError, match="had 2 keys when offset 5 was committed"):
        check_state("count", TP, Committed(5, 2), 1)


def test_keys_are_counted_as_a_merge_leaves_them():
    partition = Partition(TP, 1, key_count=2)
    partition.store.apply({b"a": b"1", b"b": b"2"}, None)
    changes = {b"a": b"3", b"b": None, b"c": b"4", b"d": b"5", b"e": None}
    assert partition.keys_after(changes) == 3
    partition.store.apply(changes, None)
    assert partition.state == {b"a": b"3", b"c": b"4", b"d": b"5"}
