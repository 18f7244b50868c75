"""Amazon Connect: contact events, contact records and agent events.

Contact events come in their EventBridge envelope or bare, in JSON lines, arrays, concatenated as
Firehose writes them, or as batches of Kinesis and Firehose (``Records``, their data in Base64). The
case of keys varies within one payload and is ignored.

| contact event | unified |
| --- | --- |
| INITIATED | started; by transfer also transfer, on the leg it came from |
| INITIATED by QUEUE_TRANSFER | left_queue (overflow), too, on the leg it came from |
| QUEUED | queued at enqueueTimestamp |
| CONNECTED_TO_AGENT | accepted |
| DISCONNECTED with an agent | completed, wrapup_started |
| DISCONNECTED in a queue, no agent | abandoned; if the flow ended it: left_queue, completed |
| DISCONNECTED elsewhere | completed |
| COMPLETED with an agent | wrapup_ended |
| any other | ignored as ``contact_event:TYPE`` |
| any of a contact by MONITOR: a supervisor | ignored as ``contact_event:MONITOR`` |

| contact record | unified |
| --- | --- |
| all | started, and transfer as above |
| Queue | queued |
| Agent | accepted: wait = Queue.Duration; completed (left, if NextContactId goes on); |
| | wrapup_started; wrapup_ended: talk = AgentInteractionDuration, which holds no hold, |
| | hold = CustomerHoldDuration, wrap = AfterContactWorkDuration |
| Queue without Agent | abandoned at DequeueTimestamp; with NextContactId: left_queue (callback) |
| attribute of option ``csat_attribute`` | survey_answered: ``4`` of 5, or ``9/10`` |

| agent event | unified |
| --- | --- |
| status or state differs between the snapshots | performer_state; busy and wrap by its contacts |
| contact goes to CONNECTING; MISSED, REJECTED | ringing; declined |
| contact goes to CONNECTED | accepted |
| contact goes to CONNECTED_ONHOLD and back | hold, resume |
| contact goes to ENDED; was ENDED and is gone | wrapup_started; wrapup_ended at EventTimestamp |
| no difference | ignored as ``agent_event:TYPE`` |

Contact Lens segments and rules, case events and flow logs are ignored as ``realtime_segments``,
``contact_lens_rule``, ``case_event`` and ``contact_flow_log``.

Key: the first contact of the chain (``InitialContactId``, else ``ContactId``); the agent for agent
events. Leg: the contact. An event's id is made of contact and kind: the events of a record, whose
``record_version`` is LastUpdateTimestamp in milliseconds, replace those of contact events, which
have version 0, and those of earlier records of the same contact.

A queue goes by its name once the record tells it; contact events know its ARN only. An agent goes
by the id at the end of the ARN, which all of them tell. Its team is the group at the lowest level
of its hierarchy, by name where it is told, which contact events do not. Which flow ran is in flow
logs only.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Final

import msgspec

from schemas.platforms._connect_agent import AGENT_EVENTS, agent_event, agent_performer
from schemas.platforms._connect_common import root_id
from schemas.platforms._connect_contact import contact_event, contact_record
from schemas.platforms.base import (
    BadPayload,
    Options,
    Parsed,
    Platform,
    decode_json,
    elements,
    fallback_key,
    first_document,
    id_key,
    parse_documents,
    type_name,
)
from schemas.platforms.jsonfile import split_json
from schemas.platforms.node import Node
from schemas.platforms.records import Oversized

_SEGMENTS: Final = frozenset({"STARTED", "SEGMENTS", "COMPLETED", "FAILED"})


def split(stream: BinaryIO) -> Iterator[bytes | Oversized]:
    """Cut a file into events and records, batches of a stream too."""
    for record in split_json(stream):
        if isinstance(record, bytes) and b'ecords"' in record:
            yield from _batch_of(record)
        else:
            yield record


def key(payload: bytes) -> bytes:
    """Return the first contact of the chain; ``performer:`` and the agent for agent events."""
    try:
        native = Node(first_document(payload, _natives))
        detail = native.node("detail") or native
        if _is_agent_event(detail):
            return id_key(f"performer:{agent_performer(detail)}", payload)
        return id_key(root_id(detail), payload)
    except BadPayload:
        return fallback_key(payload)


def parse(payload: bytes, options: Options) -> Parsed:
    """Turn one payload, or an array of them, into events.

    Raises:
        BadPayload: the payload is nothing that Connect sends, or lacks what it must have.
    """
    return parse_documents(payload, _natives, lambda native: _convert(native, options))


def _natives(document: Any) -> Iterable[Any]:
    """Open arrays, and batches in which a stream hands records to a function."""
    for item in elements(document):
        batch = _records(item)
        yield from map(_packed, batch) if batch else (item,)


def _records(item: Any) -> list[Any]:
    """Records of a batch: ``Records`` of Kinesis, ``records`` of Firehose."""
    found = item.get("Records", item.get("records")) if isinstance(item, dict) else None
    return found if isinstance(found, list) else []


def _packed(record: Any) -> Any:
    """What a record of a batch holds, which is JSON in Base64; another record stays."""
    holder = record.get("kinesis", record) if isinstance(record, dict) else None
    data = holder.get("data") if isinstance(holder, dict) else None
    if not isinstance(data, str):
        return record
    try:
        return decode_json(base64.b64decode(data, validate=True))
    except ValueError:  # binascii.Error is one; letters that are no ASCII are another
        raise BadPayload("invalid_event", "data of a stream's record: expected Base64") from None


def _batch_of(payload: bytes) -> Iterator[bytes]:
    try:
        documents = list(_natives(decode_json(payload)))
    except BadPayload:
        yield payload
        return
    yield from map(msgspec.json.encode, documents)


def _convert(fields: dict[str, Any], options: Options) -> Parsed:
    native = Node(fields)
    detail = native.node("detail")
    if detail is None:
        return _bare(native, options)
    title = native.text("detail-type") or ""
    if title.startswith("Contact Lens"):
        return Parsed(ignored=("contact_lens_rule",))
    if title == "Amazon Connect Cases Event":
        return Parsed(ignored=("case_event",))
    if title == "Amazon Connect Contact Event":
        return contact_event(detail, native.time("time"))
    return Parsed(ignored=(type_name(title.replace(" ", "_")),))


def _bare(native: Node, options: Options) -> Parsed:
    """Tell a payload without envelope by its fields."""
    kind = native.upper("EventType")
    if "AWSContactTraceRecordFormatVersion" in native:
        return contact_record(native, options.csat_attribute)
    if _is_agent_event(native):
        return agent_event(native)
    if kind in _SEGMENTS and "InstanceId" in native:
        return Parsed(ignored=("realtime_segments",))
    if "ContactFlowId" in native:
        return Parsed(ignored=("contact_flow_log",))
    if "RuleName" in native:
        return Parsed(ignored=("contact_lens_rule",))
    if kind.startswith(("CASE.", "RELATED_ITEM.")):
        return Parsed(ignored=("case_event",))
    if kind and "ContactId" in native:
        return contact_event(native, None)
    if kind:
        return Parsed(ignored=(type_name(kind),))
    if "ContactId" in native and "LastUpdateTimestamp" in native:
        return contact_record(native, options.csat_attribute)
    raise BadPayload("invalid_event", "expected a contact event, contact record or agent event")


def _is_agent_event(native: Node) -> bool:
    return "AgentARN" in native and (
        "CurrentAgentSnapshot" in native or native.upper("EventType") in AGENT_EVENTS
    )


PLATFORM: Final = Platform(
    "amazon_connect", split=split, key=key, parse=parse, uses=frozenset({"csat_attribute"})
)
