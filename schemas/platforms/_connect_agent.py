"""Amazon Connect: agent events, read as the difference of their two snapshots."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from schemas.interaction import InteractionEvent
from schemas.platforms._connect_common import (
    SOURCE,
    Node,
    channel_of,
    contact_id,
    performer_of,
    root_id,
)
from schemas.platforms.base import BadPayload, Parsed, make_event, stable_id, type_name

AGENT_EVENTS: Final = frozenset({"LOGIN", "LOGOUT", "STATE_CHANGE", "HEART_BEAT"})

_CONNECTED: Final = frozenset({"CONNECTED", "CONNECTED_ONHOLD"})
_DECLINED: Final = frozenset({"MISSED", "REJECTED"})
_TYPES: Final = {"ROUTABLE": "available", "OFFLINE": "offline", "CUSTOM": "away"}
_NAMES: Final = {"AVAILABLE": "available", "OFFLINE": "offline"}


def agent_performer(event: Node) -> str:
    """Return the id of the agent an event is about."""
    performer = performer_of(event.text("AgentARN"))
    if performer is None:
        raise BadPayload("invalid_event", "AgentARN: expected text")
    return performer


def agent_event(event: Node) -> Parsed:
    """Turn one agent event into what changed between its snapshots, which may be nothing.

    The type is not trusted: a STATE_CHANGE may be a change of configuration, and a HEART_BEAT may
    be the first to tell a change.
    """
    told_at = event.needed_time("EventTimestamp")
    now, before = event.node("CurrentAgentSnapshot"), event.node("PreviousAgentSnapshot")
    performer = {"performer_kind": "human", "performer_id": agent_performer(event)}
    events = [*_state_change(event, now, before, told_at), *_contacts(now, before, performer)]
    if events:
        return Parsed(tuple(events))
    return Parsed(ignored=(type_name(event.upper("EventType"), "agent_event:"),))


def _state_change(
    event: Node, now: Node | None, before: Node | None, told_at: datetime
) -> list[InteractionEvent]:
    state, previous = _state(now), _state(before)
    status = now.node("AgentStatus") if now else None
    if now and before and _status_key(now) == _status_key(before):
        if state == previous:
            return []
        time = told_at
    else:
        time = (status.time("StartTimestamp") if status else None) or told_at
    performer = agent_performer(event)
    identity = event.text("EventId") or told_at.isoformat()
    return [
        make_event(
            "performer_state",
            event_id=stable_id(SOURCE, performer, identity, "performer_state"),
            source=SOURCE,
            occurred_at=time,
            interaction_id=f"performer:{performer}",
            channel="other",
            performer_kind="human",
            performer_id=performer,
            state=state,
            reason=status.text("Name") if status and state == "away" else None,
        )
    ]


def _status_key(snapshot: Node) -> tuple[str | None, str | None]:
    status = snapshot.node("AgentStatus")
    return (status.text("Name"), status.text("StartTimestamp")) if status else (None, None)


def _state(snapshot: Node | None) -> str:
    """State of the agent. The status stays Available during a call, so contacts are asked first."""
    if snapshot is None:
        return "offline"
    contacts = {contact.upper("State") for contact in snapshot.nodes("Contacts")}
    if contacts & _CONNECTED:
        return "busy"
    if "ENDED" in contacts:
        return "wrap"
    status = snapshot.node("AgentStatus")
    if status is None:
        return "offline"
    return _TYPES.get(status.upper("Type")) or _NAMES.get(status.upper("Name"), "away")


def _contacts(
    now: Node | None, before: Node | None, performer: dict[str, Any]
) -> list[InteractionEvent]:
    """Ringing, declined, hold and resume; wrap-up is told by contact events and records."""
    known = {
        contact_id(contact): contact.upper("State")
        for contact in (before.nodes("Contacts") if before else [])
    }
    events = []
    for contact in now.nodes("Contacts") if now else []:
        identity, state = contact_id(contact), contact.upper("State")
        kind = _change(known.get(identity), state)
        if kind is None:
            continue
        time = contact.needed_time("StateStartTimestamp")
        queue = contact.node("Queue")
        events.append(
            make_event(
                kind,
                event_id=stable_id(SOURCE, identity, kind, time.isoformat()),
                source=SOURCE,
                occurred_at=time,
                interaction_id=root_id(contact),
                leg_id=identity,
                channel=channel_of(contact),
                direction="outbound"
                if "OUTBOUND" in contact.upper("InitiationMethod")
                else "inbound",
                queue=(queue.text("Name") or queue.text("ARN")) if queue else None,
                **performer,
            )
        )
    return events


def _change(before: str | None, now: str) -> str | None:
    """Kind of event between two states of one contact; None where nothing is told."""
    if now == before:
        return None
    if now == "CONNECTING":
        return "ringing"
    if now in _DECLINED:
        return "declined"
    if now == "CONNECTED_ONHOLD":
        return "hold"
    if now == "CONNECTED" and before == "CONNECTED_ONHOLD":
        return "resume"
    return None
