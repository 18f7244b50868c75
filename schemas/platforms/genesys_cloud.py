"""Genesys Cloud: detail events of conversations, and conversation details of its analytics.

Detail events come as EventBridge delivers them, as the notification channel sends them
(``topicName`` and ``eventBody``), in JSON lines, arrays, or concatenated.

| detail event | unified |
| --- | --- |
| customer.start | started |
| flow.start of a call, chat, message or bot flow | bot_started: an IVR is a bot |
| flow.end | bot_ended: handoff by a transfer out of flows, left by a disconnect |
| acd.start | queued |
| acd.end ANSWERED | accepted by answeredUserId, wait = connectedDurationMs |
| acd.end ABANDON; FLOW_OUT | abandoned; left_queue |
| user.start | ringing |
| user.end | left, record with talk = interactingDurationMs, hold = heldDurationMs |
| user.end by a transfer | transfer as well |
| user.end that only rang | declined, unless the customer hung up |
| acw | wrapup_ended, wrap = wrapupDurationMs |
| customer.end | completed |
| any other, and flows of queues and surveys | ignored by its name |

| conversation details | unified |
| --- | --- |
| conversation | started; completed once it has ended |
| ivr, botflow | bot_started, bot_ended |
| acd | queued; abandoned or left_queue where no agent answered |
| agent, user: alert; interact | ringing; accepted: wait = tAnswered |
| agent, user: hold; wrapup | hold, resume; wrapup_started, wrapup_ended: wrap = tAcw |
| agent, user: end of these | left, record with talk = tTalkComplete, hold = tHeldComplete |
| agent, user: alert alone | declined, if the agent let it ring or refused |
| sessions that monitor, coach or barge in | ignored as ``session:supervisor`` |

Key and interaction: ``conversationId``, the same over all transfers. Legs are not told: a detail
event knows who answered, and not in which session. Queues, agents, flows and teams go by their ids.
The team of an agent is told by conversation details only. The customer is the external contact,
else the address of the other side.

An event's id is made of conversation, session and what the event says of it. So conversation
details, whose ``record_version`` is the time of the last thing they tell in milliseconds, replace
what detail events said (version 0) and what earlier details of the same conversation did.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Final

import msgspec

from schemas.platforms._genesys_details import conversation_details
from schemas.platforms._genesys_events import detail_event
from schemas.platforms.base import (
    BadPayload,
    Options,
    Parsed,
    Platform,
    decode_json,
    elements,
    first_document,
    id_key,
    parse_documents,
    type_name,
)
from schemas.platforms.jsonfile import split_json
from schemas.platforms.node import Node
from schemas.platforms.records import Oversized


def split(stream: BinaryIO) -> Iterator[bytes | Oversized]:
    """Cut a file of events into events, and results of queries into conversations."""
    for record in split_json(stream):
        if isinstance(record, bytes) and b'"conversations"' in record:
            yield from _conversations_of(record)
        else:
            yield record


def key(payload: bytes) -> bytes:
    """Return the conversation's id."""
    native = first_document(payload, _natives)
    for body in (native, native.get("eventBody"), _inner(native.get("detail"), "eventBody")):
        if isinstance(body, dict) and body.get("conversationId"):
            return id_key(body["conversationId"], payload)
    return id_key(None, payload)


def parse(payload: bytes, options: Options) -> Parsed:  # noqa: ARG001 - it has no options
    """Turn one payload, or an array of them, into events.

    Raises:
        BadPayload: the payload is nothing that Genesys Cloud sends, or lacks what it must have.
    """
    return parse_documents(payload, _natives, _convert)


def _natives(document: Any) -> Iterable[Any]:
    """Open arrays and results of queries."""
    for item in elements(document):
        found = _inner(item, "conversations")
        if isinstance(found, list) and found:
            yield from found
        else:
            yield item


def _inner(item: Any, name: str) -> Any:
    return item.get(name) if isinstance(item, dict) else None


def _conversations_of(record: bytes) -> Iterator[bytes]:
    try:
        document = decode_json(record)
    except BadPayload:
        yield record
        return
    found = _inner(document, "conversations")
    if isinstance(found, list) and found:
        yield from map(msgspec.json.encode, found)
    else:
        yield record


def _convert(fields: dict[str, Any]) -> Parsed:
    native = Node(fields)
    if "participants" in native and "conversationId" in native:
        return conversation_details(native)
    detail = native.node("detail") or native
    topic = detail.text("topicName")
    if topic is not None:
        body = detail.node("eventBody")
        return detail_event(topic, body) if body else Parsed(ignored=(type_name(topic),))
    if "conversations" in native or "detail" in native:
        return Parsed(ignored=("no_conversation",))
    raise BadPayload("invalid_event", "expected a detail event or conversation details")


PLATFORM: Final = Platform("genesys_cloud", split=split, key=key, parse=parse)
