"""Amazon Connect: what its contact events, contact records and agent events have in common."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from schemas.interaction import InteractionEvent
from schemas.platforms.base import BadPayload, customer_id, make_event, stable_id
from schemas.platforms.node import Node

SOURCE: Final = "amazon_connect"

TRANSFERS: Final = frozenset({"TRANSFER", "QUEUE_TRANSFER"})
ABANDONABLE: Final = frozenset({"INBOUND", "TRANSFER", "CALLBACK", "QUEUE_TRANSFER", "API"})
"""Ways a contact began that leave a customer waiting in a queue."""

MONITOR: Final = "MONITOR"
"""Way a contact began that is a supervisor listening: it serves no customer."""

_SUBTYPES: Final = {
    "CONNECT:SMS": "sms", "CONNECT:WHATSAPP": "whatsapp", "CONNECT:EMAIL": "email",
}  # fmt: skip
_CHANNELS: Final = {
    "VOICE": "voice", "CHAT": "web_chat", "TASK": "task", "EMAIL": "email", "SMS": "sms",
}  # fmt: skip
_ENDED_BY: Final = {
    "CUSTOMER_DISCONNECT": "customer", "AGENT_DISCONNECT": "human",
    "CONTACT_FLOW_DISCONNECT": "system", "TELECOM_PROBLEM": "system", "EXPIRED": "system",
    "API": "system", "AGENT_NETWORK_DISCONNECT": "system", "AGENT_COMPLETED": "human",
    "CUSTOMER_CONNECTION_NOT_ESTABLISHED": "system", "CUSTOMER_NEVER_ARRIVED": "system",
    "IDLE_DISCONNECT": "system", "OUTBOUND_DESTINATION_ENDPOINT_ERROR": "system",
    "OUTBOUND_RESOURCE_ERROR": "system", "OUTBOUND_ATTEMPT_FAILED": "system",
}  # fmt: skip


def contact_id(contact: Node) -> str:
    """Return the id of this contact: one leg of the chain."""
    identity = contact.text("ContactId")
    if identity is None:
        raise BadPayload("invalid_event", f"{contact.place('ContactId')}: expected text")
    return identity


def root_id(contact: Node) -> str:
    """Return the id of the first contact of the chain, which has no initial contact itself."""
    return contact.text("InitialContactId") or contact_id(contact)


def channel_of(contact: Node) -> str:
    """Return the unified channel of a contact; a chat may be of a kind that has its own."""
    attributes = contact.node("SegmentAttributes")
    subtype = attributes.node("connect:Subtype") if attributes else None
    if subtype and (named := _SUBTYPES.get(subtype.upper("ValueString"))):
        return named
    return _CHANNELS.get(contact.upper("Channel"), "other")


def performer_of(arn: str | None) -> str | None:
    """Agent's id: the end of the ARN, the one name that all kinds of events give."""
    return arn.rpartition("/agent/")[2] if arn else None


def team_of(groups: Node | None) -> str | None:
    """Agent's team: the group at the lowest level of the hierarchy, by its name, else its ARN."""
    for level in ("Level5", "Level4", "Level3", "Level2", "Level1") if groups else ():
        group = groups.node(level) if groups else None
        if group:
            return group.text("GroupName") or group.text("Name") or group.text("ARN")
    return None


def ended_by(contact: Node) -> str:
    """Who ended a contact; newer events and records say so."""
    return _ENDED_BY.get(contact.upper("DisconnectReason"), "unknown")


def via(contact: Node, queue: Node | None) -> str:
    """How an agent came to a contact."""
    if queue:
        return "queue"
    return "transfer" if contact.upper("InitiationMethod") == "TRANSFER" else "direct"


class Leg:
    """A contact as the source of events: one leg, with what all its events say."""

    def __init__(self, contact: Node, version: int = 0) -> None:
        self.identity = contact_id(contact)
        self.version = version
        self.previous = contact.text("PreviousContactId")
        self.method = contact.upper("InitiationMethod")
        endpoint = contact.node("CustomerEndpoint")
        self._common: dict[str, Any] = {
            "source": SOURCE,
            "record_version": version,
            "interaction_id": root_id(contact),
            "channel": channel_of(contact),
            "direction": "outbound" if "OUTBOUND" in self.method else "inbound",
            "customer": customer_id(endpoint.raw("Address")) if endpoint else None,
        }

    def event(self, slot: str, kind: str, time: datetime, **fields: Any) -> InteractionEvent:
        """Build an event of this leg.

        Args:
            slot: names the event within its contact. The record's event of a slot replaces the one
                that a contact event told before.
            kind: kind of the event.
            time: when it happened.
            fields: further fields of the event.
        """
        return make_event(
            kind,
            **{
                "event_id": stable_id(SOURCE, self.identity, slot),
                "occurred_at": time,
                "leg_id": self.identity,
                "previous_leg_id": self.previous,
                **self._common,
                **fields,
            },
        )

    def passed_on(self, time: datetime) -> list[InteractionEvent]:
        """Transfer that began this leg, told on the leg it came from."""
        if self.method not in TRANSFERS or self.previous is None:
            return []
        there = {"leg_id": self.previous, "previous_leg_id": None}
        transfer = self.event("transfer", "transfer", time, **there)
        if self.method != "QUEUE_TRANSFER":
            return [transfer]
        # A flow moved who waited to another queue: what looked like hanging up there was none.
        told = {
            "event_id": stable_id(SOURCE, self.previous, "end"),
            "record_version": self.version + 1,
            "reason": "overflow",
        }
        return [transfer, self.event("end", "left_queue", time, **there, **told)]
