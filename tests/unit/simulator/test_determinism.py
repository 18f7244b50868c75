"""The same arguments tell the same story; ids belong to one start."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.simulator import Simulator, SimulatorConfig
from tests.unit.simulator.center import HOUR_MS, START_MS, Event, run

CONFIG = SimulatorConfig(events_per_second=10)

DIGEST_SCRIPT = """
import hashlib, json
from pipeline.simulator import SimulatorConfig
from tests.unit.simulator.center import run
events = run(SimulatorConfig(events_per_second=10), hours=0.25).events
print(hashlib.sha256(json.dumps(events).encode()).hexdigest())
"""


def digest(events: list[Event]) -> str:
    return hashlib.sha256(json.dumps(events).encode()).hexdigest()


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_same_bytes_in_every_process(hash_seed: str):
    told = subprocess.run(
        [sys.executable, "-c", DIGEST_SCRIPT],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == digest(run(CONFIG, hours=0.25).events)


def test_same_bytes_however_the_caller_cuts():
    until_ms = START_MS + HOUR_MS // 4
    simulator = Simulator(CONFIG, 7, START_MS, "t")
    cut: list[Event] = []
    step_ms = 0
    while simulator.now_ms < until_ms:
        step_ms += 7_001
        step_until_ms = min(START_MS + step_ms, until_ms)
        while part := simulator.take(13, step_until_ms):
            cut += part
            simulator.next_event_ms()
    assert digest(cut) == digest(run(CONFIG, hours=0.25).events)


def test_next_event_is_the_one_that_comes_next():
    simulator = Simulator(CONFIG, 7, START_MS, "t")
    list(simulator.generate(START_MS + HOUR_MS // 10))
    next_ms = simulator.next_event_ms()
    assert next_ms is not None
    assert simulator.take(1, next_ms - 1) == []
    assert len(simulator.take(1, next_ms)) == 1


def test_another_start_shares_no_id_and_no_customer():
    one = run(CONFIG, hours=0.25, id_prefix="one").events
    two = run(CONFIG, hours=0.25, id_prefix="two").events
    for name in ("event_id", "customer"):
        ours, theirs = ({event[name] for event in told if name in event} for told in (one, two))
        assert len(ours) > 100
        assert not ours & theirs
    contacts = [
        {event["interaction_id"] for event in told if event["kind"] == "started"}
        for told in (one, two)
    ]
    assert not contacts[0] & contacts[1]
    assert all(event["event_id"].startswith("one-7-") for event in one)
    assert [(event["kind"], event["occurred_at"]) for event in one] == [
        (event["kind"], event["occurred_at"]) for event in two
    ]


def test_another_seed_is_another_day():
    one = run(CONFIG, hours=0.1, seed=1).events
    two = run(CONFIG, hours=0.1, seed=2).events
    assert {event["event_id"] for event in one}.isdisjoint(event["event_id"] for event in two)
    assert [event["occurred_at"] for event in one] != [event["occurred_at"] for event in two]
