"""Rasa: the events of its event broker, one JSON message each, or whole trackers.

| native event | unified |
| --- | --- |
| session_started | bot_started |
| user (typed, or a button ``/intent{...}``) | bot_turn of the user: intent, confidence, no_match |
| bot | bot_turn of the bot |
| flow_started, flow_resumed | bot_turn of the bot in this flow, patterns of Rasa left out |
| action named in option ``handoff_actions`` | handoff |
| pause | bot_ended (handoff): the bot stops answering, often right behind such an action |
| any other action, and any other event | ignored by its event name |
| ``{"sender_id": ..., "events": [...]}`` (a tracker) | its events |
| ``{"sender_id": ..., "data": "{...}"}`` (a row of a broker's or tracker's table) | its event |

Key and interaction: ``sender_id``. It is per user and channel and never ends: what a session is,
the fold decides, at a bot_started after silence. Nothing tells the end of a conversation.

A handoff is told of the flow that began or went on last: the end of a flow begins no other. Rasa's
own flows, its patterns, repair what was said in the flow before, and are not told.

``no_match`` is true for intent ``nlu_fallback``. Text, slots and entities are not read. The
customer is sender and channel together; ``default``, the sender of a shell, is nobody. Only events
of the user tell their channel, the rest is taken for web_chat, as Rasa's own channels are.

Exports and restarts publish old events again: the event id is made of sender, time, event and name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, BinaryIO, Final

from schemas.platforms.base import (
    BadPayload,
    Options,
    Parsed,
    Platform,
    customer_id,
    decode_json,
    elements,
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
from schemas.platforms.records import Oversized

SOURCE: Final = "rasa"
NO_MATCH_INTENT: Final = "nlu_fallback"
PATTERN: Final = "pattern_"
"""Begins the names of the flows that are Rasa's own."""

_CHANNELS: Final = {
    "callback": "web_chat", "chatroom": "web_chat", "cmdline": "web_chat", "rasa": "web_chat",
    "rest": "web_chat", "socketio": "web_chat", "webchat": "web_chat", "email": "email",
    "facebook": "facebook", "instagram": "instagram", "line": "line", "sms": "sms",
    "twilio": "sms", "twilio_voice": "voice", "voice": "voice", "audiocodes": "voice",
    "wechat": "wechat", "whatsapp": "whatsapp",
}  # fmt: skip


def split(stream: BinaryIO) -> Iterator[bytes | Oversized]:
    """Cut a file of broker messages or trackers into events."""
    return split_events(split_json(stream), _is_tracker, _natives)


def key(payload: bytes) -> bytes:
    """Return the sender id."""
    return id_key(first_document(payload, _natives).get("sender_id"), payload)


def parse(payload: bytes, options: Options) -> Parsed:
    """Turn one broker message, an array of them, or a tracker into events.

    Raises:
        BadPayload: the payload is no event of Rasa.
    """
    return parse_documents(payload, _natives, lambda event: _convert(event, options))


def _natives(document: Any) -> Iterable[Any]:
    """Open arrays, trackers and rows of tables; their events are given the sender."""
    for item in elements(document):
        if _is_tracker(item) and item["events"]:
            yield from (_sent_by(item, event) for event in item["events"])
        elif isinstance(item, dict) and "event" not in item and isinstance(item.get("data"), str):
            yield _sent_by(item, decode_json(item["data"].encode()))
        else:
            yield item


def _sent_by(item: dict[str, Any], event: Any) -> Any:
    return {"sender_id": item.get("sender_id")} | event if isinstance(event, dict) else event


def _is_tracker(item: Any) -> bool:
    return isinstance(item, dict) and "event" not in item and isinstance(item.get("events"), list)


def _convert(native: dict[str, Any], options: Options) -> Parsed:
    if _is_tracker(native):
        return Parsed(ignored=("tracker",))
    name = native.get("event")
    if not isinstance(name, str):
        raise BadPayload("invalid_event", "event: expected the name of an event")
    if name == "session_started":
        return _parsed(native, "bot_started")
    if name == "user":
        return _parsed(native, "bot_turn", user_turn=True, **_understood(native))
    if name == "bot":
        return _parsed(native, "bot_turn", user_turn=False)
    if name in {"flow_started", "flow_resumed"}:
        return _flow(native, name)
    if name == "action" and native.get("name") in options.handoff_actions:
        return _parsed(native, "handoff")
    if name == "pause":
        return _parsed(native, "bot_ended", outcome="handoff")
    return Parsed(ignored=(type_name(name),))


def _flow(native: dict[str, Any], name: str) -> Parsed:
    flow = native.get("flow_id")
    if not isinstance(flow, str) or not flow:
        raise BadPayload("invalid_event", "flow_id: expected text")
    if flow.startswith(PATTERN):
        return Parsed(ignored=(f"{name}:pattern",))
    return _parsed(native | {"name": flow}, "bot_turn", user_turn=False, flow=flow)


def _understood(native: dict[str, Any]) -> dict[str, Any]:
    """What the bot made of a message: never the message."""
    intent = _object(_object(native, "parse_data"), "intent")
    name, confidence = intent.get("name"), intent.get("confidence")
    if confidence is not None:
        if isinstance(confidence, bool) or not isinstance(confidence, int | float):
            raise BadPayload("invalid_event", "parse_data.intent.confidence: expected a number")
        # Classifiers compute in single precision and may end a little beyond 1.
        confidence = 1.0 if 1 < confidence < 1.001 else float(confidence)
    return {
        "intent": name,
        "confidence": confidence,
        "no_match": None if name is None else name == NO_MATCH_INTENT,
    }


def _parsed(native: dict[str, Any], kind: str, **fields: Any) -> Parsed:
    sender, stamp, name = native.get("sender_id"), native.get("timestamp"), native.get("name")
    if not isinstance(sender, str) or not sender:
        raise BadPayload("invalid_event", "sender_id: expected text")
    if isinstance(stamp, bool) or not isinstance(stamp, int | float):
        raise BadPayload("invalid_event", "timestamp: expected epoch seconds")
    metadata = _object(native, "metadata")
    channel = native.get("input_channel")
    if channel is not None and not isinstance(channel, str):
        raise BadPayload("invalid_event", "input_channel: expected text")
    known = customer_id(sender) is not None and channel
    return Parsed(
        (
            make_event(
                kind,
                event_id=stable_id(SOURCE, sender, repr(float(stamp)), native["event"], str(name)),
                source=SOURCE,
                # The float is taken for what it is, then rounded once.
                occurred_at=from_epoch_us(round(Fraction(stamp) * 1_000_000), "timestamp"),
                interaction_id=sender,
                channel=_CHANNELS.get(channel.casefold(), "other") if channel else "web_chat",
                customer=f"rasa:{sender}:{channel}" if known else None,
                performer_kind="bot",
                performer_id=metadata.get("assistant_id") or SOURCE,
                model_version=metadata.get("model_id"),
                **fields,
            ),
        )
    )


def _object(parent: dict[str, Any], name: str) -> dict[str, Any]:
    """Inner object; an absent or null one is empty."""
    value = parent.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadPayload("invalid_event", f"{name}: expected an object")
    return value


PLATFORM: Final = Platform(
    "rasa", split=split, key=key, parse=parse, uses=frozenset({"handoff_actions"})
)
