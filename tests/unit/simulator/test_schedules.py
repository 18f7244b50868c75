"""What is planned for agents: beside the story, and told again where it changes."""

from __future__ import annotations

from datetime import datetime

from pipeline.simulator import SimulatorConfig
from pipeline.simulator.judgements import KINDS as JUDGEMENTS
from schemas.interaction import EVENT_ADAPTER
from tests.unit.simulator.center import Event, run


def plans(events: list[Event]) -> list[Event]:
    return [event for event in events if event["kind"] == "plan" and event["plan"] == "schedule"]


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def test_the_shift_of_every_agent_is_told():
    told = run(SimulatorConfig(events_per_second=10), hours=1)
    events = plans(told.events)
    agents = {e["performer_id"] for e in told.events if e["kind"] == "performer_state"}
    shifts = {e["performer_id"]: e for e in events if e["activity"] == "on_queue"}
    assert agents <= shifts.keys()
    for event in events:
        entry = EVENT_ADAPTER.validate_python(
            {**event, "occurred_at": datetime.fromisoformat(event["occurred_at"])}
            | {name: datetime.fromisoformat(event[name]) for name in ("starts_at", "ends_at")}
        )
        assert (entry.kind, event["plan"], event["value"]) == ("plan", "schedule", 1)
        assert _ms(event["starts_at"]) % 900_000 == 0


def test_breaks_lie_within_the_shift_and_some_are_moved():
    events = plans(run(SimulatorConfig(events_per_second=10), hours=1).events)
    shifts = {
        e["interaction_id"].removesuffix("-shift"): (_ms(e["starts_at"]), _ms(e["ends_at"]))
        for e in events
        if e["activity"] == "on_queue"
    }
    entries: dict[str, list[int]] = {}
    for event in events:
        if event["activity"] in ("break", "meal"):
            shift, _, _ = event["interaction_id"].rpartition("-break-")
            begin, end = shifts[shift]
            assert begin < _ms(event["starts_at"]) < _ms(event["ends_at"]) < end
            entries.setdefault(event["interaction_id"], []).append(_ms(event["starts_at"]))
    moved = [starts for starts in entries.values() if len(starts) == 2]
    assert 0.02 < len(moved) / len(entries) < 0.1
    assert all(second - first == 900_000 for first, second in moved)


def test_plans_take_no_number_of_the_story():
    events = run(SimulatorConfig(events_per_second=10), hours=0.1).events
    story = [event for event in events if event["kind"] not in ("plan", *JUDGEMENTS)]
    assert [event["source_seq"] for event in story] == list(range(1, len(story) + 1))
    assert not any("source_seq" in event for event in plans(events))
