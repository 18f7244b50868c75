"""The intake stage: native payloads into unified events, at the edge of what is personal.

Whatever comes from outside passes here once: it is validated, its customer becomes a keyed hash,
and it is keyed so that one interaction lies in one partition. What cannot pass is a dead letter
with its original bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec
from pydantic import BaseModel, ValidationError

from pipeline.folds.event import LINKING, epoch_ms
from pipeline.identity import CustomerKeys
from pipeline.stages.heard import SourceQueue, note
from pipeline.stages.limits import RefusalLimit
from pipeline.stages.wire import (
    CONTROL_HEADER,
    NOT_UNPACKED_HEADER,
    RESTART,
    Out,
    Restart,
    dead_letter_headers,
    encode_restart,
    written_ms,
)
from schemas.compiled import AnyEvent, decode_event, encode_event
from schemas.interaction import EVENT_ADAPTER
from schemas.platforms.base import BadPayload, Options, Parsed, Platform
from schemas.platforms.interactions import check_time
from schemas.platforms.records import HEAD_BYTES
from schemas.topics import DEAD_LETTERS, INTERACTIONS, MAX_RECORD_BYTES

SKEW_MS: Final = 5 * 60_000
"""An event further ahead of its record's time than this comes from a wrong clock; it is counted."""

ACCEPTED_HEADER: Final = "cx-accepted"
ACCEPTED: Final[Sequence[tuple[str, bytes]]] = ((ACCEPTED_HEADER, b"1"),)
"""Stands on every event that passed intake; an event without it is taken in first."""


class RawRecord(Protocol):
    """What intake needs of a Kafka record."""

    @property
    def topic(self) -> str: ...  # noqa: D102
    @property
    def partition(self) -> int: ...  # noqa: D102
    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def timestamp(self) -> int: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...  # noqa: D102


class Source(NamedTuple):
    """A platform with the options it is read with."""

    platform: Platform
    options: Options


class Counts(NamedTuple):
    """What became of records; added to metrics once a batch is committed.

    ``heard`` has the Kafka time of the last event of each source and queue that contacts come by.
    """

    records: Counter[str]
    events: Counter[str]
    ignored: Counter[str]
    dead_letters: Counter[str]
    skewed: Counter[str]
    heard: dict[SourceQueue, int]

    @classmethod
    def none(cls) -> Counts:
        """Nothing counted yet."""
        return cls(Counter(), Counter(), Counter(), Counter(), Counter(), {})


class Intake:
    """Takes records of any platform in.

    Args:
        keys: Makes customer keys.
        limit: Stops the worker when too much is refused.
        interaction_partitions: Partitions of ``cx.interactions``: a restart is told to all.
        until_ms: Events later than this are left out: a replay as of an earlier time.
    """

    def __init__(
        self,
        keys: CustomerKeys,
        interaction_partitions: int,
        until_ms: int | None = None,
        limit: RefusalLimit | None = None,
    ) -> None:
        self._keys = keys
        self._partitions = interaction_partitions
        self._until_ms = until_ms
        self._limit = limit

    def take(self, source: Source, record: RawRecord, out: Out, counts: Counts) -> None:
        """Send the events of ``record`` on, or a dead letter.

        Raises:
            TooManyRefusedError: the limit is reached.
        """
        name = source.platform.name
        at_ms = written_ms(record)
        counts.records[name] += 1
        try:
            events, times_ms, parsed = _parse(source, record)
        except BadPayload as bad:
            counts.dead_letters[bad.reason] += 1
            send_dead_letter(record, bad.reason, bad.detail, out)
            if self._limit is not None:
                self._limit.see(bad.reason)
            return
        if self._limit is not None:
            self._limit.see(None)
        if parsed.ignored:
            counts.ignored.update(parsed.ignored)
        if parsed.restart_ms is not None:
            self._send_restart(name, parsed.restart_ms, record, out)
        for event, occurred_ms in zip(events, times_ms, strict=True):
            if self._until_ms is None or occurred_ms <= self._until_ms:
                counts.events[name] += 1
                if occurred_ms > at_ms + SKEW_MS:
                    counts.skewed[name] += 1
                note(counts.heard, event, at_ms)
                self._send_event(event, record, out)

    def _send_event(self, event: AnyEvent, record: RawRecord, out: Out) -> None:
        keys = self._keys
        key = event.customer_key or keys.key(event.customer, event.customer_kind, event.channel)
        hashed = {"customer": None, "customer_key": key}
        if event.kind == LINKING:
            link: Any = event  # of either form of the class
            hashed["account"] = None
            hashed["account_key"] = link.account_key or keys.key(link.account, "account")
        out.send(
            INTERACTIONS,
            partition_key(event),
            _with(event, hashed),
            timestamp_ms=written_ms(record),
            headers=ACCEPTED,
        )

    def _send_restart(self, source: str, at_ms: int, record: RawRecord, out: Out) -> None:
        value = encode_restart(Restart(source, at_ms))
        for number in range(self._partitions):
            out.send(
                INTERACTIONS,
                None,
                value,
                partition=number,
                timestamp_ms=written_ms(record),
                headers=((CONTROL_HEADER, RESTART),),
            )


