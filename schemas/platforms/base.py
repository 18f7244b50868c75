"""What every platform module gives, and the tools they share.

A platform turns its native payloads into unified events with three functions:

* ``split`` cuts a file into native records, streaming, each at most 1 MiB;
* ``key`` names the conversation of a payload, so that its events meet in one partition;
* ``parse`` makes events of one payload. It is pure: the same payload and options give the same
  events with the same ids, whatever came before.

Nothing here reads a clock, and no error text repeats what a customer said or who they are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any, BinaryIO, Final, Literal, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import msgspec
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from schemas.compiled import CompiledEvent
from schemas.interaction import EVENT_ADAPTER, MAX_ID_CHARS, InteractionEvent
from schemas.platforms.records import Oversized

Reason = Literal[
    "bad_json", "bad_utf8", "null_value", "unknown_kind", "invalid_event", "time_too_old",
    "time_in_future", "too_large",
]  # fmt: skip

MAX_DETAIL_CHARS: Final = 300
OLDEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""No platform of today has events older than this: an older time is a broken clock."""

BOM: Final = b"\xef\xbb\xbf"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TYPE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}")
_BLANK_IDS: Final = frozenset({
    "", "-", "0", "anonymous", "asterisk", "blocked", "default", "n/a", "na", "nan", "nil", "none",
    "null", "private", "private number", "restricted", "s", "unavailable", "undefined", "unknown",
    "withheld", "<unknown>", "+266696687",
})  # fmt: skip

_MASKS: Final = frozenset("x0#*+-_ .")


