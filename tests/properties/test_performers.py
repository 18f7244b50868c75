"""Random working days through every stage, and what holds of performers' time whatever comes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kpi import catalogue
from pipeline.kpi.plan import Plan
from schemas.exhibit_file import load_exhibit
from schemas.values import ExhibitValue
from tests.properties.shifts import days
from tests.properties.stories import SPAN_SECONDS
from tests.properties.test_stages import START_MS, content, in_one_go
from tests.properties.world import Row, World

MIDDAY_MS = START_MS + SPAN_SECONDS * 500
EVENING_MS = START_MS + 6 * 3_600_000


@pytest.fixture(scope="module")
def plan() -> Plan:
    """The plan of an exhibit that asks for everything about working time."""
    exhibit = load_exhibit(Path(__file__).parent / "exhibit_workforce.yaml")
    return Plan([exhibit], catalogue.load())


def told(values: Iterable[ExhibitValue]) -> dict[bytes, tuple[object, ...]]:
    """Values by key, without cells and buckets in which nothing ever was."""
    rows = [v for v in values if v.numerator or v.denominator]
    return {v.key: content(v) for v in rows if v.attribution != "gauge"}


@pytest.mark.parametrize("clock_ms", [MIDDAY_MS, EVENING_MS], ids=["midday", "evening"])
@pytest.mark.parametrize("partitions", [1, 3])
@given(data=st.data())
@settings(max_examples=20)
def test_nothing_on_the_way_changes_a_performers_time(plan, partitions, clock_ms, data):
    events = data.draw(days())
    reference = in_one_go(plan, events, clock_ms)
    arrivals = data.draw(st.permutations(events))
    if events:
        arrivals += data.draw(st.lists(st.sampled_from(events), max_size=4))
    ticks = data.draw(st.sets(st.integers(0, len(arrivals)), max_size=3))
    random = data.draw(st.randoms(use_true_random=False))
    world = World(plan, partitions)
    minutes = 0
    for number, arrived in enumerate(arrivals):
        if number in ticks:
            minutes += 20
            world.tick(min(START_MS + minutes * 60_000, clock_ms - 1_000))
            if random.random() < 0.5:
                world.run_anyhow(random.randrange, crash_in=5)
        world.say(arrived)
    world.tick(clock_ms)
    world.run_anyhow(random.randrange, crash_in=5)
    world.tick(clock_ms)
    world.run()
    assert told(world.values()) == told(reference.values())
    assert world.facts_but_journeys() == reference.facts_but_journeys()


def stretches(facts: Sequence[Row]) -> dict[str, list[Row]]:
    """Stretches of each performer in order."""
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for fact in facts:
        if fact["kind"] == "performer_time":
            found[fact["performer_id"]].append(fact)
    return {name: sorted(rows, key=lambda row: row["entered_ms"]) for name, rows in found.items()}


@given(days())
def test_stretches_are_disjoint_and_none_repeats_the_one_before(plan, events):
    facts = in_one_go(plan, events, EVENING_MS).facts()
    for rows in stretches(facts).values():
        for row in rows[:-1]:
            assert row["entered_ms"] < row["left_ms"]
        for one, other in pairwise(rows):
            assert one["left_ms"] <= other["entered_ms"]
            if one["left_ms"] == other["entered_ms"]:
                changed = {"entered_ms", "left_ms", "fact_id"}
                assert {k: v for k, v in one.items() if k not in changed} != {
                    k: v for k, v in other.items() if k not in changed
                }


def _length(rows: Iterable[Row], until_ms: int) -> int:
    return sum((row["left_ms"] or until_ms) - row["entered_ms"] for row in rows)


@given(days())
def test_sessions_share_the_time_in_which_there_is_one(plan, events):
    """Union of sessions at most their sum; parts of it add up to it, once all have ended."""
    facts = in_one_go(plan, events, EVENING_MS).facts()
    by_performer: defaultdict[str, list[Row]] = defaultdict(list)
    for fact in facts:
        if fact["kind"] == "session":
            by_performer[fact["performer_id"]].append(fact)
    for name, sessions in by_performer.items():
        if any(session["closed_ms"] is None for session in sessions):
            continue
        busy = [row for row in stretches(facts).get(name, []) if row["handling"]]
        union_ms = _length(busy, EVENING_MS)
        assert union_ms == sum(session["pro_rata_ms"] for session in sessions)
        assert union_ms <= sum(session["session_ms"] for session in sessions)
        for session in sessions:
            assert 0 <= session["pro_rata_ms"] <= session["session_ms"]


@given(days())
def test_quarters_and_half_hours_of_clipped_time_add_up_to_the_whole(plan, events):
    values = in_one_go(plan, events, EVENING_MS).values()
    clipped = [v for v in values if v.attribution == "clip" and v.name != "staffed"]
    sums: defaultdict[tuple[object, ...], list[int]] = defaultdict(lambda: [0, 0])
    for value in clipped:
        if value.window.kind in ("tumbling", "all"):
            place = (value.name, tuple(value.dimensions.values()), value.window.size)
            sums[place][0] += value.numerator or 0
            sums[place][1] += value.denominator or 0
    for (name, cell, size), whole in list(sums.items()):
        if size is None:
            assert sums[name, cell, "15m"] == sums[name, cell, "30m"] == whole


def _overlap(fact: Row, start_ms: int, end_ms: int) -> int:
    left_ms = EVENING_MS if fact["left_ms"] is None else min(fact["left_ms"], EVENING_MS)
    return max(min(left_ms, end_ms) - max(fact["entered_ms"], start_ms), 0)


@given(days())
def test_every_window_has_what_lies_in_it(plan, events):
    """Slopes give what adding up overlaps gives, in sliding windows and buckets."""
    world = in_one_go(plan, events, MIDDAY_MS, EVENING_MS)
    rows = [row for row in world.facts() if row["kind"] == "performer_time" and row["logged_in"]]
    rows = [row for row in rows if row["direction"] == "inbound"]
    for value in world.values():
        if value.name != "login_time" or set(value.dimensions.values()) != {"*"}:
            continue
        bounds = (value.window.start, value.window.end)
        start_ms, end_ms = (
            round(datetime.fromisoformat(at).timestamp() * 1000) if at else default
            for at, default in zip(bounds, (0, EVENING_MS), strict=True)
        )
        expected = sum(_overlap(row, start_ms, min(end_ms, EVENING_MS)) for row in rows)
        assert (value.window, value.numerator) == (value.window, expected)
