"""A bank's call log: one CSV row a call, as the Technion published its call-center data of 1999.

Columns: ``vru+line, call_id, type, vru_entry, vru_exit, vru_time, q_start, q_exit, q_time, outcome,
ser_start, ser_exit, ser_time, server, server_abv``; times are ``H:MM:SS``, local (option
``time_zone``, else UTC) and without a date: the file is the day 1999-08-01. ``0:00:00`` means "did
not happen". A time more than twelve hours before the one it follows is past midnight.

| native | unified |
| --- | --- |
| every call | started |
| voice response unit | bot_started at vru_entry; bot_ended (handoff or left) at vru_exit |
| outcome AGENT or a queue time | handoff at vru_exit, queued at q_start |
| outcome AGENT | accepted at q_exit, wait = q_time; completed ser_time later, talk = ser_time |
| outcome HANG in the queue | abandoned at q_exit |
| outcome HANG, neither told | completed by the customer at once |
| outcome PHANTOM | ignored as PHANTOM: no caller was there |

An AGENT call without queue times found a free agent: it is queued and accepted at vru_exit with a
wait of 0. A call whose bot time is negative loses its bot part only. ``type``, the service asked
for, is queue and intent; a call id repeats between lines and days, so the interaction is line, call
id and a hash of the row. The customer is not known.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, Final, NamedTuple
from zoneinfo import ZoneInfo

from schemas.interaction import InteractionEvent
from schemas.platforms.base import (
    BadPayload,
    Options,
    Parsed,
    Platform,
    fallback_key,
    id_key,
    make_event,
    stable_id,
    text_of,
    type_name,
)
from schemas.platforms.records import Oversized, split_lines

SOURCE: Final = "bank_call_log"
DAY: Final = datetime(1999, 8, 1)  # noqa: DTZ001 - the zone is an option
COLUMNS: Final = (
    "vru+line", "call_id", "type", "vru_entry", "vru_exit", "vru_time", "q_start", "q_exit",
    "q_time", "outcome", "ser_start", "ser_exit", "ser_time", "server", "server_abv",
)  # fmt: skip

_BOT: Final = "vru"
_HALF_DAY: Final = 43_200
_TIME: Final = re.compile(r"([0-9]{1,2}):([0-5][0-9]):([0-5][0-9])")
_SECONDS: Final = re.compile(r"-?[0-9]{1,6}")


class _Call(NamedTuple):
    """One row. Times are seconds since the start of the day, None where nothing happened."""

    identity: str
    zone: ZoneInfo
    service: str
    outcome: str
    server: str
    first: int
    bot: tuple[int, int] | None
    queue: tuple[int, int] | None
    service_seconds: int


def split(stream: BinaryIO) -> Iterator[bytes | Oversized]:
    """Cut a log into rows; the header is none."""
    for record in split_lines(stream):
        if isinstance(record, Oversized) or not _is_header(record):
            yield record


def key(payload: bytes) -> bytes:
    """Return line, call id and hash of the row."""
    try:
        row = _row(payload)
    except BadPayload:
        return fallback_key(payload)
    return id_key(_identity(row), payload)


def parse(payload: bytes, options: Options) -> Parsed:
    """Turn one row into the events of its call.

    Raises:
        BadPayload: the row has other columns, or times that are none.
    """
    row = _row(payload)
    if _is_header(payload):
        return Parsed(ignored=("header",))
    if row["outcome"] == "PHANTOM":
        return Parsed(ignored=("PHANTOM",))
    if row["outcome"] not in {"AGENT", "HANG"}:
        return Parsed(ignored=(type_name(row["outcome"]),))
    return Parsed(tuple(_events(_call(row, options.zone))))


def _is_header(record: bytes) -> bool:
    return record.lstrip(b"\xef\xbb\xbf").startswith(b"vru+line,")


def _row(payload: bytes) -> dict[str, str]:
    text = text_of(payload)
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error:
        rows = []
    if len(rows) != 1 or len(rows[0]) != len(COLUMNS):
        raise BadPayload("invalid_event", f"expected a row of {len(COLUMNS)} columns")
    return dict(zip(COLUMNS, (cell.strip() for cell in rows[0]), strict=True))


def _identity(row: dict[str, str]) -> str:
    return f"{row['vru+line']}-{row['call_id']}-{stable_id(*row.values())[:12]}"


def _call(row: dict[str, str], zone: ZoneInfo) -> _Call:
    bot = _span(row, "vru_entry", "vru_time")
    queue = _span(row, "q_start", "q_time", after=bot[0] if bot else None)
    starts = [
        bot[0] if bot else None,
        queue[0] if queue else None,
        _time(row, "ser_start"),
        _time(row, "vru_entry"),
    ]
    first = next((start for start in starts if start is not None), None)
    if first is None:
        raise BadPayload("invalid_event", "vru_entry, q_start, ser_start: expected a time")
    return _Call(
        _identity(row),
        zone,
        row["type"],
        row["outcome"],
        row["server"],
        first,
        bot,
        queue,
        max(_seconds(row, "ser_time"), 0),
    )


def _span(
    row: dict[str, str], start_column: str, time_column: str, after: int | None = None
) -> tuple[int, int] | None:
    """Start and end of a part; None when it did not happen or lasted less than nothing."""
    start, seconds = _time(row, start_column), _seconds(row, time_column)
    if start is None or seconds < 0:
        return None
    if after is not None:
        start = _following(start, after)
    return start, start + seconds


def _following(time: int, earlier: int) -> int:
    """Move a time past midnight where it would lie half a day before what it follows."""
    return time + 2 * _HALF_DAY if earlier - time > _HALF_DAY else time


def _time(row: dict[str, str], column: str) -> int | None:
    match = _TIME.fullmatch(row[column])
    if not match:
        raise BadPayload("invalid_event", f"{column}: expected H:MM:SS")
    hours, minutes, seconds = map(int, match.groups())
    return hours * 3600 + minutes * 60 + seconds or None


def _seconds(row: dict[str, str], column: str) -> int:
    if not _SECONDS.fullmatch(row[column]):
        raise BadPayload("invalid_event", f"{column}: expected whole seconds")
    return int(row[column])


def _events(call: _Call) -> Iterator[InteractionEvent]:
    served = call.outcome == "AGENT"
    queue = call.queue
    if queue is None and served:
        found_free = call.bot[1] if call.bot else call.first
        queue = (found_free, found_free)
    yield _event(call, "started", call.first)
    if call.bot:
        bot = {"performer_kind": "bot", "performer_id": _BOT}
        yield _event(call, "bot_started", call.bot[0], **bot)
        if queue:
            yield _event(call, "handoff", call.bot[1], **bot)
        outcome = "handoff" if queue else "left"
        yield _event(call, "bot_ended", call.bot[1], outcome=outcome, **bot)
    elif queue is None:
        yield _event(call, "completed", call.first, ended_by="customer")
    if queue is None:
        return
    yield _event(call, "queued", queue[0], queue=call.service)
    if not served:
        yield _event(call, "abandoned", queue[1], queue=call.service)
        return
    agent = {"queue": call.service, "performer_kind": "human", "performer_id": call.server}
    wait_ms = (queue[1] - queue[0]) * 1000
    talk_ms = call.service_seconds * 1000
    yield _event(call, "accepted", queue[1], via="queue", wait_ms=wait_ms, **agent)
    yield _event(call, "completed", queue[1] + call.service_seconds, talk_ms=talk_ms, **agent)


def _event(call: _Call, kind: str, second: int, **fields: Any) -> InteractionEvent:
    local = (DAY + timedelta(seconds=second)).replace(tzinfo=call.zone)
    return make_event(
        kind,
        event_id=f"{call.identity}:{kind}",
        source=SOURCE,
        occurred_at=local.astimezone(UTC),
        interaction_id=call.identity,
        channel="voice",
        intent=call.service or None,
        **fields,
    )


PLATFORM: Final = Platform(
    "bank_call_log",
    split=split,
    key=key,
    parse=parse,
    uses=frozenset({"time_zone"}),
    oldest=datetime(1999, 1, 1, tzinfo=UTC),
)
