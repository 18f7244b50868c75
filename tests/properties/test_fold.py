"""The fold of example 11, exhaustively: two holds, arriving in each of the 720 orders."""

from __future__ import annotations

from itertools import combinations, permutations, product

import pytest

from pipeline.folds import interaction
from pipeline.folds.event import Event, reduce
from tests.properties.stories import event

AT = {"accepted": 0, "hold": 60, "resume": 90, "hold again": 120, "resume again": 150,
      "completed": 200}  # fmt: skip
STORY = tuple(
    reduce(
        event(
            {"kind": kind.split()[0], "at": at, "interaction_id": "k", "channel": "voice",
             "performer_id": "ann"},
            number,
        )
    )
    for number, (kind, at) in enumerate(AT.items())
)  # fmt: skip
LATE = STORY[-1].occurred_ms + 60_000


def rows(events):
    return interaction.fold("k", events, LATE).rows


def durations(events):
    """Talk, hold and handle time in seconds of the only stint."""
    (stint,) = (row.fact for row in rows(events) if row.kind == "handling_segment")
    talk, hold, wrap = stint.talk_ms // 1000, stint.hold_ms // 1000, stint.wrap_ms // 1000
    return talk, hold, talk + hold + wrap


def test_every_order_gives_the_same_rows():
    assert len({rows(order) for order in permutations(STORY)}) == 1
    assert {durations(order) for order in permutations(STORY)} == {(140, 60, 200)}


def test_every_order_of_every_subset_gives_the_same_rows():
    for size in range(1, len(STORY)):
        for subset in combinations(STORY, size):
            assert len({rows(order) for order in permutations(subset)}) == 1


def test_an_open_hold_ends_with_the_contact():
    before = [told for told in STORY if told.event_id != "e4"]
    assert {durations(order) for order in permutations(before)} == {(90, 110, 200)}


def test_a_fold_in_order_of_arrival_is_caught(monkeypatch):
    in_order = rows(STORY)
    monkeypatch.setattr(Event, "order", property(lambda _: 0))
    assert rows(STORY) == in_order  # nothing is wrong with it as long as nothing is late
    with pytest.raises(AssertionError):
        test_every_order_gives_the_same_rows()


CUTS = list(product((False, True), repeat=len(STORY) - 1))


@pytest.mark.parametrize("order", [STORY, STORY[::-1], STORY[3:] + STORY[:3]], ids=str)
def test_every_cut_into_batches_and_every_duplicate(order, batches):
    whole = batches([order])
    stints = [row for row in whole if row["kind"] == "handling_segment"]
    assert [(stint["talk_ms"], stint["hold_ms"]) for stint in stints] == [(140_000, 60_000)]
    for cut in CUTS:
        cut_batches = [[order[0]]]
        for told, new in zip(order[1:], cut, strict=True):
            if new:
                cut_batches.append([])
            cut_batches[-1].append(told)
        assert batches(cut_batches) == whole
    for twice in order:
        assert batches([[*order, twice]]) == whole
        assert batches([[twice], order]) == whole
        assert batches([order, [twice]]) == whole
