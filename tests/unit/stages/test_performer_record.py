"""A record whose first ledger entries stay bytes: where they end, and how many are left."""

from __future__ import annotations

import pytest

from pipeline.kpi.group import Contribution
from pipeline.kpi.ledger import Entry
from pipeline.stages.performer_record import bytes_of, join, split
from pipeline.stages.performers import PerformerState, decode_state, encode_state

SUMS = (Contribution(7, ("a", "b"), 9, (1, -2, 3)), Contribution(8, (), -1, {"#": 1}))


def stored(entries: dict[str, Entry]) -> bytes:
    return encode_state(PerformerState([], [5], {}, entries, dues=3, due_ms=8, generation=2))


@pytest.mark.parametrize(
    ("before", "after"),
    [(0, 0), (0, 2), (2, 0), (1, 14), (15, 1), (1, 15), (20, 20), (16, 65_519), (3, 65_533)],
)
def test_a_record_is_taken_apart_and_put_together(before, after):
    first = {f"f{number}": Entry("session", number, SUMS) for number in range(before)}
    rest = {f"r{number}": Entry("session", number) for number in range(after)}
    whole = stored(first | rest)
    told = bytes_of(first)
    assert split(whole, len(told), before) == (stored(rest), told)
    assert join(stored(rest), told, before) == whole
    assert decode_state(whole).ledger == first | rest


def test_fields_of_a_later_version_stay():
    later = bytes([0x9C]) + stored({"f": Entry("session", 1), "r": Entry("session", 2)})[1:] + b"\7"
    rest, told = split(later, len(bytes_of({"f": Entry("session", 1)})), 1)
    assert rest.endswith(b"\7")
    assert join(rest, told, 1) == later