class BadPayload(Exception):  # noqa: N818 - it names the payload, not a failure of ours
    """A payload that gives no events; it becomes a dead letter.

    Attributes:
        reason: class of the defect, one of :data:`Reason`.
        detail: where it is and what was expected there, at most 300 characters, free of values.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        self.reason: Reason = reason
        self.detail = detail[:MAX_DETAIL_CHARS]
        super().__init__(f"{reason}: {self.detail}")


class OptionError(ValueError):
    """An option of a platform that does not exist, is not used by it or has a bad value."""


class Options(BaseModel):
    """What a user may tell a platform that its payloads do not say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    time_zone: str | None = None
    """IANA name of the zone of times that are written without one; UTC when absent."""
    handoff_actions: tuple[str, ...] = (
        "action_human_handoff", "action_handoff", "handoff_to_human", "human_handoff",
    )  # fmt: skip
    """Names of the bot's actions that ask for a human."""
    csat_attribute: str | None = None
    """Contact attribute that holds the answer of the satisfaction survey."""

    @field_validator("time_zone")
    @classmethod
    def _zone_exists(cls, value: str | None) -> str | None:
        if value is None or value in available_timezones():
            return value
        near = get_close_matches(value, sorted(available_timezones()), n=1)
        hint = f", did you mean {near[0]!r}?" if near else ", for example 'Europe/Berlin'"
        raise ValueError(f"{value[:64]!r} is not a time zone of the IANA database{hint}")

    @field_validator("handoff_actions")
    @classmethod
    def _some_action(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or not all(value):
            raise ValueError("expected action names with commas between them")
        return value

    @field_validator("csat_attribute")
    @classmethod
    def _named_attribute(cls, value: str | None) -> str | None:
        if value == "":
            raise ValueError("expected the name of a contact attribute")
        return value

    @property
    def zone(self) -> ZoneInfo:
        """Zone of times that are written without one."""
        return ZoneInfo(self.time_zone or "UTC")


class Parsed(NamedTuple):
    """What one payload gave."""

    events: tuple[InteractionEvent, ...] = ()
    ignored: tuple[str, ...] = ()
    """Type names of native events that do not matter or are unknown, one entry an event."""
    restart_ms: int | None = None
    """The source restarted at this UTC epoch millisecond: how its open calls ended is unknown."""


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform as the registry hands it out."""

    name: str
    split: Callable[[BinaryIO], Iterator[bytes | Oversized]]
    key: Callable[[bytes], bytes]
    parse: Callable[[bytes, Options], Parsed]
    uses: frozenset[str] = frozenset()
    oldest: datetime = OLDEST
    """Events before this time are refused."""
    decode: Callable[[bytes], CompiledEvent | None] | None = None
    """A quicker way to the one event of a payload; where it gives None, ``parse`` judges."""

    def options(self, pairs: Iterable[str] = ()) -> Options:
        """Read ``KEY=VALUE`` strings; lists are written with commas.

        Raises:
            OptionError: a pair is malformed, given twice, not an option of this platform, or its
                value is refused.
        """
        values: dict[str, Any] = {}
        for pair in pairs:
            name, sign, value = pair.partition("=")
            name = name.strip()
            if not sign or not name:
                raise OptionError(f"option {pair[:64]!r}: expected KEY=VALUE")
            if name not in Options.model_fields:
                known = ", ".join(sorted(self.uses)) or "none"
                raise OptionError(f"unknown option {name!r}; options of {self.name}: {known}")
            if name not in self.uses:
                raise OptionError(f"option {name!r} is not used by platform {self.name!r}")
            if name in values:
                raise OptionError(f"option {name!r} is given twice")
            values[name] = (
                tuple(item.strip() for item in value.split(","))
                if name == "handoff_actions"
                else value.strip()
            )
        try:
            return Options(**values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            message = first["msg"].removeprefix("Value error, ")
            raise OptionError(f"option {first['loc'][0]!r}: {message}") from error


def text_of(payload: bytes) -> str:
    """Decode a payload, without its byte-order mark and the blanks around it.

    Raises:
        BadPayload: ``bad_utf8``; ``null_value`` when nothing is left.
    """
    try:
        text = payload.removeprefix(BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadPayload("bad_utf8", f"byte {error.start}: expected UTF-8") from None
    text = text.strip("\ufeff \t\r\n")
    if not text:
        raise BadPayload("null_value", "expected a value, it is empty")
    return text


def log_text_of(payload: bytes) -> str:
    """Decode a line of a log whose writer knows no encoding: UTF-8, else Latin-1.

    Latin-1 has a character for every byte, so that names stay apart. A log that was cut while it
    was written begins with zero bytes, which are left out.

    Raises:
        BadPayload: ``null_value`` when nothing is left.
    """
    payload = payload.strip(b"\x00 \t\r\n").removeprefix(BOM)
    try:
        return text_of(payload)
    except BadPayload as refusal:
        if refusal.reason != "bad_utf8":
            raise
    return payload.decode("latin-1").strip()


def decode_json(payload: bytes) -> Any:
    """Decode one JSON payload.

    Raises:
        BadPayload: ``bad_utf8``, ``null_value`` or ``bad_json``.
    """
    text = text_of(payload)
    try:
        document = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise BadPayload("bad_json", str(error)) from None
    except RecursionError:
        raise BadPayload("bad_json", "nested too deeply") from None
    if document is None:
        raise BadPayload("null_value", "expected a value, it is null")
    return document


def split_events(
    records: Iterable[bytes | Oversized],
    wraps: Callable[[Any], bool],
    natives: Callable[[Any], Iterable[Any]],
) -> Iterator[bytes | Oversized]:
    """Cut documents that wrap native events in a member ``events``; other records stay as they are.

    Args:
        records: JSON documents of a file.
        wraps: whether a document is such a wrapper.
        natives: opens one.
    """
    for record in records:
        if isinstance(record, bytes) and b'"events"' in record:
            yield from _events_of(record, wraps, natives)
        else:
            yield record


def _events_of(
    record: bytes, wraps: Callable[[Any], bool], natives: Callable[[Any], Iterable[Any]]
) -> Iterator[bytes]:
    try:
        document = decode_json(record)
    except BadPayload:
        yield record
        return
    if wraps(document):
        yield from map(msgspec.json.encode, natives(document))
    else:
        yield record


def parse_documents(
    payload: bytes,
    natives: Callable[[Any], Iterable[Any]],
    convert: Callable[[dict[str, Any]], Parsed],
) -> Parsed:
    """Parse a JSON payload that holds one native event or several.

    Args:
        payload: the record.
        natives: opens a document that wraps several native events.
        convert: turns one native event into unified ones.

    Raises:
        BadPayload: also when one of several native events is bad: a record is refused as a whole.
    """
    found = []
    for native in natives(decode_json(payload)):
        if not isinstance(native, dict):
            raise BadPayload("invalid_event", "expected a JSON object")
        found.append(convert(native))
    if not found:
        raise BadPayload("null_value", "expected a value, the array is empty")
    restarts = [parsed.restart_ms for parsed in found if parsed.restart_ms is not None]
    return Parsed(
        tuple(event for parsed in found for event in parsed.events),
        tuple(name for parsed in found for name in parsed.ignored),
        max(restarts, default=None),
    )


def elements(document: Any) -> Iterable[Any]:
    """Open an array; anything else stands for itself."""
    return document if isinstance(document, list) else (document,)


def first_document(payload: bytes, natives: Callable[[Any], Iterable[Any]]) -> dict[str, Any]:
    """First native event of a payload; an empty object when it cannot be read."""
    try:
        native = next(iter(natives(decode_json(payload))), None)
    except BadPayload:
        return {}
    return native if isinstance(native, dict) else {}


def fallback_key(payload: bytes) -> bytes:
    """Key of a payload that does not tell its conversation: spread by content."""
    return hashlib.sha256(payload).hexdigest()[:32].encode()


def id_key(identity: Any, payload: bytes) -> bytes:
    """Key made of a conversation id, else of the payload."""
    if isinstance(identity, str) and 0 < len(identity) <= MAX_ID_CHARS:
        return identity.encode("utf-8", "replace")
    return fallback_key(payload)


def make_event(kind: str, **fields: Any) -> InteractionEvent:
    """Build and validate one unified event.

    Raises:
        BadPayload: ``invalid_event``, naming the fields and what was expected of them.
    """
    try:
        return EVENT_ADAPTER.validate_python({"kind": kind, **fields})
    except ValidationError as error:
        raise BadPayload("invalid_event", describe(error)) from None


def describe(error: ValidationError) -> str:
    """Name the fields of a validation error and what was expected, without their values."""
    parts = []
    for item in error.errors(include_url=False, include_context=False, include_input=False)[:3]:
        # Behind the tag of the union, which says only what the kind was.
        place = ".".join(str(step) for step in item["loc"][1:])
        parts.append(f"{place or 'event'}: {item['msg']}")
    return "; ".join(parts)


def stable_id(*parts: str) -> str:
    """Event id made of content: 32 hexadecimal digits of a hash, the parts kept apart."""
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


def type_name(name: Any, prefix: str = "") -> str:
    """Name of a native type, fit to be counted by: one short word, else ``other``."""
    if isinstance(name, str) and _TYPE_NAME.fullmatch(name):
        return prefix + name
    return prefix + "other"


def customer_id(value: Any) -> str | None:
    """Identity of a customer; none where the platform only says that it does not know.

    A number that is masked, or all zeros, is the same for every customer: it is nobody's.
    """
    if not isinstance(value, str):
        return None
    identity = value.strip()
    folded = identity.casefold().removeprefix("sip:")
    if folded in _BLANK_IDS or folded.startswith("anonymous@") or not set(folded) - _MASKS:
        return None
    return identity


def from_epoch_us(microseconds: int, place: str) -> datetime:
    """UTC time of an epoch in microseconds.

    Raises:
        BadPayload: ``invalid_event`` when no calendar has such a time.
    """
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        raise BadPayload("invalid_event", f"{place}: expected an epoch in seconds") from None


def epoch_ms(time: datetime) -> int:
    """Epoch milliseconds of an aware time, rounded down."""
    return (time - _EPOCH) // timedelta(milliseconds=1)
