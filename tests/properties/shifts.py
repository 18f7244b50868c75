"""Random working days: states by queue and for all queues, schedules that change, and contacts."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import strategies as st

from schemas.interaction import InteractionEvent
from tests.properties.stories import AGENTS, SPAN_SECONDS, START, Row, event

_MOMENTS = st.integers(0, SPAN_SECONDS)
_AGENTS = st.sampled_from(AGENTS)
_ACTIVITIES = st.sampled_from(
    ["", "on_queue", "break", "training", "leave", "unpaid_leave", "party"]
)


@st.composite
def states(draw: st.DrawFn) -> Row:
    """What is told of a performer at one moment."""
    agent = draw(_AGENTS)
    state = draw(st.sampled_from(["available", "busy", "wrap", "away", "offline"]))
    row: Row = {
        "kind": "performer_state", "at": draw(_MOMENTS), "channel": "voice", "state": state,
        "interaction_id": f"performer:{agent}", "performer_id": agent,
        "queue": draw(st.sampled_from(["", "", "sales", "help"])),
        "location": draw(st.sampled_from([None, "site", "home"])),
        "team": draw(st.sampled_from([None, "north", "south"])),
    }  # fmt: skip
    if state in ("available", "away"):
        row["logs_in"] = draw(st.sampled_from([None, False]))
    if state == "offline":
        row["session_ms"] = draw(st.sampled_from([None, 1_000, 600_000, 9_000_000]))
    return row


@st.composite
def entries(draw: st.DrawFn, number: int) -> list[Row]:
    """One schedule entry and its changes: other times, another performer, withdrawn."""
    rows = []
    for version in range(draw(st.integers(1, 2))):
        begin = draw(st.integers(-600, SPAN_SECONDS))
        length = draw(st.integers(0, 3600))
        rows.append(
            {
                "kind": "plan", "at": version, "channel": "voice", "plan": "schedule",
                "interaction_id": f"entry-{number}", "performer_id": draw(_AGENTS),
                "activity": draw(_ACTIVITIES), "value": draw(st.sampled_from([1.0, 1.0, None])),
                "starts_at": START + timedelta(seconds=begin),
                "ends_at": START + timedelta(seconds=begin + length),
            }
        )  # fmt: skip
    return rows


@st.composite
def work(draw: st.DrawFn, name: str) -> list[Row]:
    """One contact, whose end, wrap-up or passing on to the other performer may not be told."""
    agent = draw(_AGENTS)
    at = draw(_MOMENTS)
    told: list[Row] = []

    def tell(kind: str, **fields: str) -> None:
        told.append({"kind": kind, "at": at, "performer_id": agent, **fields})

    tell("accepted")
    at += draw(st.integers(0, 1800))
    if draw(st.booleans()):
        other = AGENTS[1 - AGENTS.index(agent)]
        tell("transfer", transfer_kind="blind", to_performer_id=other)
        agent = other
        tell("accepted", via="transfer")
        at += draw(st.integers(0, 600))
    tell("completed", ended_by="customer")
    tell("wrapup_started")
    at += draw(st.integers(0, 300))
    tell("wrapup_ended")
    kept = [row for row in told if draw(st.integers(0, 5)) > 0] or told[:1]
    return [{**row, "interaction_id": name, "channel": "web_chat"} for row in kept]


@st.composite
def days(draw: st.DrawFn) -> list[InteractionEvent]:
    """Events of a working day of two performers, in order of time, each with an id of its own."""
    rows = draw(st.lists(states(), max_size=8))
    for number in range(draw(st.integers(0, 3))):
        rows += draw(entries(number))
    for number in range(draw(st.integers(0, 5))):
        rows += draw(work(f"k{number}"))
    rows.sort(key=lambda row: row["at"])
    return [event(row, number) for number, row in enumerate(rows)]
