"""LINE: webhooks of the Messaging API, whole bodies or their events one by one.

| native | unified |
| --- | --- |
| message or postback of a user, mode active | bot_turn of the user |
| the same, mode standby: the chat console or a module answers | bot_ended (handoff) |
| of a group or room | ignored as ``TYPE:group``, ``TYPE:room``: no customer is served there |
| anything else | ignored by its type |

A body ``{"destination": ..., "events": [...]}`` is cut into its events, each with its destination,
and without ``replyToken``, which is a permission to answer and must not be kept.

Key and interaction: the account (``destination``) and the user; what a session is, the fold
decides by silence, as nothing tells the end of a conversation. The customer is both together: user
ids belong to an account. What the bot or an agent answers is not sent to webhooks, so a session has
turns of the user only, and a handoff is known from the first message behind it. Text is not read.

An event's id is made of ``webhookEventId``, else of the message's id: both stay in a redelivery.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Final

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
    split_events,
    stable_id,
    type_name,
)
from schemas.platforms.jsonfile import split_json
from schemas.platforms.node import Node
from schemas.platforms.records import Oversized

SOURCE: Final = "line"

_OF_USERS: Final = frozenset({"message", "postback"})
_SHARED: Final = frozenset({"group", "room"})


def split(stream: BinaryIO) -> Iterator[bytes | Oversized]:
    """Cut a file of bodies into events."""
    return split_events(split_json(stream), _is_body, _natives)


def key(payload: bytes) -> bytes:
    """Return account and user of the (first) event."""
    try:
        return id_key(_interaction(Node(first_document(payload, _natives))), payload)
    except BadPayload:
        return fallback_key(payload)


def parse(payload: bytes, options: Options) -> Parsed:  # noqa: ARG001 - it has no options
    """Turn one body, one event of a body, or an array of them, into unified events.

    Raises:
        BadPayload: the payload is no webhook of LINE, or lacks what it must have.
    """
    return parse_documents(payload, _natives, _convert)


def _natives(document: Any) -> Iterable[Any]:
    """Open arrays and bodies; the events of a body are given its destination."""
    for item in elements(document):
        if _is_body(item) and item["events"]:
            told = {"destination": item.get("destination")}
            for event in item["events"]:
                yield told | _kept(event) if isinstance(event, dict) else event
        else:
            yield item


def _is_body(item: Any) -> bool:
    return isinstance(item, dict) and "type" not in item and isinstance(item.get("events"), list)


def _kept(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "replyToken"}


def _convert(fields: dict[str, Any]) -> Parsed:
    if _is_body(fields):
        # LINE verifies a webhook with a body that has no events.
        return Parsed(ignored=("verification",))
    native = Node(fields)
    kind = native.text("type")
    if kind is None:
        raise BadPayload("invalid_event", "type: expected the type of an event")
    if kind not in _OF_USERS:
        return Parsed(ignored=(type_name(kind),))
    source = native.node("source")
    place = source.text("type") if source else None
    if place in _SHARED:
        return Parsed(ignored=(f"{kind}:{place}",))
    return Parsed((_turn(native),))


def _interaction(native: Node) -> str:
    account, source = native.text("destination"), native.node("source")
    user = source.text("userId") if source else None
    if account is None or user is None:
        raise BadPayload("invalid_event", "destination, source.userId: expected text")
    return f"{account}/{user}"


def _turn(native: Node) -> InteractionEvent:
    identity = _interaction(native)
    time_ms = native.whole("timestamp", "an epoch in milliseconds")
    if time_ms is None:
        raise native.refused("timestamp", "an epoch in milliseconds")
    message = native.node("message")
    told = native.text("webhookEventId") or (message.text("id") if message else None)
    standby = native.upper("mode") == "STANDBY"
    fields: dict[str, Any] = {"outcome": "handoff"} if standby else {"user_turn": True}
    return make_event(
        "bot_ended" if standby else "bot_turn",
        event_id=stable_id(SOURCE, identity, told or f"{native.text('type')}{time_ms}"),
        source=SOURCE,
        occurred_at=from_epoch_us(time_ms * 1000, "timestamp"),
        interaction_id=identity,
        channel="line",
        customer=identity,
        performer_kind="bot",
        performer_id=SOURCE,
        **fields,
    )


PLATFORM: Final = Platform(SOURCE, split=split, key=key, parse=parse)
