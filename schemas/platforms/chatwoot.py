"""Chatwoot: account webhooks, as its receivers get them.

| native | unified |
| --- | --- |
| conversation_created | started; pending: bot_started; open: queued, or accepted if assigned |
| status pending -> open | handoff, and queued or accepted if assigned |
| status resolved, snoozed -> open | queued, or accepted if assigned |
| status -> resolved | completed |
| assignee nobody -> an agent | accepted |
| assignee an agent -> another, or nobody | transfer, left; accepted, or queued |
| team changed, nobody assigned | queued with the team; transfer, if a team had it |
| message of a contact or a bot while pending | bot_turn |
| message input_csat, sent; with a rating | survey_sent; survey_answered of 5 |
| anything else | ignored by its event name, messages with their type |

What happened is decided by ``changed_attributes``, not by the event's name: published bodies have a
status that contradicts it. A body without them, as older versions send, tells only that a
conversation is resolved. One change comes as ``conversation_updated`` and again under another name:
an event's id is made of the conversation, the attribute, its two values and the time.

Key and interaction: inbox and display id of the conversation. An inbox belongs to one account, and
its id stands in every event, which the account's does not. A queue is the team, else the inbox. A
team is that of the conversation when it waits or is taken; whose team an agent is in is not told.
An agent goes by the id, a bot by the name ``agent_bot``. The customer is the contact. Text, names
and addresses are not read. Time: when the change was stored (``updated_at``), else ``timestamp``,
which is that of the last message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from schemas.interaction import InteractionEvent
from schemas.platforms.base import (
    BadPayload,
    Options,
    Parsed,
    Platform,
    elements,
    fallback_key,
    first_document,
    from_epoch_us,
    id_key,
    make_event,
    parse_documents,
    stable_id,
    type_name,
)
from schemas.platforms.jsonfile import split_json
from schemas.platforms.node import Node

SOURCE: Final = "chatwoot"
CSAT_SCALE: Final = 5

split = split_json

_BOT: Final = {"performer_kind": "bot", "performer_id": "agent_bot"}
_CHANNELS: Final = {
    "webwidget": "web_chat", "facebookpage": "facebook", "instagram": "instagram", "email": "email",
    "whatsapp": "whatsapp", "line": "line", "sms": "sms", "twiliosms": "sms",
}  # fmt: skip
_MESSAGE_TYPES: Final = ("incoming", "outgoing", "activity", "template")
_WITH_TEAM: Final = frozenset({"queued", "accepted"})
_BEYOND_CALENDARS: Final = 1e15
_UTC_TEXT: Final = re.compile(r"(.*[0-9]) UTC")


def key(payload: bytes) -> bytes:
    """Return inbox and display id of the conversation."""
    try:
        native = Node(first_document(payload, elements))
        return id_key(_identity(native.node("conversation") or native), payload)
    except BadPayload:
        return fallback_key(payload)


def parse(payload: bytes, options: Options) -> Parsed:  # noqa: ARG001 - it has no options
    """Turn one webhook body, or an array of them, into events.

    Raises:
        BadPayload: the payload is no webhook body of Chatwoot, or lacks what it must have.
    """
    return parse_documents(payload, elements, _convert)


def _convert(fields: dict[str, Any]) -> Parsed:
    native = Node(fields)
    name = native.text("event")
    if name is None:
        raise BadPayload("invalid_event", "event: expected the name of an event")
    if name.startswith("message_"):
        return _message(native, name)
    if not name.startswith("conversation_") or "id" not in native:
        return Parsed(ignored=(type_name(name),))
    if name == "conversation_created":
        return Parsed(tuple(_created(native)))
    changes = _changes(native)
    if changes:
        events = tuple(_changed(native, changes))
    elif native.upper("status") == "RESOLVED":
        events = (_Told(native, _time(native)).event("completed", "resolved"),)
    else:
        events = ()
    return Parsed(events) if events else Parsed(ignored=(type_name(name),))


def _identity(conversation: Node) -> str:
    inbox, number = conversation.whole("inbox_id"), conversation.whole("id")
    if inbox is None or number is None:
        raise BadPayload("invalid_event", "inbox_id, id: expected the numbers of a conversation")
    return f"{inbox}/{number}"


class _Told:
    """A conversation at the moment of one event."""

    def __init__(self, conversation: Node, time: datetime) -> None:
        self.identity = _identity(conversation)
        self.time = time
        self.meta = conversation.node("meta")
        sender, team = self._of_meta("sender"), self._of_meta("team")
        contact = sender.whole("id") if sender else None
        self.customer = None if contact is None else f"contact:{contact}"
        team_id = team.whole("id") if team else None
        self.team = None if team_id is None else f"team:{team_id}"
        self.queue = self.team or f"inbox:{conversation.whole('inbox_id')}"
        assignee = self._of_meta("assignee")
        self.assignee = assignee.whole("id") if assignee else None
        channel = (conversation.text("channel") or "").rpartition("::")[2]
        self._channel = _CHANNELS.get(channel.casefold(), "other")

    def _of_meta(self, name: str) -> Node | None:
        return self.meta.node(name) if self.meta else None

    def event(self, kind: str, *slot: str, **fields: Any) -> InteractionEvent:
        """Build an event; ``slot`` names it within the conversation, kind and time apart."""
        return make_event(
            kind,
            event_id=stable_id(SOURCE, self.identity, kind, *slot, self.time.isoformat()),
            source=SOURCE,
            occurred_at=self.time,
            interaction_id=self.identity,
            channel=self._channel,
            customer=self.customer,
            **{"queue": self.queue, "team": self.team if kind in _WITH_TEAM else None, **fields},
        )

    def to_humans(self, via: str, *slot: str) -> InteractionEvent:
        """The conversation is with its assignee, else it waits for one."""
        if self.assignee is None:
            return self.event("queued", *slot)
        return self.event("accepted", *slot, via=via, **_agent(self.assignee))


def _agent(number: int) -> dict[str, Any]:
    return {"performer_kind": "human", "performer_id": str(number)}


def _created(native: Node) -> Iterator[InteractionEvent]:
    told = _Told(native, _moment(native, "created_at") or _time(native))
    yield told.event("started")
    if native.upper("status") == "PENDING":
        yield told.event("bot_started", **_BOT)
    elif native.upper("status") == "OPEN":
        yield told.to_humans("direct")


def _changes(native: Node) -> dict[str, tuple[Any, Any]]:
    """Previous and current value of each attribute that changed."""
    return {
        name: (change.raw("previous_value"), change.raw("current_value"))
        for entry in native.nodes("changed_attributes")
        for name in entry.fields
        if (change := entry.node(name))
    }


def _changed(native: Node, changes: dict[str, tuple[Any, Any]]) -> Iterator[InteractionEvent]:
    stored = changes.get("updated_at", (None, None))[1]
    time = _instant(stored, "changed_attributes.updated_at") if stored else None
    told = _Told(native, time or _time(native))
    before, now = (str(status).lower() for status in changes.get("status", ("", "")))
    if now == "resolved":
        yield told.event("completed", "resolved", ended_by=_ended_by(told, before))
    elif now == "open":
        if before == "pending":
            yield told.event("handoff", **_BOT)
        if "assignee_id" in changes:
            yield told.event("queued", "opened")
        else:
            yield told.to_humans("queue" if before == "pending" else "direct", "opened")
    if "assignee_id" in changes:
        yield from _assigned(told, *changes["assignee_id"])
    elif "team_id" in changes and told.assignee is None and now != "resolved":
        before_team, _ = changes["team_id"]
        if before_team is not None:
            yield told.event("transfer", "team")
        yield told.event("queued", "team")


def _assigned(told: _Told, before: Any, now: Any) -> Iterator[InteractionEvent]:
    for value in (before, now):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise BadPayload("invalid_event", "changed_attributes.assignee_id: expected a number")
    slot = f"{before}-{now}"
    if before is not None:
        yield told.event("transfer", slot, **_agent(before))
        yield told.event("left", slot, **_agent(before))
    if now is not None:
        via = "queue" if before is None else "transfer"
        yield told.event("accepted", slot, via=via, **_agent(now))
    else:
        yield told.event("queued", slot)


def _ended_by(told: _Told, before: str) -> str:
    if told.assignee is not None:
        return "human"
    return "bot" if before == "pending" else "unknown"


def _message(native: Node, name: str) -> Parsed:
    conversation, sender = native.node("conversation"), native.node("sender")
    kind = native.raw("message_type")
    if isinstance(kind, int) and not isinstance(kind, bool) and 0 <= kind < len(_MESSAGE_TYPES):
        kind = _MESSAGE_TYPES[kind]
    ignored = Parsed(ignored=(type_name(kind, f"{name}:"),))
    if conversation is None:
        return ignored
    number = native.whole("id")
    if native.upper("content_type") == "INPUT_CSAT":
        return _survey(native, conversation, name, str(number)) or ignored
    if name != "message_created" or conversation.upper("status") != "PENDING":
        return ignored
    told = _Told(conversation, _moment(native, "created_at") or _time(conversation))
    by_bot = kind == "outgoing" and sender is not None and sender.upper("type") == "AGENT_BOT"
    if native.raw("private") is True or not (kind == "incoming" or by_bot):
        return ignored
    return Parsed((told.event("bot_turn", str(number), user_turn=not by_bot, **_BOT),))


def _survey(native: Node, conversation: Node, name: str, number: str) -> Parsed | None:
    """The satisfaction survey: a message that is sent, and updated with its answer."""
    sent = _moment(native, "created_at") or _time(conversation)
    fields = {"survey_id": number, "question": "csat"}
    if name == "message_created":
        return Parsed((_Told(conversation, sent).event("survey_sent", number, **fields),))
    attributes = native.node("content_attributes")
    values = attributes.node("submitted_values") if attributes else None
    answer = values.node("csat_survey_response") if values else None
    rating = answer.whole("rating") if answer else None
    if rating is None:
        return None
    if not 1 <= rating <= CSAT_SCALE:
        return Parsed(ignored=("survey:not_a_score",))
    told = _Told(conversation, _moment(native, "updated_at") or sent)
    event = told.event("survey_answered", number, scale=CSAT_SCALE, score=rating, **fields)
    return Parsed((event,))


def _time(conversation: Node) -> datetime:
    """When a conversation was last stored, else when its last message came."""
    for name in ("updated_at", "timestamp"):
        found = _moment(conversation, name)
        if found:
            return found
    raise BadPayload("invalid_event", "timestamp: expected a time")


def _moment(node: Node, name: str) -> datetime | None:
    """A time that is an epoch in seconds in some bodies and ISO 8601 in others."""
    value = node.raw(name)
    return None if value is None or value == "" else _instant(value, node.place(name))


def _instant(value: Any, place: str) -> datetime:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not abs(value) < _BEYOND_CALENDARS:
            raise BadPayload("invalid_event", f"{place}: expected a time")
        return from_epoch_us(round(value * 1_000_000), place)
    try:
        text = _UTC_TEXT.sub(r"\1Z", value.strip())
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (AttributeError, ValueError, OverflowError):
        raise BadPayload("invalid_event", f"{place}: expected a time") from None


PLATFORM: Final = Platform(SOURCE, split=split, key=key, parse=parse)
