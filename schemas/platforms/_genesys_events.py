"""Genesys Cloud: detail events, live and in no order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from schemas.interaction import InteractionEvent
from schemas.platforms._genesys_common import (
    Conversation,
    agent,
    bot,
    bot_outcome,
    channel_of,
    customer_of,
    direction_of,
    ended_by,
    serves,
    transfer_kind,
    word,
)
from schemas.platforms.base import BadPayload, Parsed, from_epoch_us, type_name
from schemas.platforms.node import Node

_PREFIX: Final = "v2.detail.events.conversation."


class _Told:
    """One detail event: a moment of one session of a conversation."""

    def __init__(self, body: Node) -> None:
        identity = body.text("conversationId")
        if identity is None:
            raise body.refused("conversationId", "text")
        time_ms = body.whole("eventTime", "an epoch in milliseconds")
        if time_ms is None:
            raise body.refused("eventTime", "an epoch in milliseconds")
        self.body = body
        self.time: datetime = from_epoch_us(time_ms * 1000, body.place("eventTime"))
        self.session = body.text("sessionId") or body.text("participantId") or "conversation"
        self.direction = direction_of(body.text("direction") or "")
        self._conversation = Conversation(identity, channel_of(body), self.direction)

    def event(self, kind: str, slot: str = "", **fields: object) -> InteractionEvent:
        """Build an event of this session, by its kind or a slot that kinds share."""
        return self._conversation.event(
            kind, self.time, self.session, slot or kind, queue=self.body.text("queueId"), **fields
        )


def detail_event(topic: str, body: Node) -> Parsed:
    """Turn one detail event into unified events.

    Args:
        topic: its topic, with the conversation's id or with ``{id}``.
        body: the event's body.
    """
    if not topic.startswith(_PREFIX):
        return Parsed(ignored=(type_name(topic.split(".{", maxsplit=1)[0]),))
    name = topic.removeprefix(_PREFIX).partition(".")[2].lower()
    convert = _EVENTS.get(name)
    if convert is None:
        return Parsed(ignored=(type_name(name),))
    flow_type = word(body, "flowType")
    if name.startswith("flow.") and not serves(flow_type):
        return Parsed(ignored=(type_name(flow_type, f"{name}:"),))
    events = convert(_Told(body))
    return Parsed(events) if events else Parsed(ignored=(name,))


def _customer_start(told: _Told) -> tuple[InteractionEvent, ...]:
    customer = customer_of(told.body, told.direction)
    return (told.event("started", customer=customer),)


def _customer_end(told: _Told) -> tuple[InteractionEvent, ...]:
    # Whether the other side was an agent or a flow, this event does not know.
    who = ended_by(word(told.body, "disconnectType"), by_peer="unknown")
    return (told.event("completed", ended_by=who),)


def _flow_start(told: _Told) -> tuple[InteractionEvent, ...]:
    return (told.event("bot_started", **bot(told.body)),)


def _flow_end(told: _Told) -> tuple[InteractionEvent, ...]:
    outcome = bot_outcome(told.body, word(told.body, "disconnectType"))
    return (told.event("bot_ended", outcome=outcome, **bot(told.body)),)


def _acd_start(told: _Told) -> tuple[InteractionEvent, ...]:
    return (told.event("queued"),)


def _acd_end(told: _Told) -> tuple[InteractionEvent, ...]:
    match word(told.body, "acdOutcome"):
        case "ANSWERED":
            user = told.body.text("answeredUserId")
            if user is None:
                raise BadPayload("invalid_event", "answeredUserId: expected text")
            wait_ms = told.body.whole("connectedDurationMs")
            fields = {"via": "queue", "wait_ms": wait_ms, **agent(user)}
            return (told.event("accepted", "acd_end", **fields),)
        case "ABANDON":
            return (told.event("abandoned", "acd_end"),)
        case "FLOWOUT":
            return (told.event("left_queue", "acd_end"),)
    return ()


def _user_start(told: _Told) -> tuple[InteractionEvent, ...]:
    return (told.event("ringing", **agent(told.body.text("userId"))),)


def _user_end(told: _Told) -> tuple[InteractionEvent, ...]:
    """End of an agent's part. Who only listened has no part: no acd.end names them."""
    body, performer = told.body, agent(told.body.text("userId"))
    talk_ms = body.whole("interactingDurationMs")
    hold_ms = body.whole("heldDurationMs")
    if not talk_ms and not hold_ms:
        missed = body.whole("alertingDurationMs") and word(body, "disconnectType") != "PEER"
        return (told.event("declined", **performer),) if missed else ()
    how = transfer_kind(body)
    transfer = (told.event("transfer", transfer_kind=how, **performer),) if how else ()
    record = told.event("record", talk_ms=talk_ms, hold_ms=hold_ms or 0, **performer)
    return (*transfer, told.event("left", **performer), record)


def _acw(told: _Told) -> tuple[InteractionEvent, ...]:
    wrap_ms = told.body.whole("wrapupDurationMs")
    performer = agent(told.body.text("userId"))
    return (told.event("wrapup_ended", wrap_ms=wrap_ms, **performer),)


_EVENTS: Final[dict[str, Callable[[_Told], tuple[InteractionEvent, ...]]]] = {
    "customer.start": _customer_start,
    "customer.end": _customer_end,
    "flow.start": _flow_start,
    "flow.end": _flow_end,
    "acd.start": _acd_start,
    "acd.end": _acd_end,
    "user.start": _user_start,
    "user.end": _user_end,
    "acw": _acw,
}
