"""Cases, from what several interactions say of them."""

from __future__ import annotations

from itertools import permutations

from pipeline.folds import case
from pipeline.folds.event import reduce
from tests.properties.stories import START, event

START_MS = round(START.timestamp() * 1000)
SECOND = 1000


def parts(**interactions):
    """Parts of cases: by interaction, its events as (kind, seconds, further fields)."""
    found = []
    number = 0
    for name, rows in interactions.items():
        events = []
        for kind, at, fields in rows:
            number += 1
            row = {"kind": kind, "at": at, "interaction_id": name, "channel": "voice", **fields}
            events.append(reduce(event(row, number)))
        found += case.parts(name, sorted(events, key=lambda e: e.order))
    return found


C = {"case_id": "C"}


def only(case_parts):
    (row,) = case.fold(case_parts).rows
    assert (row.fact_id, row.kind) == ("C/case", "case")
    return row.fact


def test_a_case_of_two_contacts_reopened_once():
    told = parts(
        k1=[("accepted", 0, C), ("case_opened", 10, C), ("case_resolved", 100, C | {
            "performer_id": "ann"})],
        k2=[("queued", 500, C), ("case_reopened", 510, C)],
        C=[("case_resolved", 900, {"performer_id": "bob"})],
    )  # fmt: skip
    fact = only(told)
    assert fact.opened_ms == START_MS + 10 * SECOND
    assert fact.first_resolved_ms == START_MS + 100 * SECOND
    assert fact.resolved_ms == START_MS + 900 * SECOND
    assert (fact.resolutions, fact.reopens, fact.contacts) == (2, 1, 2)
    assert fact.header.performer_id == "bob"
    assert fact.header.interaction_id == "k1"
    assert {only(order) for order in permutations(told)} == {fact}


def test_while_it_is_open_again_it_is_not_resolved():
    fact = only(parts(
        C=[("case_opened", 0, {}), ("case_resolved", 5, {}), ("case_reopened", 9, {})]
    ))  # fmt: skip
    assert (fact.first_resolved_ms, fact.resolved_ms) == (START_MS + 5 * SECOND, None)
    assert (fact.resolutions, fact.reopens, fact.contacts) == (1, 1, 0)
    assert fact.told_ms == START_MS + 9 * SECOND


def test_what_is_said_twice_or_without_reason_changes_nothing():
    fact = only(parts(
        C=[("case_reopened", 0, {}), ("case_opened", 1, {}), ("case_opened", 2, {}),
           ("case_resolved", 5, {}), ("case_resolved", 7, {})]
    ))  # fmt: skip
    assert (fact.opened_ms, fact.resolved_ms) == (START_MS + SECOND, START_MS + 5 * SECOND)
    assert (fact.resolutions, fact.reopens) == (1, 0)


def test_a_case_that_is_only_named_is_not_told():
    assert case.fold(parts(k1=[("accepted", 0, C)])).rows == ()
    assert parts(C=[("accepted", 0, C)]) == []  # an interaction is no contact of itself
