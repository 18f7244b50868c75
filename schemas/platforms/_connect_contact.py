"""Amazon Connect: contact events, live and best effort, and contact records, late and complete."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

from schemas.interaction import InteractionEvent
from schemas.platforms._connect_common import (
    ABANDONABLE,
    MONITOR,
    Leg,
    ended_by,
    performer_of,
    team_of,
    via,
)
from schemas.platforms.base import Parsed, epoch_ms, type_name
from schemas.platforms.node import Node

_SCORE: Final = re.compile(r"\s*([0-9]{1,3})(?:\.0+)?\s*(?:/\s*([0-9]{1,3})\s*)?")
DEFAULT_SCALE: Final = 5


def contact_event(detail: Node, told_at: datetime | None) -> Parsed:
    """Turn one contact event into unified events.

    Args:
        detail: the event without its envelope.
        told_at: time of the envelope.
    """
    kind = detail.upper("EventType")
    ignored = Parsed(ignored=(type_name(kind, "contact_event:"),))
    if detail.upper("InitiationMethod") == MONITOR:
        return Parsed(ignored=(type_name(MONITOR, "contact_event:"),))
    queue, agent = detail.node("QueueInfo"), detail.node("AgentInfo")
    if kind == "INITIATED":
        leg = Leg(detail)
        began = detail.needed_time("InitiationTimestamp")
        return Parsed((leg.event("started", "started", began), *leg.passed_on(began)))
    if kind == "QUEUED" and queue:
        entered = queue.needed_time("EnqueueTimestamp")
        return Parsed((Leg(detail).event("queued", "queued", entered, **_queue(queue)),))
    if kind == "CONNECTED_TO_AGENT" and agent:
        connected = agent.needed_time("ConnectedToAgentTimestamp")
        fields = {"via": via(detail, queue), **_queue(queue), **_agent(agent)}
        return Parsed((Leg(detail).event("accepted", "accepted", connected, **fields),))
    if kind == "DISCONNECTED":
        return Parsed(_disconnected(detail, queue, agent))
    if kind == "COMPLETED" and agent:
        ended = agent.time("AfterContactWorkEndTimestamp") or told_at
        if ended is None:
            return ignored
        fields = {
            "wrap_ms": agent.seconds_as_ms("AfterContactWorkDuration"),
            **_queue(queue),
            **_agent(agent),
        }
        return Parsed((Leg(detail).event("wrapup_ended", "wrapup_ended", ended, **fields),))
    return ignored


def contact_record(record: Node, csat_attribute: str | None) -> Parsed:
    """Turn one contact record into the whole story of its leg.

    Args:
        record: the record; a re-sent one replaces the events of those before it.
        csat_attribute: name of the contact attribute with the survey's answer.
    """
    if record.upper("InitiationMethod") == MONITOR:
        return Parsed(ignored=(type_name(MONITOR, "contact_record:"),))
    began = record.needed_time("InitiationTimestamp")
    gone = record.time("DisconnectTimestamp")
    updated = record.time("LastUpdateTimestamp") or gone or began
    # Above 0, the version of contact events, which a record always outranks.
    leg = Leg(record, version=max(epoch_ms(updated), 1))
    queue, agent = record.node("Queue"), record.node("Agent")
    events = [leg.event("started", "started", began), *leg.passed_on(began)]
    if queue and (entered := queue.time("EnqueueTimestamp")):
        events.append(leg.event("queued", "queued", entered, **_queue(queue)))
    if agent and (connected := agent.time("ConnectedToAgentTimestamp")):
        wait_ms = queue.seconds_as_ms("Duration") if queue else None
        fields = {"via": via(record, queue), **_queue(queue), **_agent(agent)}
        events.append(leg.event("accepted", "accepted", connected, wait_ms=wait_ms, **fields))
        if gone:
            events += _served(leg, record, queue, agent, gone)
    elif gone:
        events += _unserved(leg, record, queue, gone)
    answer, ignored = _survey(leg, record, csat_attribute, updated)
    return Parsed((*events, *answer), ignored)


def _disconnected(
    detail: Node, queue: Node | None, agent: Node | None
) -> tuple[InteractionEvent, ...]:
    leg, gone = Leg(detail), detail.needed_time("DisconnectTimestamp")
    if agent:
        fields = {**_queue(queue), **_agent(agent)}
        return (
            leg.event("end", "completed", gone, ended_by=ended_by(detail), **fields),
            leg.event("wrapup_started", "wrapup_started", gone, **fields),
        )
    return tuple(_unserved(leg, detail, queue, gone))


def _served(
    leg: Leg, record: Node, queue: Node | None, agent: Node, gone: datetime
) -> list[InteractionEvent]:
    """End and wrap-up of a leg that an agent served, with what Connect measured."""
    fields = {**_queue(queue), **_agent(agent)}
    measured = {
        "talk_ms": agent.seconds_as_ms("AgentInteractionDuration"),
        "hold_ms": agent.seconds_as_ms("CustomerHoldDuration"),
        "wrap_ms": agent.seconds_as_ms("AfterContactWorkDuration"),
    }
    if record.text("NextContactId"):
        # The chain goes on in another contact: this agent's part ends, the interaction does not.
        events = [leg.event("end", "left", gone, **fields)]
    else:
        end = {"ended_by": ended_by(record), **measured, **fields}
        events = [leg.event("end", "completed", gone, **end)]
    wrap_began = agent.time("AfterContactWorkStartTimestamp")
    wrap_ended = agent.time("AfterContactWorkEndTimestamp")
    return [
        *events,
        leg.event("wrapup_started", "wrapup_started", wrap_began or gone, **fields),
        leg.event(
            "wrapup_ended", "wrapup_ended", wrap_ended or wrap_began or gone, **measured, **fields
        ),
    ]


def _unserved(
    leg: Leg, contact: Node, queue: Node | None, gone: datetime
) -> list[InteractionEvent]:
    """End of a leg that no agent served: abandoned only if the customer waited and hung up."""
    who = ended_by(contact)
    waited = queue and leg.method in ABANDONABLE
    left = (queue.time("DequeueTimestamp") if queue else None) or gone
    if waited and contact.text("NextContactId"):
        return [leg.event("end", "left_queue", left, reason="callback", **_queue(queue))]
    if waited and who in {"customer", "unknown"}:
        return [leg.event("end", "abandoned", left, **_queue(queue))]
    end = leg.event("end", "completed", gone, ended_by=who, **_queue(queue))
    if waited:
        flow_out = leg.event("flow_out", "left_queue", left, reason="system", **_queue(queue))
        return [flow_out, end]
    return [end]


def _survey(
    leg: Leg, record: Node, csat_attribute: str | None, updated: datetime
) -> tuple[list[InteractionEvent], tuple[str, ...]]:
    """Answer of the satisfaction survey, dated by the update that brought it."""
    attributes = record.node("Attributes")
    answer = attributes.raw(csat_attribute) if attributes and csat_attribute else None
    if answer is None or answer == "":
        return [], ()
    match = _SCORE.fullmatch(str(answer))
    score, scale = (int(number or DEFAULT_SCALE) for number in match.groups()) if match else (0, 0)
    if not 1 <= score <= scale <= 100:
        return [], ("survey:not_a_score",)
    agent = record.node("Agent")
    fields = {**_queue(record.node("Queue")), **(_agent(agent) if agent else {})}
    return [
        leg.event(
            "survey_answered",
            "survey_answered",
            updated,
            survey_id=leg.identity,
            question="csat",
            scale=scale,
            score=score,
            **fields,
        )
    ], ()


def _queue(queue: Node | None) -> dict[str, Any]:
    """Queue by its name, which records give, else by its ARN: queues of one agent have no name."""
    if queue is None:
        return {}
    return {"queue": queue.text("Name") or queue.text("ARN") or queue.text("QueueArn")}


def _agent(agent: Node) -> dict[str, Any]:
    performer = performer_of(agent.text("ARN") or agent.text("AgentArn"))
    return {
        "performer_kind": "human",
        "performer_id": performer or agent.text("Username"),
        "team": team_of(agent.node("HierarchyGroups")),
    }
