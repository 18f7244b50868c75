"""Amazon Connect: agent events, read as the difference of their two snapshots."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from schemas.interaction import InteractionEvent
from schemas.platforms._connect_common import (
    MONITOR,
    SOURCE,
    channel_of,
    contact_id,
    performer_of,
    root_id,
    team_of,
    via,
)
from schemas.platforms.base import BadPayload, Parsed, epoch_ms, make_event, stable_id, type_name
from schemas.platforms.node import Node

AGENT_EVENTS: Final = frozenset({"LOGIN", "LOGOUT", "STATE_CHANGE", "HEART_BEAT"})

_SLOTS: Final = frozenset({"accepted", "wrapup_started", "wrapup_ended"})
_CONNECTED: Final = frozenset({"CONNECTED", "CONNECTED_ONHOLD"})
_BEGINS: Final = {
    "CONNECTING": ("ringing",), "MISSED": ("declined",), "REJECTED": ("declined",),
    "ENDED": ("wrapup_started",),
}  # fmt: skip
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
    snapshot = now or before
    about = snapshot.node("Configuration") if snapshot else None
    team = team_of(about.node("AgentHierarchyGroups")) if about else None
    performer = {"performer_kind": "human", "performer_id": agent_performer(event), "team": team}
    events = [
        *_state_change(event, now, before, told_at, team),
        *_contacts(now, before, told_at, performer),
    ]
    if events:
        return Parsed(tuple(events))
    return Parsed(ignored=(type_name(event.upper("EventType"), "agent_event:"),))


def _state_change(
    event: Node, now: Node | None, before: Node | None, told_at: datetime, team: str | None
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
            team=team,
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
    now: Node | None, before: Node | None, told_at: datetime, performer: dict[str, Any]
) -> list[InteractionEvent]:
    """What happened to the agent's contacts between the snapshots."""
    known = _by_id(before)
    events = []
    for identity, contact in _by_id(now).items():
        earlier = known.pop(identity, None)
        state = contact.upper("State")
        for kind in _changes(earlier.upper("State") if earlier else None, state):
            queue = contact.node("Queue")
            fields: dict[str, Any] = {**performer}
            fields["queue"] = (queue.text("Name") or queue.text("ARN")) if queue else None
            time = contact.needed_time("StateStartTimestamp")
            if kind == "accepted":
                time = contact.time("ConnectedToAgentTimestamp") or time
                # The queue's name is known here, and to the contact event only its ARN.
                fields |= {"via": via(contact, queue), "record_version": 1}
            events.append(_event(contact, kind, time, **fields))
    for contact in known.values():
        if contact.upper("State") == "ENDED":
            since = contact.needed_time("StateStartTimestamp")
            wrap_ms = max(epoch_ms(told_at) - epoch_ms(since), 0)
            events.append(_event(contact, "wrapup_ended", told_at, wrap_ms=wrap_ms, **performer))
    return events


def _by_id(snapshot: Node | None) -> dict[str, Node]:
    """Contacts of a snapshot, those left out in which a supervisor only listens."""
    return {
        contact_id(contact): contact
        for contact in (snapshot.nodes("Contacts") if snapshot else [])
        if contact.upper("InitiationMethod") != MONITOR
    }


def _event(contact: Node, kind: str, time: datetime, **fields: Any) -> InteractionEvent:
    identity = contact_id(contact)
    # What a contact event or the record tells as well has their id; the rest may happen often.
    slot = (kind,) if kind in _SLOTS else (kind, time.isoformat())
    return make_event(
        kind,
        event_id=stable_id(SOURCE, identity, *slot),
        source=SOURCE,
        occurred_at=time,
        interaction_id=root_id(contact),
        leg_id=identity,
        channel=channel_of(contact),
        direction="outbound" if "OUTBOUND" in contact.upper("InitiationMethod") else "inbound",
        **fields,
    )


def _changes(before: str | None, now: str) -> tuple[str, ...]:
    """Kinds of events between two states of one contact."""
    if now == before:
        return ()
    if now in _CONNECTED:
        begun = () if before in _CONNECTED else ("accepted",)
        held = {"CONNECTED_ONHOLD": ("hold",)}.get(now, () if begun else ("resume",))
        return (*begun, *held)
    if now == "ENDED" and before not in _CONNECTED:
        return ()
    return _BEGINS.get(now, ())
