"""A story of four calls and what is told of them up to 45 days later, for tests of the horizon.

All four lie in one half hour. The exhibit's surveys give it a horizon of 32 days. What each day's
values are is computed by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.properties.stories import START

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

HOLD = {
    "interaction_id": "k1", "channel": "voice", "queue": "q", "performer_id": "ann",
    "kind": "hold", "at": 30, "event_id": "k1-hold",
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
    Told(45, HOLD),
    *contact(45, 5, at=400, wait=50),
]

ASA = {
    # Waits of 10 and 20 seconds; then 30, 40 come; then 10 is 12; then 20 is 25.
    0.25: (30_000, 2),
    0.5: (60_000, 3),
    1.5: (100_000, 4),
    8: (102_000, 4),
    29: (102_000, 4),
    40: (107_000, 4),
    45: (107_000, 4),
}
"""Numerator and denominator of the mean speed of answer over everything, by day."""
LATE = (("k1", "k1-hold"), ("k5", "k5-accepted"), ("k5", "k5-done"), ("k5", "k5-queued"))
"""Interaction and id of the events that are in no number."""
