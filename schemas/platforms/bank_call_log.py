"""A bank's call log: one row a call, as the Technion published its call-center data of 1999.

Columns: ``vru+line, call_id, type, vru_entry, vru_exit, vru_time, q_start, q_exit, q_time, outcome,
ser_start, ser_exit, ser_time, server``, and where the log has them ``customer_id, priority, date,
server_abv``; in the order of the first line, or of the publication where none names them, between
commas or tabs. Times are ``H:MM:SS``, local (option ``time_zone``, else UTC); ``0:00:00`` means
"did not happen", and a time more than twelve hours before the one it follows is past midnight.
``date`` is ``yymmdd`` or ISO 8601; without it the day is 1999-08-01.

| native | unified |
| --- | --- |
| every call | started; customer = customer_id, which is 0 where unknown |
| voice response unit | bot_started at vru_entry; bot_ended (handoff or left) at vru_exit |
| outcome AGENT or a queue time | handoff at vru_exit, queued at q_start |
| outcome AGENT | accepted at q_exit, wait = q_time; completed ser_time later, talk = ser_time |
| outcome HANG in the queue | abandoned at q_exit |
| outcome HANG, neither told | completed by the customer at once |
| outcome PHANTOM | ignored as PHANTOM: no caller was there |

An AGENT call without queue times found a free agent: it is queued and accepted at vru_exit with a
wait of 0. A call whose bot time is negative loses its bot part only. ``type``, the service asked
for, is queue and intent; a call id repeats between lines and days, so the interaction is line, call
id and a hash of the row.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import chain
from typing import Any, BinaryIO, Final, NamedTuple
from zoneinfo import ZoneInfo

from schemas.interaction import InteractionEvent
from schemas.platforms.base import (
    BadPayload,
    Options,
    Parsed,
    Platform,
    customer_id,
    decode_json,
    fallback_key,
    id_key,
    log_text_of,
    make_event,
    stable_id,
    type_name,
)
from schemas.platforms.records import Oversized, split_lines, split_table

SOURCE: Final = "bank_call_log"
DAY: Final = date(1999, 8, 1)
COLUMNS: Final = (
    "vru+line", "call_id", "type", "vru_entry", "vru_exit", "vru_time", "q_start", "q_exit",
    "q_time", "outcome", "ser_start", "ser_exit", "ser_time", "server", "server_abv",
)  # fmt: skip

PUBLISHED: Final = (
    "vru+line", "call_id", "customer_id", "priority", "type", "date", *COLUMNS[3:-1],
)  # fmt: skip
"""Columns of the publication, which has no first line that names them."""

_NEEDED: Final = frozenset(COLUMNS) - {"server_abv"}
_LAYOUTS: Final = {
    len(columns): columns
    for columns in (COLUMNS, COLUMNS[:-1], PUBLISHED, (*PUBLISHED, COLUMNS[-1]))
}
_BOT: Final = "vru"
_HALF_DAY: Final = 43_200
_TIME: Final = re.compile(r"([0-9]{1,2}):([0-5][0-9]):([0-5][0-9])")
_SECONDS: Final = re.compile(r"-?[0-9]{1,6}")


class _Call(NamedTuple):
    """One row. Times are seconds since the start of the day, None where nothing happened."""

    identity: str
    day: date
    customer: str | None
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
    lines = split_lines(stream)
    first = next(lines, None)
    if first is None:
        return
    names = () if isinstance(first, Oversized) else _named(first)
    if names in {(), *_LAYOUTS.values()}:
        if not names:
            yield first
        yield from lines
    else:
        yield from split_table(chain((first,), lines), _delimiter(first))


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
    if _named(payload):
        return Parsed(ignored=("header",))
    row = _row(payload)
    outcome = row["outcome"].upper()
    if outcome not in {"AGENT", "HANG"}:
        return Parsed(ignored=(type_name(outcome),))
    return Parsed(tuple(_events(_call(row, options.zone))))


def _delimiter(record: bytes | Oversized) -> str:
    return "\t" if not isinstance(record, Oversized) and b"\t" in record else ","


def _named(record: bytes) -> tuple[str, ...]:
    """Names of the columns, where the record is the line that names them; else none."""
    names = tuple(name.strip().casefold() for name in _cells(record))
    return names if set(names) >= _NEEDED else ()


def _cells(record: bytes) -> list[str]:
    try:
        text = log_text_of(record)
        rows = list(csv.reader([text], delimiter=_delimiter(record), strict=True))
    except (BadPayload, csv.Error):
        return []
    return rows[0] if len(rows) == 1 else []


def _row(payload: bytes) -> dict[str, str]:
    """Cells of a row by the names of their columns.

    Raises:
        BadPayload: it has other columns.
    """
    if log_text_of(payload).startswith("{"):
        document = decode_json(payload)
        named = isinstance(document, dict) and {k.casefold(): v for k, v in document.items()}
        if named and named.keys() >= _NEEDED and all(isinstance(v, str) for v in named.values()):
            return {name: value.strip() for name, value in named.items()}
        raise BadPayload("invalid_event", "expected the columns of a call, as text")
    cells = _cells(payload)
    columns = _LAYOUTS.get(len(cells))
    if columns is None:
        counts = ", ".join(str(count) for count in sorted(_LAYOUTS))
        raise BadPayload("invalid_event", f"expected a row of {counts} columns")
    return dict(zip(columns, (cell.strip() for cell in cells), strict=True))


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
        _day(row),
        customer_id(row.get("customer_id")),
        zone,
        row["type"],
        row["outcome"],
        row["server"],
        first,
        bot,
        queue,
        max(_seconds(row, "ser_time"), 0),
    )


def _day(row: dict[str, str]) -> date:
    text = row.get("date")
    if not text:
        return DAY
    try:
        if len(text) == len("yymmdd"):
            return datetime.strptime(text, "%y%m%d").date()  # noqa: DTZ007 - a day has no zone
        return date.fromisoformat(text)
    except ValueError:
        raise BadPayload("invalid_event", "date: expected yymmdd or YYYY-MM-DD") from None


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


def _following(at: int, earlier: int) -> int:
    """Move a time past midnight where it would lie half a day before what it follows."""
    return at + 2 * _HALF_DAY if earlier - at > _HALF_DAY else at


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
    served = call.outcome.upper() == "AGENT"
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
    midnight = datetime.combine(call.day, time())
    local = (midnight + timedelta(seconds=second)).replace(tzinfo=call.zone)
    return make_event(
        kind,
        event_id=f"{call.identity}:{kind}",
        source=SOURCE,
        occurred_at=local.astimezone(UTC),
        interaction_id=call.identity,
        channel="voice",
        intent=call.service or None,
        customer=call.customer,
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
