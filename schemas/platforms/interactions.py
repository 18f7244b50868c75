"""Unified events as they are: what a producer writes that speaks the project's own schema.

| native | unified |
| --- | --- |
| one JSON object of :mod:`schemas.interaction` | that event |
| an array of them | those events |
| a ``kind`` that is not known | dead letter ``unknown_kind``: a newer version can replay it |
| kind ``tick`` | dead letter ``invalid_event``: ticks are the pipeline's own |

Key: ``interaction_id``. No options.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from pydantic import ValidationError

from schemas.compiled import CompiledEvent, decode_event
from schemas.interaction import EVENT_ADAPTER, KINDS, InteractionEvent, Tick
from schemas.platforms.base import (
    BOM,
    OLDEST,
    BadPayload,
    Options,
    Parsed,
    Platform,
    decode_json,
    describe,
    epoch_ms,
    id_key,
    text_of,
    type_name,
)
from schemas.platforms.jsonfile import split_json

MAX_AHEAD_MS: Final = 24 * 3_600_000

split = split_json


class _Identity(msgspec.Struct):
    interaction_id: str


_KEY: Final = msgspec.json.Decoder(_Identity | list[_Identity])
_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw])
_TIMES: Final = ("occurred_at", "ingested_at", "due_at")
# The validator also reads a number in quotes as a time; whether it is one is looked at closely.
_NUMBER: Final = re.compile(r"[-+.0-9]*")
_PERHAPS_NUMBER: Final = re.compile(rb'_at"\s*:\s*"[^"Tt ]*"')


def key(payload: bytes) -> bytes:
    """Return the root id of the (first) event."""
    try:
        found = _KEY.decode(payload.removeprefix(BOM))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return id_key(None, payload)
    event = next(iter(found), None) if isinstance(found, list) else found
    return id_key(event and event.interaction_id, payload)


def parse(payload: bytes, options: Options) -> Parsed:  # noqa: ARG001 - it has no options
    """Validate one event, or an array of them.

    Raises:
        BadPayload: the payload is no unified event, or one of the array is not.
    """
    text = text_of(payload)
    if not text.startswith("["):
        return Parsed((_event(text.encode()),))
    if not decode_json(payload):
        raise BadPayload("null_value", "expected a value, the array is empty")
    return Parsed(tuple(_event(bytes(element)) for element in _ARRAY.decode(text)))


def decode(payload: bytes) -> CompiledEvent | None:
    """Take one event in quickly; None where :func:`parse` has to judge the payload."""
    try:
        payload.decode()
    except UnicodeDecodeError:
        return None
    return decode_event(payload)


def check_time(occurred_ms: int, record_time_ms: int, oldest_ms: int = epoch_ms(OLDEST)) -> None:
    """Refuse an event whose time only a broken clock can have written.

    Args:
        occurred_ms: when an event of any platform occurred, UTC epoch milliseconds.
        record_time_ms: time of the record that told it, UTC epoch milliseconds.
        oldest_ms: the platform's own earliest time, ``Platform.oldest``.

    Raises:
        BadPayload: ``time_too_old``; ``time_in_future`` when it is more than 24 hours ahead of its
            record.
    """
    if occurred_ms < oldest_ms:
        raise BadPayload("time_too_old", "occurred_at: expected a time of 2000 or later")
    if occurred_ms - record_time_ms > MAX_AHEAD_MS:
        raise BadPayload(
            "time_in_future", "occurred_at: expected at most 24 hours ahead of the record's time"
        )


def _event(text: bytes) -> InteractionEvent:
    try:
        event = EVENT_ADAPTER.validate_json(text)
    except ValidationError as error:
        raise _refusal(text, error) from None
    if _PERHAPS_NUMBER.search(text):
        document = decode_json(text)
        for name in _TIMES:
            if _NUMBER.fullmatch(str(document.get(name))):
                raise BadPayload("invalid_event", f"{name}: expected RFC 3339 with an offset")
    if isinstance(event, Tick):
        raise BadPayload("invalid_event", "kind: tick is the pipeline's own")
    return event


def _refusal(text: bytes, error: ValidationError) -> BadPayload:
    defect = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if defect["type"] == "json_invalid":
        return BadPayload("bad_json", defect["msg"])
    document = decode_json(text)
    if not isinstance(document, dict):
        return BadPayload("invalid_event", "expected a JSON object")
    kind = document.get("kind")
    if not isinstance(kind, str):
        return BadPayload("invalid_event", "kind: expected the name of an event kind")
    if kind not in KINDS:
        return BadPayload("unknown_kind", f"kind: {type_name(kind)} is not known")
    return BadPayload("invalid_event", describe(error))


PLATFORM: Final = Platform("interactions", split=split, key=key, parse=parse, decode=decode)
