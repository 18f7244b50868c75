"""What the horizon does: corrections of any age, late records, restarts after keys have frozen.

What happens to each correction is computed by hand; then the same is played with other batches,
over more partitions, and with restarts.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kpi import catalogue
from pipeline.kpi.plan import Plan
from pipeline.stages.performers import decode_state as decode_performer
from pipeline.stages.wire import DIRTY, FROZEN, LATE, control_kind
from schemas.exhibit_file import load_exhibit
from schemas.topics import FACTS
from tests.properties.ages import ASA, DAY, EXHIBIT, HALF_HOUR, START_MS, STORY
from tests.properties.ages import LATE as LATE_EVENTS
from tests.properties.stories import event
from tests.properties.world import World


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan([load_exhibit(EXHIBIT)], catalogue.load())


def play(plan: Plan, partitions: int, *, until: float, anew: bool = False) -> World:
    """The world on day ``until``; with ``anew`` every owner falls each time time passes."""
    world = World(plan, partitions)
    days = sorted({told.day for told in STORY if told.day < until} | {10, 33, 34, until})
    for day in [day for day in days if day <= until]:
        for told in STORY:
            if told.day == day:
                world.say(event(told.row, 0))
        world.run()
        pass_time(world, day)
        if anew:
            for owned in world.owned:
                world.begin_anew(owned.stage, owned.number)
            pass_time(world, day + 0.01)
    return world


def pass_time(world: World, day: float) -> None:
    """Three ticks: what goes at one is published once more before it does at the next."""
    for second in (1, 2, 3):
        world.tick(START_MS + round(day * DAY) * 1_000 + second * 1_000)
        world.run()


def value(world: World, name: str, kind: str) -> tuple[int | None, int | None] | None:
    """Numerator and denominator of the total."""
    for found in world.values():
        known = (found.name, found.window.kind, found.dimensions) == (name, kind, {"queue": "*"})
        half_hour = found.window.size == "30m" and found.window.start == HALF_HOUR
        if known and (kind == "all" or half_hour):
            return found.numerator, found.denominator
    return None


def told_beside(world: World, kind: bytes) -> list[dict[str, Any]]:
    """What was told beside facts, in the order of its content."""
    found = [
        json.loads(record.value or b"")
        for (topic, _), log in world.logs.items()
        if topic == FACTS
        for record in log
        if control_kind(record.headers) == kind
    ]
    return sorted(found, key=json.dumps)


@pytest.mark.parametrize("anew", [False, True], ids=["", "owners fall"])
@pytest.mark.parametrize("partitions", [1, 3])
def test_corrections_of_any_age(plan, partitions, anew):
    for day, asa in ASA.items():
        world = play(plan, partitions, until=day, anew=anew)
        assert value(world, "asa", "all") == asa
        assert value(world, "offered", "all") == (asa[1], asa[1])
        assert value(world, "asa", "tumbling") == (asa if day < 30 else None)
        assert value(world, "csat_top_box", "all") == ((1, 1) if day >= 29 else (0, 0))
        assert value(world, "max_wait", "all") == (
            {0.25: 20_000, 0.5: 30_000}.get(day, 40_000), 1
        )  # fmt: skip


def test_a_clock_that_leaps_beyond_the_horizon_leaves_no_bucket_unpublished(plan):
    world = World(plan, 2)
    for told in STORY[:6]:
        world.say(event(told.row, 0))
    world.tick(START_MS + 40 * DAY * 1_000)
    world.run()
    assert value(world, "asa", "tumbling") == value(world, "asa", "all") == (30_000, 2)
    pass_time(world, 41)
    assert value(world, "asa", "tumbling") is None
    assert value(world, "asa", "all") == (30_000, 2)


def test_what_was_let_go_and_corrected_is_told(plan):
    world = play(plan, 2, until=45)
    dirty = told_beside(world, DIRTY)
    told = {(one["exhibit"], *one["cell"], one["start_ms"], one["clock_ms"]) for one in dirty}
    assert told == {("ages", "q", START_MS, START_MS + 40 * DAY * 1_000 + 1_000)}


def test_what_comes_too_late_is_told_and_known_from_what_comes_twice(plan):
    world = play(plan, 2, until=45)
    assert told_beside_ids(world) == set(LATE_EVENTS)
    frozen = {one["interaction_id"]: one["event_ids"] for one in told_beside(world, FROZEN)}
    assert frozen == {
        name: [f"{name}-accepted", f"{name}-done", f"{name}-queued"] for name in ("k1", "k3", "k4")
    }


def test_nothing_but_sums_is_left_of_what_is_frozen(plan):
    world = play(plan, 2, until=45)
    # k2 told of day 29, so it goes 32 days and a tick later.
    pass_time(world, 62)
    kept = {owned.stage: 0 for owned in world.owned}
    for owned in world.owned:
        kept[owned.stage] += sum(not key.startswith(b"\0") for key in owned.state)
    assert kept["lifecycle"] == kept["journeys"] == 0
    assert value(world, "asa", "all") == (107_000, 4)


@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_batches_and_restarts_change_neither_values_nor_what_is_late(plan, data):
    """The order in the log is given; who reads it, in which pieces and how often, is not."""
    random = data.draw(st.randoms(use_true_random=False))
    reference = play(plan, 2, until=45)
    world = World(plan, 2)
    for (topic, number), log in reference.logs.items():
        if topic == "cx.interactions":
            own = [record for record in log if record.event or control_kind(record.headers)]
            world.logs[topic, number].extend(own)
    world.run_anyhow(random.randrange, crash_in=6)
    for each in (world, reference):
        pass_time(each, 46)
    assert told_beside_ids(world) == told_beside_ids(reference)
    for name in ("asa", "offered", "csat_top_box", "max_wait", "fcr_repeat"):
        assert value(world, name, "all") == value(reference, name, "all")


def told_beside_ids(world: World) -> set[tuple[str, str]]:
    return {(one["interaction_id"], one["event_id"]) for one in told_beside(world, LATE)}


SHIFTS = """
exhibit: shifts
windows: [{tumbling: day}, all]
kpis:
  - {kpi: login_time}
  - {kpi: concurrent_aht}
  - {kpi: performers_by_state, parameters: {state: available}}
