"""What is said of contacts afterwards changes nothing of what happened."""

from __future__ import annotations

from dataclasses import replace

from pipeline.simulator import SimulatorConfig
from pipeline.simulator.judgements import KINDS
from tests.unit.simulator.center import HOUR_MS, Event, Run, at_ms, run

CONFIG = SimulatorConfig(events_per_second=20)
SILENT = replace(CONFIG, decision_share=0.0, evaluation_share=0.0, case_share=0.0)
LOUD = replace(CONFIG, decision_share=0.5, evaluation_share=0.5, case_share=0.5)
DAYS = 24


def judging(told: Run) -> list[Event]:
    return [event for event in told.events if event["kind"] in KINDS]


def test_the_course_of_the_center_is_the_same_with_and_without():
    silent, loud = run(SILENT, hours=1), run(LOUD, hours=1)
    assert judging(silent) == []
    assert len(judging(loud)) > 1000
    assert [event for event in loud.events if event["kind"] not in KINDS] == silent.events


def test_much_is_told_days_later_and_some_is_told_again():
    quiet = replace(LOUD, events_per_second=2.0)
    told = run(
        replace(quiet, arrivals_stop_ms=run(quiet, hours=0).until_ms + HOUR_MS), hours=DAYS * 8
    )
    ends = {e["interaction_id"]: at_ms(e) for e in told.events if e["kind"] == "completed"}
    lags = [
        at_ms(event) - ends[event["interaction_id"]]
        for event in judging(told)
        if event["kind"] == "evaluation" and event["interaction_id"] in ends
    ]
    assert len(lags) > 50
    assert min(lags) > 0
    assert sum(lag > DAYS * HOUR_MS for lag in lags) > len(lags) / 2
    versions = {e["event_id"] for e in judging(told) if e.get("record_version") == 1}
    first = {e["event_id"]: e for e in judging(told) if "record_version" not in e}
    assert versions
    assert {first[event_id]["customer_errors"] > 0 for event_id in versions} == {True}


def test_a_case_is_opened_before_it_is_resolved_and_resolved_before_it_is_reopened():
    told = run(LOUD, hours=6)
    states: dict[str, str] = {}
    follows = {"case_opened": None, "case_resolved": ("case_opened", "case_reopened"),
               "case_reopened": ("case_resolved",)}  # fmt: skip
    for event in judging(told):
        if event["kind"] in follows:
            before = states.get(event["case_id"])
            allowed = follows[event["kind"]]
            assert before is None if allowed is None else before in allowed
            states[event["case_id"]] = event["kind"]
    assert set(states.values()) == set(follows)
