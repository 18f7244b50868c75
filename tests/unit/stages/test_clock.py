"""What state was written with, and which of it is refused."""

from __future__ import annotations

import msgspec
import pytest

from pipeline.stages.clock import Clock, StateError, decode_clock, encode_clock


def test_what_was_written_before_partitions_were_noted_is_read():
    clock = decode_clock(msgspec.msgpack.encode([1_741_000_000_000, 3]))
    assert clock == Clock(1_741_000_000_000, 3, 0, 1, 0)
    clock.check("lifecycle/0", 12)


def test_what_a_later_version_adds_is_passed_over():
    assert decode_clock(msgspec.msgpack.encode([1_000, 3, 9, 1, 4, "more"])) == Clock(
        1_000, 3, 9, 1, 4
    )


def test_state_of_the_same_partitions_is_read():
    decode_clock(encode_clock(Clock(1_000, 3, partitions=4))).check("lifecycle/0", 4)


def test_state_of_other_partitions_is_refused():
    says = "the state of lifecycle/3 is of 4 partitions, its topic has 8: keys have parted"
    with pytest.raises(StateError, match=says):
        Clock(1_000, 3, partitions=4).check("lifecycle/3", 8)


def test_state_of_a_later_format_is_refused():
    says = r"journeys/0 was written by a newer version \(format 3, this one reads up to 2\)"
    with pytest.raises(StateError, match=says):
        Clock(1_000, 3, 9, 3, 4).check("journeys/0", 4)