"""


def shift(day: int) -> list[dict[str, Any]]:
    """An hour of work of ann, with one call of ten minutes in it."""
    state = {"channel": "voice", "interaction_id": "ann", "performer_id": "ann"}
    call = {"channel": "voice", "interaction_id": f"d{day}", "performer_id": "ann"}
    at = day * DAY
    return [
        {
            **state, "kind": "performer_state", "state": "available", "at": at,
            "event_id": f"in{day}",
        },
        {**call, "kind": "accepted", "at": at + 600, "event_id": f"a{day}"},
        {**call, "kind": "completed", "at": at + 1200, "event_id": f"c{day}"},
        {
            **state, "kind": "performer_state", "state": "offline", "at": at + 3600,
            "event_id": f"out{day}",
        },
    ]  # fmt: skip


@pytest.mark.parametrize("anew", [False, True], ids=["", "owners fall"])
def test_a_performer_is_no_more_than_what_is_not_frozen(anew):
    """The horizon of working time is 9 days, and a contact's own record stays for as long."""
    world = World(Plan([load_exhibit(SHIFTS)], catalogue.load()), 2)
    for day in range(25):
        for row in shift(day):
            world.say(event(row, 0))
        world.run()
        pass_time(world, day + 0.5)
        if anew:
            for owned in world.owned:
                world.begin_anew(owned.stage, owned.number)
            pass_time(world, day + 0.6)
    found = {v.name: (v.numerator, v.denominator) for v in world.values() if v.window.kind == "all"}
    # 25 days of 3,600 s; 25 calls of 600 s.
    assert found["login_time"][0] == 90_000_000
    assert found["concurrent_aht"] == (15_000_000, 25)
    assert found["performers_by_state"][0] == 0
    (state,) = [
        decode_performer(value)
        for owned in world.owned
        if owned.stage == "performers"
        for key, value in owned.state.items()
        if not key.startswith(b"\0")
    ]
    assert len(state.events) <= 2 * 12
    assert len(state.rows) <= 12
    late = {**shift(1)[0], "event_id": "late"}
    world.say(event(late, 0))
    world.run()
    assert ("ann", "late") in told_beside_ids(world)