class _Taken(NamedTuple):
    """What a record gives: its events, when they occurred, and what else was found in it."""

    events: Sequence[AnyEvent]
    times_ms: Sequence[int]
    parsed: Parsed


def _parse(source: Source, record: RawRecord) -> _Taken:
    for name, value in record.headers:
        if name == NOT_UNPACKED_HEADER:
            count = value.decode("ascii", "replace")
            raise BadPayload("too_large", f"a compressed batch of {count} records, never unpacked")
    if record.value is not None and len(record.value) > MAX_RECORD_BYTES:
        told = f"{len(record.value)} bytes, at most {MAX_RECORD_BYTES} are taken"
        raise BadPayload("too_large", told)
    if record.value is None:
        raise BadPayload("null_value", "expected a value, the record has none")
    platform = source.platform
    decoded = platform.decode(record.value) if platform.decode is not None else None
    parsed = Parsed() if decoded is not None else platform.parse(record.value, source.options)
    events: Sequence[AnyEvent] = parsed.events if decoded is None else (decoded,)
    times_ms = [epoch_ms(event.occurred_at) for event in events]
    at_ms, oldest_ms = written_ms(record), epoch_ms(platform.oldest)
    for occurred_ms in times_ms:
        check_time(occurred_ms, at_ms, oldest_ms)
    return _Taken(events, times_ms, parsed)


def _with(event: AnyEvent, hashed: Mapping[str, str | None]) -> bytes:
    """JSON of an event whose customer and account are known by keys only."""
    if isinstance(event, BaseModel):
        accepted = event.model_copy(update=dict(hashed))
        return EVENT_ADAPTER.dump_json(accepted, exclude_none=True)
    return encode_event(msgspec.structs.replace(event, **hashed))


def partition_key(event: AnyEvent) -> bytes:
    """Record key of an event: its interaction; its performer where it tells a performer's state."""
    return fold_key(event).encode()


def fold_key(event: AnyEvent) -> str:
    """Whose history an event belongs to."""
    if event.kind == "performer_state":
        return event.performer_id or event.interaction_id
    return event.interaction_id


def send_dead_letter(record: RawRecord, reason: str, detail: str, out: Out) -> None:
    """Send the original bytes of ``record`` with why it was refused; of 1 MiB and more the head."""
    headers = dead_letter_headers(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=written_ms(record),
        reason=reason,
        detail=detail,
        payload=record.value,
    )
    body = record.value or b""
    out.send(
        DEAD_LETTERS,
        f"{record.topic}/{record.partition}/{record.offset}".encode(),
        body if len(body) <= MAX_RECORD_BYTES else body[:HEAD_BYTES],
        timestamp_ms=written_ms(record),
        headers=headers,
    )


def accepted_event(record: RawRecord) -> AnyEvent | None:
    """The event of a record that has passed intake; None if it has not, or only says so."""
    if not is_accepted(record.headers) or record.value is None:
        return None
    decoded = decode_event(record.value)
    if decoded is not None:
        return decoded
    try:
        return EVENT_ADAPTER.validate_json(record.value)
    except ValidationError:
        return None


def is_accepted(headers: Sequence[tuple[str, bytes]]) -> bool:
    """Whether an event has passed intake."""
    return ACCEPTED[0] in headers
