"""Simulated centers for these tests, and times as integers."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pipeline.simulator import Simulator, SimulatorConfig
from pipeline.simulator.judgements import KINDS as JUDGEMENTS

Event = dict[str, Any]

START_MS = int(datetime(2026, 6, 1, 9, tzinfo=UTC).timestamp() * 1000)
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
FLAT_DAY = (1.0,) * 24


class Run(NamedTuple):
    """A simulator, everything it has told, and until when."""

    simulator: Simulator
    events: list[Event]
    until_ms: int


def run(config: SimulatorConfig, *, hours: float, seed: int = 7, id_prefix: str = "t") -> Run:
    simulator = Simulator(config, seed, START_MS, id_prefix)
    until_ms = START_MS + int(hours * HOUR_MS)
    return Run(simulator, list(simulator.generate(until_ms)), until_ms)


def at_ms(event: Event) -> int:
    at = datetime.fromisoformat(event["occurred_at"])
    return int(at.timestamp()) * 1000 + at.microsecond // 1000


def by_interaction(events: list[Event]) -> dict[str, list[Event]]:
    """The course of each interaction; what judges it afterwards is no part of it."""
    found: defaultdict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event["kind"] not in ("performer_state", "plan", *JUDGEMENTS):
            found[event["interaction_id"]].append(event)
    return found
