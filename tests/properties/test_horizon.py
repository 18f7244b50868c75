"""What the horizon does: corrections of any age, late records, restarts after keys have frozen.

The exhibit's surveys give it a horizon of 32 days. What happens to each correction is computed by
hand; then the same is played with other batches, over more partitions, and with restarts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kpi import catalogue
from pipeline.kpi.plan import Plan
from pipeline.stages.wire import DIRTY, FROZEN, LATE, control_kind
from schemas.exhibit_file import load_exhibit
from schemas.topics import FACTS
from tests.properties.stories import START, event
from tests.properties.world import World

DAY = 86_400
START_MS = round(START.timestamp() * 1000)
HALF_HOUR = "2026-03-02T09:00:00Z"

EXHIBIT = """
exhibit: ages
by: [queue]
windows: [{tumbling: 30m}, {tumbling: day}, all]
kpis:
  - {kpi: offered}
  - {kpi: asa}
  - {kpi: max_wait}
  - {kpi: csat_top_box}
  - {kpi: fcr_repeat, parameters: {scope: any}}
"""


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan([load_exhibit(EXHIBIT)], catalogue.load())


class Told(NamedTuple):
    """An event that comes ``day`` days after the beginning."""

    day: float
    row: dict[str, Any]


def contact(day: float, number: int, at: int, wait: int) -> list[Told]:
    """A call of customer c that waits ``wait`` seconds, told on ``day``."""
    of = {"interaction_id": f"k{number}", "channel": "voice", "queue": "q"}
    by = {**of, "performer_id": "ann"}
    name = f"k{number}-"
    return [
        Told(day, {**of, "kind": "queued", "at": at, "event_id": f"{name}queued"}),
        Told(day, {**by, "kind": "accepted", "at": at + wait, "event_id": f"{name}accepted"}),
        Told(day, {**by, "kind": "completed", "at": at + wait + 60, "event_id": f"{name}done"}),
    ]


def corrected(day: float, number: int, at: int) -> Told:
    """The answer of a call, told anew."""
    row = {
        "interaction_id": f"k{number}", "channel": "voice", "queue": "q", "performer_id": "ann",
        "kind": "accepted", "at": at, "event_id": f"k{number}-accepted", "record_version": 1,
    }  # fmt: skip
    return Told(day, row)


SURVEY = {
    "interaction_id": "k2", "channel": "voice", "kind": "survey_answered", "survey_id": "s2",
    "question": "csat", "scale": 5, "score": 5, "at": 29 * DAY, "event_id": "k2-survey",
}  # fmt: skip

STORY: Sequence[Told] = [
    *contact(0, 1, at=0, wait=10),
    *contact(0, 2, at=100, wait=20),
    *contact(0.5, 3, at=200, wait=30),
    *contact(1.5, 4, at=300, wait=40),
    corrected(8, 1, at=12),
    Told(29, SURVEY),
    # k2 lives on by its survey, and its half hour was let go on day 32.
    corrected(40, 2, at=125),
    # k1 was forgotten on day 32, and k5 was never known.
    corrected(45, 1, at=11),
    *contact(45, 5, at=400, wait=50),
]


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
        start = found.window.start
        if (found.name, found.window.kind) == (name, kind) and found.dimensions == {"queue": "*"}:
            if kind == "all" or (found.window.size == "30m" and start == HALF_HOUR):
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
    expected = {
        # Waits of 10 and 20 seconds; then 30, 40 come; then 10 is 12; then 20 is 25.
        0.25: (30_000, 2),
        0.5: (60_000, 3),
        1.5: (100_000, 4),
        8: (102_000, 4),
        29: (102_000, 4),
        40: (107_000, 4),
        45: (107_000, 4),
    }
    for day, asa in expected.items():
        world = play(plan, partitions, until=day, anew=anew)
        assert value(world, "asa", "all") == asa
        assert value(world, "offered", "all") == (asa[1], asa[1])
        assert value(world, "asa", "tumbling") == (asa if day < 30 else None)
        assert value(world, "csat_top_box", "all") == ((1, 1) if day >= 29 else (0, 0))
        assert value(world, "max_wait", "all") == (
            {0.25: 20_000, 0.5: 30_000}.get(day, 40_000), 1
        )  # fmt: skip


def test_what_was_let_go_and_corrected_is_told(plan):
    world = play(plan, 2, until=45)
    dirty = told_beside(world, DIRTY)
    told = {(one["exhibit"], *one["cell"], one["start_ms"], one["clock_ms"]) for one in dirty}
    assert told == {("ages", "q", START_MS, START_MS + 40 * DAY * 1_000 + 1_000)}


def test_what_comes_too_late_is_told_and_known_from_what_comes_twice(plan):
    world = play(plan, 2, until=45)
    late = [(one["interaction_id"], one["event_id"]) for one in told_beside(world, LATE)]
    assert late == [
        ("k1", "k1-accepted"), ("k5", "k5-accepted"), ("k5", "k5-done"), ("k5", "k5-queued"),
    ]  # fmt: skip
    frozen = {one["interaction_id"]: one["event_ids"] for one in told_beside(world, FROZEN)}
    assert frozen == {
        name: [f"{name}-accepted", f"{name}-done", f"{name}-queued"] for name in ("k1", "k3", "k4")
    }
    for _, log in world.logs.items():
        assert all("late" not in str(record.key) for record in log if record.event)


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
