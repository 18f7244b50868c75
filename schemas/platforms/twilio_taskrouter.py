"""Twilio TaskRouter and Flex: workspace event callbacks and Event Streams.

Callbacks come as JSON objects of their form fields, all text; Event Streams as CloudEvents, whose
``data.payload`` has the same fields in snake case; events of the REST interface have them in
``event_data``. The type is ``EventType``, else ``type`` of the CloudEvent: ``data.name`` is not
trusted.

| native | unified |
| --- | --- |
| task.created | started |
| task-queue.entered; .timeout | queued; left_queue (timeout) |
| reservation.created | ringing |
| reservation.accepted | accepted |
| reservation.rejected, .timeout, .rescinded, .canceled | declined |
| reservation.wrapup; .completed | wrapup_started; wrapup_ended |
| task.transfer-initiated COLD, task.transfer-completed | transfer (blind, warm) |
| task.wrapup, else task.completed, else task.deleted, task.system-deleted | completed |
| task.canceled | abandoned; by a timeout: left_queue (timeout), completed by system |
| worker.activity.update | performer_state by the name of the activity |
| anything else | ignored by its type |

Key and interaction: ``conversations.conversation_id`` of the task's attributes, else the call or
channel inside them, else the task. Leg: the reservation, else the task. A queue goes by its name,
an agent by the worker's id. The flow is the workflow, the team ``team_name`` of the worker's
attributes. Hold is not told: TaskRouter does not know the call. Time: ``TimestampMs``, else
``Timestamp``, which is the epoch in seconds or ISO 8601.

An event's id is made of ``Sid`` of the native event, or ``id`` of the CloudEvent; the end of a
task, told several times, has one id, and what says most of it the higher ``record_version``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from schemas.interaction import InteractionEvent
from schemas.platforms.base import (
    BadPayload,
    Options,
    Parsed,
    Platform,
    customer_id,
    decode_json,
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

SOURCE: Final = "twilio_taskrouter"

split = split_json

_STREAM: Final = "com.twilio.taskrouter."
_CHANNELS: Final = {
    "voice": "voice", "chat": "web_chat", "web": "web_chat", "sms": "sms", "email": "email",
    "whatsapp": "whatsapp", "facebook": "facebook", "messenger": "facebook", "line": "line",
    "instagram": "instagram", "default": "task",
}  # fmt: skip
_STATES: Final = {
    "available": "available", "idle": "available", "busy": "busy", "reserved": "busy",
    "wrapup": "wrap", "wrappingup": "wrap", "aftercallwork": "wrap", "offline": "offline",
}  # fmt: skip
_TRANSFERS: Final = {"COLD": "blind", "WARM": "warm"}
_TIMED_OUT: Final = re.compile(r"timeout|time-out|timed out|ttl", re.IGNORECASE)
_DIGITS: Final = re.compile(r"[0-9]{1,16}")
# Who says most of how a task ended: a wrap-up begins when the conversation ends.
_END_VERSIONS: Final = {"task.wrapup": 2, "task.completed": 1, "task.canceled": 1}


def key(payload: bytes) -> bytes:
    """Return the conversation, or ``performer:`` and the worker."""
    try:
        told = _Told(first_document(payload, elements))
        if told.is_of_worker:
            return id_key(f"performer:{told.worker}", payload)
        return id_key(told.conversation, payload)
    except BadPayload:
        return fallback_key(payload)


def parse(payload: bytes, options: Options) -> Parsed:  # noqa: ARG001 - it has no options
    """Turn one event, or an array of them, into unified events.

    Raises:
        BadPayload: the payload is no event of TaskRouter, or lacks what it must have.
    """
    return parse_documents(payload, elements, _convert)


class _Told:
    """One native event, whatever form it came in."""

    def __init__(self, fields: dict[str, Any]) -> None:
        outer = Node(_joined(fields))
        data = outer.node("data")
        inner = (data.node("payload") or data) if data else outer.node("eventdata") or outer
        self.inner = Node(_joined(inner.fields))
        name = outer.text("type") or outer.text("eventtype")
        if name is None:
            raise BadPayload("invalid_event", "EventType: expected text")
        self.type = name.removeprefix(_STREAM).lower()
        self._outer = outer
        self._attributes = self._task_attributes()
        sid = self.inner.text("sid") if self.inner is not outer else None
        self.sid = sid or outer.text("sid") or outer.text("id")

    @property
    def is_of_worker(self) -> bool:
        return self.type.startswith("worker.")

    @property
    def time(self) -> datetime:
        for node in (self.inner, self._outer):
            if milliseconds := node.text("timestampms"):
                if not _DIGITS.fullmatch(milliseconds):
                    raise node.refused("TimestampMs", "an epoch in milliseconds")
                return from_epoch_us(int(milliseconds) * 1000, "TimestampMs")
            for name in ("timestamp", "eventdate", "time"):
                text = node.text(name)
                if text and _DIGITS.fullmatch(text):
                    return from_epoch_us(int(text) * 1_000_000, "Timestamp")
                if text:
                    return node.needed_time(name)
        raise BadPayload("invalid_event", "Timestamp: expected a time")

    @property
    def task(self) -> str:
        return self._needed("tasksid", "TaskSid")

    @property
    def worker(self) -> str:
        return self._needed("workersid", "WorkerSid")

    @property
    def team(self) -> str | None:
        attributes = self._json_attributes("workerattributes", "WorkerAttributes")
        team = attributes.get("team_name")
        return team if isinstance(team, str) and team else None

    @property
    def conversation(self) -> str:
        attributes = self._attributes
        inner = attributes.get("conversations")
        found = [inner.get("conversation_id") if isinstance(inner, dict) else None]
        names = ("call_sid", "conversationSid", "channelSid")
        found += [attributes.get(name) for name in names]
        return next((sid for sid in found if isinstance(sid, str) and sid), None) or self.task

    def _needed(self, name: str, shown: str) -> str:
        value = self.inner.text(name)
        if value is None:
            raise BadPayload("invalid_event", f"{shown}: expected text")
        return value

    def _task_attributes(self) -> dict[str, Any]:
        return self._json_attributes("taskattributes", "TaskAttributes")

    def _json_attributes(self, name: str, shown: str) -> dict[str, Any]:
        """Attributes, which are JSON inside of a text."""
        raw = self.inner.raw(name)
        if isinstance(raw, str) and raw.strip():
            try:
                raw = decode_json(raw.encode("utf-8", "replace"))
            except BadPayload:
                raise BadPayload("invalid_event", f"{shown}: expected JSON") from None
        return raw if isinstance(raw, dict) else {}

    def _text_attribute(self, *names: str) -> str:
        found = (self._attributes.get(name) for name in names)
        return next((value for value in found if isinstance(value, str) and value), "")

    def event(self, kind: str, slot: str | None = None, **fields: Any) -> InteractionEvent:
        """Build an event of the task, or of its reservation; ``slot`` names it within the task."""
        outbound = self._text_attribute("direction").startswith("outbound")
        name = self._text_attribute("channelType") or self.inner.text("taskchanneluniquename") or ""
        customer = self._text_attribute(
            *(("outbound_to", "to") if outbound else ("customerAddress", "from", "caller"))
        )
        own = (self.task, slot) if slot else (self.sid or f"{self.task}{self.time}", kind)
        return make_event(
            kind,
            event_id=stable_id(SOURCE, *own),
            source=SOURCE,
            occurred_at=self.time,
            interaction_id=self.conversation,
            leg_id=self.inner.text("reservationsid") or self.task,
            channel=_CHANNELS.get(name.casefold(), "other"),
            direction="outbound" if outbound else "inbound",
            queue=self.inner.text("taskqueuename") or self.inner.text("taskqueuesid"),
            flow=self.inner.text("workflowname") or self.inner.text("workflowsid"),
            customer=customer_id(customer.removeprefix("whatsapp:")),
            **fields,
        )

    def of_worker(self, kind: str, **fields: Any) -> InteractionEvent:
        """Build an event in which the worker takes part."""
        who = {"performer_kind": "human", "performer_id": self.worker, "team": self.team}
        return self.event(kind, **who, **fields)


def _joined(fields: dict[str, Any]) -> dict[str, Any]:
    """Names as both forms have them: ``TaskSid`` and ``task_sid`` are the same."""
    return {name.replace("_", ""): value for name, value in fields.items()}


def _convert(fields: dict[str, Any]) -> Parsed:
    told = _Told(fields)
    if told.type in {"worker.activity.update", "worker.activity"}:
        return Parsed((_state(told),))
    convert = _EVENTS.get(told.type)
    events = convert(told) if convert else ()
    return Parsed(events) if events else Parsed(ignored=(type_name(told.type),))


def _state(told: _Told) -> InteractionEvent:
    name = told.inner.text("workeractivityname")
    if name is None:
        raise BadPayload("invalid_event", "WorkerActivityName: expected text")
    state = _STATES.get(re.sub("[^a-z]", "", name.casefold()), "away")
    return make_event(
        "performer_state",
        event_id=stable_id(SOURCE, told.sid or f"{told.worker}{told.time}", "performer_state"),
        source=SOURCE,
        occurred_at=told.time,
        interaction_id=f"performer:{told.worker}",
        channel="other",
        performer_kind="human",
        performer_id=told.worker,
        team=told.team,
        state=state,
        reason=name if state == "away" else None,
    )


def _created(told: _Told) -> tuple[InteractionEvent, ...]:
    return (told.event("started"),)


def _entered(told: _Told) -> tuple[InteractionEvent, ...]:
    return (told.event("queued"),)


def _queue_timeout(told: _Told) -> tuple[InteractionEvent, ...]:
    return (told.event("left_queue", reason="timeout"),)


def _reserved(told: _Told) -> tuple[InteractionEvent, ...]:
    return (told.of_worker("ringing"),)


def _accepted(told: _Told) -> tuple[InteractionEvent, ...]:
    via = "transfer" if told.inner.text("transfermode") else "queue"
    return (told.of_worker("accepted", via=via),)


def _declined(told: _Told) -> tuple[InteractionEvent, ...]:
    return (told.of_worker("declined"),)


def _wrapping(told: _Told) -> tuple[InteractionEvent, ...]:
    return (told.of_worker("wrapup_started"),)


def _wrapped(told: _Told) -> tuple[InteractionEvent, ...]:
    return (told.of_worker("wrapup_ended"),)


def _transferred(told: _Told) -> tuple[InteractionEvent, ...]:
    """A cold transfer passes the customer on at once, a warm one when it is completed."""
    mode = told.inner.upper("transfermode")
    if told.type == "task.transfer-initiated" and mode != "COLD":
        return ()
    # Whoever passes on is who serves last; the event may name the worker it goes to.
    began = told.inner.text("initiatingreservationsid") or told.inner.text("transfersid") or ""
    # The beginning of a cold one says better when it happened than its completion.
    version = 1 if told.type == "task.transfer-initiated" else 0
    fields = {"transfer_kind": _TRANSFERS.get(mode), "record_version": version}
    return (told.event("transfer", f"transfer{began}", **fields),)


def _ended(told: _Told) -> tuple[InteractionEvent, ...]:
    version = _END_VERSIONS.get(told.type, 0)
    return (told.event("completed", "end", record_version=version),)


def _canceled(told: _Told) -> tuple[InteractionEvent, ...]:
    """Only a task that nobody has accepted can be canceled."""
    version = _END_VERSIONS[told.type]
    reason = told.inner.text("taskcanceledreason") or told.inner.text("reason") or ""
    if not _TIMED_OUT.search(reason):
        return (told.event("abandoned", "end", record_version=version),)
    return (
        told.event("left_queue", reason="timeout"),
        told.event("completed", "end", record_version=version, ended_by="system"),
    )


_EVENTS: Final[dict[str, Callable[[_Told], tuple[InteractionEvent, ...]]]] = {
    "task.created": _created,
    "task-queue.entered": _entered,
    "task-queue.timeout": _queue_timeout,
    "reservation.created": _reserved,
    "reservation.accepted": _accepted,
    "reservation.rejected": _declined,
    "reservation.timeout": _declined,
    "reservation.rescinded": _declined,
    "reservation.canceled": _declined,
    "reservation.wrapup": _wrapping,
    "reservation.completed": _wrapped,
    "task.transfer-initiated": _transferred,
    "task.transfer-completed": _transferred,
    "task.wrapup": _ended,
    "task.completed": _ended,
    "task.deleted": _ended,
    "task.system-deleted": _ended,
    "task.canceled": _canceled,
}

PLATFORM: Final = Platform(SOURCE, split=split, key=key, parse=parse)
