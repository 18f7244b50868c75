"""Random events: plausible courses of contacts, then damage, in the form of unified events.

Times lie within two hours on whole seconds, so that events share instants, holds nest wrongly and
contacts of one customer overlap. Damage drops, repeats, contradicts and moves what was plausible.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from schemas.interaction import EVENT_ADAPTER, InteractionEvent

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
AGENTS = ("ann", "bob")
QUEUES = ("sales", "help")
SPAN_SECONDS = 7200

Row = dict[str, Any]
"""One event without id: its kind, ``at`` in seconds after the start, and its fields."""

_QUESTIONS = st.sampled_from([("csat", 5), ("nps", 10), ("ces", 7), ("fcr", 1)])

_TURNS: st.SearchStrategy[Row] = st.sampled_from(
    [{}, {"confidence": 0.9}, {"confidence": 0.2, "no_match": True}, {"no_input": True}]
)
_FATES = st.sampled_from(["accepted", "accepted", "accepted", "abandoned", "left_queue", ""])
_FLOWS: st.SearchStrategy[Row] = st.sampled_from([{}, {}, {"flow": "menu"}, {"flow": "refund"}])
_TEAMS: st.SearchStrategy[Row] = st.sampled_from([{}, {}, {"team": "north"}, {"team": "south"}])
_CASES: st.SearchStrategy[Row] = st.sampled_from([{}, {}, {}, {"case_id": "A"}, {"case_id": "B"}])
_MOVES = st.sampled_from([0, 0, 0, 0, -60, -1, 1, 60])
_STRAYS = st.sampled_from(
    ["hold", "resume", "accepted", "completed", "queued", "left", "abandoned", "wrapup_ended",
     "handoff", "transfer"]
)  # fmt: skip


@st.composite
def contacts(draw: st.DrawFn, name: str) -> list[Row]:
    """A plausible contact: bot, queue, agents with holds and wrap-up, survey, each of it or not."""
    at = draw(st.integers(0, SPAN_SECONDS))
    agent = draw(st.sampled_from(AGENTS))
    queue = draw(st.sampled_from(QUEUES))
    told: list[Row] = []

    def tell(kind: str, **fields: Any) -> None:
        told.append({"kind": kind, "at": at, **fields})

    def pause(longest: int = 60) -> None:
        nonlocal at
        at += draw(st.integers(0, longest))

    handed_over = True
    if draw(st.booleans()):
        bot = {"performer_kind": "bot", "performer_id": "robo"}
        tell("bot_started", **draw(_TEAMS), **draw(_FLOWS), **bot)
        for _ in range(draw(st.integers(0, 3))):
            pause()
            heard = draw(_TURNS)
            tokens = draw(st.sampled_from([{}, {"input_tokens": 900, "output_tokens": 70}]))
            tell(
                "bot_turn", user_turn=draw(st.booleans()), **heard, **tokens, **draw(_FLOWS), **bot
            )
            if draw(st.integers(0, 3)) == 0:
                tell("authenticated")
        pause()
        outcome = draw(st.sampled_from(["handoff", "handoff", "resolved", "left", ""]))
        handed_over = outcome == "handoff"
        if handed_over:
            tell("handoff", context_ok=draw(st.sampled_from([True, False])), **bot)
        elif outcome:
            tell("bot_ended", outcome=outcome, **bot)
    if handed_over:
        due = draw(st.sampled_from([None, None, at + 60, at + 1200]))
        promise = {} if due is None else {"due_at": START + timedelta(seconds=due)}
        tell("queued", queue=queue, **promise, **draw(_FLOWS), **draw(_TEAMS))
        pause(40)
        if draw(st.booleans()):
            tell("ringing", performer_id=draw(st.sampled_from(AGENTS)))
            pause(10)
            if draw(st.booleans()):
                tell("declined", performer_id=draw(st.sampled_from(AGENTS)))
        fate = draw(_FATES)
        if fate == "accepted":
            tell("accepted", queue=queue, performer_id=agent, **draw(_TEAMS))
            for kind in draw(st.sampled_from([(), (), ("authenticated",), ("info_repeated",)])):
                tell(kind)
            for _ in range(draw(st.integers(0, 2))):
                pause()
                tell("hold", performer_id=agent)
                pause()
                tell("resume", performer_id=agent)
            if draw(st.booleans()):
                other = AGENTS[1 - AGENTS.index(agent)]
                kind = draw(st.sampled_from(["warm", "blind"]))
                tell("transfer", performer_id=agent, to_performer_id=other, transfer_kind=kind)
                tell("left", performer_id=agent)
                tell("accepted", via="transfer", performer_id=other, **draw(_TEAMS))
                agent = other
            pause()
            resolved = draw(st.sampled_from([None, True, False]))
            tell("completed", performer_id=agent, ended_by="customer", resolved=resolved)
            if draw(st.booleans()):
                tell("wrapup_started", performer_id=agent)
                pause()
                tell("wrapup_ended", performer_id=agent)
        elif fate == "left_queue":
            tell(fate, queue=queue, reason=draw(st.sampled_from(["callback", "key"])))
        elif fate:
            tell(fate, queue=queue)
    if draw(st.booleans()):
        question, scale = draw(_QUESTIONS)
        tell("survey_sent", survey_id="s")
        pause(1200)
        score = draw(st.integers(0 if question == "fcr" else 1, scale))
        tell("survey_answered", survey_id="s", question=question, scale=scale, score=score)
    if draw(st.integers(0, 3)) == 0:
        tell("record", performer_id=agent, record_version=draw(st.integers(0, 2)),
             talk_ms=draw(st.integers(0, 99_000)))  # fmt: skip
    customer = draw(st.sampled_from(["", "c1", "c2"]))
    intent = draw(st.sampled_from(["", "billing", "order"]))
    channel = draw(st.sampled_from(["voice", "web_chat"]))
    direction = draw(st.sampled_from(["inbound", "inbound", "inbound", "outbound"]))
    case = draw(_CASES)
    for row in told:
        row.update(
            **case,
            interaction_id=name,
            channel=channel,
            direction=direction,
            intent=intent,
            customer_key=customer,
        )
    return told


@st.composite
def damaged(draw: st.DrawFn, rows: list[Row]) -> list[Row]:
    """Rows of which some are lost, some moved in time, and some joined by what cannot be."""
    kept = [row for row in rows if draw(st.integers(0, 9)) > 0] or rows[:1]
    moved = [{**row, "at": row["at"] + draw(_MOVES)} for row in kept]
    if draw(st.booleans()):
        stray = {**moved[0], "kind": draw(_STRAYS), "at": draw(st.integers(0, SPAN_SECONDS))}
        moved.append({key: stray[key] for key in ("kind", "at", "interaction_id", "channel")})
    return moved


@st.composite
def stories(draw: st.DrawFn, contacts_at_most: int = 4) -> list[InteractionEvent]:
    """Events of some contacts, in order of time, each with an id of its own."""
    rows: list[Row] = []
    for number in range(draw(st.integers(1, contacts_at_most))):
        told = draw(contacts(f"k{number}"))
        rows += draw(damaged(told)) if draw(st.booleans()) else told
    rows.sort(key=lambda row: row["at"])
    return [event(row, number) for number, row in enumerate(rows)]


def event(row: Row, number: int, start: datetime = START) -> InteractionEvent:
    """The unified event of a row."""
    fields = {key: value for key, value in row.items() if key != "at"}
    moment = start + timedelta(seconds=row["at"])
    return EVENT_ADAPTER.validate_python(
        {"event_id": f"e{number}", "source": "story", "occurred_at": moment, **fields}
    )
