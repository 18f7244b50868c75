"""Plans stand beside the rest of a simulation and change nothing in it."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise

from pipeline.simulator import Simulator, SimulatorConfig
from schemas.interaction import EVENT_ADAPTER
from tests.unit.simulator.center import FLAT_DAY, HOUR_MS, START_MS, at_ms, run

PLAIN = SimulatorConfig(events_per_second=10)
PLANNED = SimulatorConfig(events_per_second=10, plans=True)


def is_planned(event):
    """Whether an event is one of these plans; schedules are published by others."""
    return "-plan-" in event["event_id"]


def plans(events):
    return [event for event in events if is_planned(event)]


def test_the_other_events_are_the_same():
    with_plans = run(PLANNED, hours=0.5).events
    others = [event for event in with_plans if not is_planned(event)]
    assert others == run(PLAIN, hours=0.5).events
    assert plans(run(PLANNED, hours=0.5).events) == plans(with_plans)
    assert all(at_ms(a) <= at_ms(b) for a, b in pairwise(with_plans))


def test_they_do_not_depend_on_how_the_caller_cuts():
    whole = run(PLANNED, hours=0.5).events
    simulator = Simulator(PLANNED, 7, START_MS, "t")
    cut = []
    while len(cut) < len(whole):
        cut += simulator.take(100, START_MS + HOUR_MS // 2)
    assert cut == whole


def test_every_plan_is_a_valid_event_and_of_every_sort():
    told = plans(run(PLANNED, hours=0.1).events)
    for event in told:
        EVENT_ADAPTER.validate_json(json.dumps(event))
    assert Counter(event["plan"] for event in told).keys() == {
        "forecast", "required", "rate", "employment", "verification", "training", "ethics_check",
        "enps",
    }  # fmt: skip
    assert len({event["interaction_id"] for event in told}) == len(told)


def test_each_half_hour_is_planned_once_a_day_ahead():
    config = SimulatorConfig(events_per_second=1, plans=True, daily_curve=FLAT_DAY)
    told = plans(run(config, hours=25).events)
    starts = {event["starts_at"] for event in told if event["plan"] == "required"}
    # 48 half hours on the first day, and 48 more told a day later.
    assert len(starts) == 96
    assert min(starts) == "2026-06-01T09:00:00.000Z"
    assert max(starts) == "2026-06-03T08:30:00.000Z"
    ids = Counter(e["interaction_id"] for e in told if e["plan"] in ("required", "forecast"))
    assert set(ids.values()) == {1}
