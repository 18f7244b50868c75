"""Genesys Cloud: what detail events and conversation details have in common."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from schemas.interaction import InteractionEvent
from schemas.platforms.base import customer_id, make_event, stable_id
from schemas.platforms.node import Node

SOURCE: Final = "genesys_cloud"

_CHANNELS: Final = {
    "VOICE": "voice", "CALLBACK": "voice", "CHAT": "web_chat", "EMAIL": "email",
}  # fmt: skip
_MESSAGES: Final = {
    "SMS": "sms", "FACEBOOK": "facebook", "INSTAGRAM": "instagram", "LINE": "line",
    "WHATSAPP": "whatsapp", "WEBMESSAGING": "web_chat",
}  # fmt: skip
_TRANSFERS: Final = {
    "TRANSFER": "blind", "FORWARDTRANSFER": "blind", "NOANSWERTRANSFER": "blind",
    "NOTAVAILABLETRANSFER": "blind", "DNDTRANSFER": "blind", "CONSULTTRANSFER": "warm",
    "CONFERENCETRANSFER": "conference",
}  # fmt: skip
HUNG_UP: Final = frozenset({"ENDPOINT", "CLIENT"})
"""Ways a session ended that are the doing of who was in it."""
_SYSTEM: Final = frozenset({
    "SYSTEM", "ERROR", "TIMEOUT", "TRANSPORTFAILURE", "SPAM", "UNCALLABLE", "INACTIVITY",
    "SESSIONEXPIRED",
})  # fmt: skip
_FLOWS_OF_QUEUES: Final = (
    "INQUEUE",
    "SURVEY",
    "VOICESURVEY",
    "WORKFLOW",
    "WORKITEM",
    "COMMONMODULE",
)
_FLOW_LEFT: Final = frozenset({"DISCONNECT"})
_FLOW_EXPIRED: Final = frozenset({"SESSIONEXPIREDISCONNECT"})
_TO_HUMANS: Final = frozenset({
    "ACD", "USER", "GROUP", "NUMBER", "ACDVOICEMAIL", "USERVOICEMAIL", "GROUPVOICEMAIL",
    "RETURNTOAGENT",
})  # fmt: skip


def word(node: Node | None, name: str) -> str:
    """Value of an enumeration: events write ``DND_TRANSFER``, analytics ``dndTransfer``."""
    return node.upper(name).replace("_", "") if node else ""


def channel_of(session: Node) -> str:
    """Return the unified channel of a session."""
    media = word(session, "mediaType")
    if media == "MESSAGE":
        return _MESSAGES.get(word(session, "messageType"), "other")
    return _CHANNELS.get(media, "other")


def direction_of(text: str) -> str:
    """Return the unified direction."""
    return "outbound" if text.upper() == "OUTBOUND" else "inbound"


def customer_of(session: Node, direction: str) -> str | None:
    """Return the customer: the external contact, else the address of the other side."""
    names = ("dnis", "addressTo") if direction == "outbound" else ("ani", "addressFrom")
    for name in ("externalContactId", *names):
        found = customer_id(session.raw(name))
        if found:
            return found.removeprefix("tel:")
    return None


def transfer_kind(session: Node) -> str | None:
    """How a session passed the contact on; None where it did not."""
    return _TRANSFERS.get(word(session, "disconnectType"))


def ended_by(disconnect: str, *, by_peer: str) -> str:
    """Who ended a contact, by how the customer's session ended."""
    if disconnect in HUNG_UP:
        return "customer"
    if disconnect in _SYSTEM:
        return "system"
    return by_peer if disconnect == "PEER" else "unknown"


def serves(flow_type: str) -> bool:
    """Whether a flow talks to the customer, rather than entertains a queue or asks afterwards."""
    return not flow_type.startswith(_FLOWS_OF_QUEUES)


def bot_outcome(flow: Node, disconnect: str) -> str | None:
    """How a flow ended; None where it goes on in another flow, or does not say."""
    reason = word(flow, "exitReason")
    if reason == "TRANSFER" or (not reason and disconnect == "TRANSFER"):
        kind = word(flow, "transferType")
        return "handoff" if not kind or kind in _TO_HUMANS else None
    if reason in _FLOW_LEFT or (not reason and disconnect in {*HUNG_UP, "PEER"}):
        return "left"
    return "timed_out" if reason in _FLOW_EXPIRED else None


class Conversation:
    """A conversation as the source of events, with what all its events say."""

    def __init__(self, identity: str, channel: str, direction: str, version: int = 0) -> None:
        self.identity = identity
        self._common: dict[str, Any] = {
            "source": SOURCE,
            "record_version": version,
            "interaction_id": identity,
            "channel": channel,
            "direction": direction,
        }

    def event(self, kind: str, time: datetime, *slot: str, **fields: Any) -> InteractionEvent:
        """Build an event; ``slot`` names it within the conversation, the kind apart."""
        return make_event(
            kind,
            event_id=stable_id(SOURCE, self.identity, *slot),
            occurred_at=time,
            **self._common,
            **fields,
        )


def agent(user: str | None, team: str | None = None) -> dict[str, Any]:
    """Fields of an event in which a human takes part."""
    return {"performer_kind": "human", "performer_id": user, "team": team}


def bot(flow: Node | None) -> dict[str, Any]:
    """Fields of an event in which a flow takes part: it is the performer, too."""
    flow_id = flow.text("flowId") if flow else None
    return {
        "performer_kind": "bot",
        "performer_id": flow_id or "flow",
        "flow": flow_id,
        "model_version": flow.text("flowVersion") if flow else None,
    }
