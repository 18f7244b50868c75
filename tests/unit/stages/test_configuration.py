"""Exhibits in force: versions, ends, and one text for all ways to write the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.stages.configuration import (
    Configuration,
    ConfigurationError,
    ExhibitChange,
    decode_configuration,
    encode_configuration,
    text_of,
)
from schemas.exhibit_file import load_exhibit

SALES = """
exhibit: sales
version: 3
title: Sales
preset: copc_default
time_zone: Europe/Berlin
where: {queue: ["sales-*"], channel: voice}
by: [queue]
windows: [15m, today, all, {tumbling: 30m}]
business_hours: {mon-fri: "08:00-18:00", sat: ["09:00-12:00", "13:00-24:00"], holidays: [2026-12-25]}
kpis:
  - {kpi: service_level, as: sl, parameters: {mode: E}, target: ">= 0.80", min_n: 30}
  - {kpi: aht, attribution: event, owner: OSP, method: census, alert: {severity: page}, target: "<= 9"}
"""  # noqa: E501


def test_a_text_says_everything_the_exhibit_says():
    exhibit = load_exhibit(SALES)
    again = load_exhibit(text_of(exhibit))
    assert again == exhibit
    assert text_of(again) == text_of(exhibit)
    spaced = load_exhibit(SALES.replace('queue: ["sales-*"]', "queue: sales-*"))
    assert text_of(spaced) == text_of(exhibit)


def change(version, text="x", name="e", **more):
    return ExhibitChange(name, version, text, **more)


def test_a_new_version_stands_beside_the_old_one_until_that_is_retired():
    found = Configuration({}, {})
    assert found.apply(change(1, "one"))
    assert found.apply(change(2, "two"))
    assert (found.texts, found.newest) == ({"e": {1: "one", 2: "two"}}, {"e": 2})
    assert found.apply(change(2, None, retires=True))
    assert found.texts == {"e": {2: "two"}}
    assert not found.apply(change(2, None, retires=True))


def test_what_is_known_or_older_changes_nothing_and_two_texts_of_one_version_are_refused():
    found = Configuration({}, {})
    found.apply(change(2, "two"))
    assert not found.apply(change(2, "two"))
    assert not found.apply(change(1, "one"))
    with pytest.raises(ConfigurationError, match="e version 2 is in force with another text"):
        found.apply(change(2, "other"))
    assert found.texts == {"e": {2: "two"}}


def test_an_ended_exhibit_returns_with_a_higher_version_only():
    found = Configuration({}, {})
    found.apply(change(4, "four"))
    assert found.apply(change(0, None))
    assert (found.texts, found.ended) == ({}, {"e": 4})
    assert not found.apply(change(4, "four"))
    assert found.apply(change(5, "five"))
    assert found.newest == {"e": 5}


CHANGES = st.lists(
    st.builds(
        lambda name, version, kind: ExhibitChange(
            name, version, None if kind else f"{name}{version}", retires=kind == 2
        ),
        st.sampled_from("ab"), st.integers(1, 4), st.sampled_from([0, 0, 0, 1, 2]),
    ),
    max_size=8,
)  # fmt: skip


@given(CHANGES)
def test_what_is_stored_is_what_is_in_force(changes):
    found = Configuration({}, {})
    for one in changes:
        found.apply(one)
    stored = decode_configuration(encode_configuration(found))
    assert (stored.texts, stored.ended, stored.digest) == (found.texts, found.ended, found.digest)
    told = Configuration({}, {})
    for one in found.changes():
        told.apply(one)
    assert (told.newest, told.ended) == (found.newest, found.ended)


def test_workers_share_one_plan():
    exhibit = load_exhibit(SALES)
    first, second = Configuration.of([exhibit]), Configuration.of([exhibit])
    assert first.digest == second.digest
    assert first.plan() is second.plan()
    assert [plan.exhibit.exhibit for plan in first.plan().exhibits] == ["sales"]
