"""Asterisk: entries of the queue log, read from lines of its file and from rows of its table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from schemas.interaction import MAX_DURATION_MS
from schemas.platforms.base import (
    BadPayload,
    Parsed,
    decode_json,
    elements,
    from_epoch_us,
    log_text_of,
    parse_documents,
    stable_id,
)

SOURCE: Final = "asterisk"

NO_CALL: Final = frozenset({"", "NONE", "MANAGER", "REALTIME", "CLI"})
NOTHING: Final = frozenset({"", "NONE"})

# Names a column has in the schemas of Asterisk, FreePBX, Wazo and QueueMetrics.
_COLUMNS: Final = (
    ("time", "time_id"),
    ("callid", "call_id"),
    ("queuename", "queue", "queue_name"),
    ("agent",),
    ("event", "verb"),
)
_NULL: Final = frozenset({"NULL", "\\N"})
_EPOCH: Final = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,6})[0-9]*)?")
_SECONDS: Final = re.compile(r"-?[0-9]{1,12}")


class Line(NamedTuple):
    """One entry of the log, whatever form it came in."""

    time: datetime
    call: str
    queue: str
    agent: str
    event: str
    data: tuple[str, ...]
    digest: str

    def datum(self, number: int) -> str:
        """Return ``data<number>``, empty when the line ends before it."""
        return self.data[number - 1] if number <= len(self.data) else ""

    def milliseconds(self, number: int) -> int | None:
        """Return a duration of the log, which writes seconds; None where it could not measure."""
        text = self.datum(number)
        if not text:
            return None
        if not _SECONDS.fullmatch(text):
            raise BadPayload(
                "invalid_event", f"data{number} of {self.event}: expected whole seconds"
            )
        # A clock set back during the call leaves a negative time, a start that was never set the
        # whole time since 1970: neither is a measure.
        duration_ms = int(text) * 1000
        return duration_ms if 0 <= duration_ms <= MAX_DURATION_MS else None

    def seconds(self, number: int) -> int:
        """Return a duration in seconds, 0 where there is none to read."""
        text = self.datum(number)
        return int(text) if _SECONDS.fullmatch(text) else 0


def fields_of(payload: bytes, row: dict[str, Any] | None) -> tuple[str, ...]:
    """Fields of a line, or of the table row that the payload is; empty when they cannot be read.

    Raises:
        BadPayload: the payload is empty.
    """
    if row is not None:
        return _columns(row)
    fields = tuple(log_text_of(payload).split("|"))
    return fields if len(fields) >= 5 else ()


def line_of(payload: bytes, zone: ZoneInfo) -> Line:
    """Read one line of the file.

    Raises:
        BadPayload: it is none.
    """
    text = log_text_of(payload)
    fields = fields_of(payload, None)
    if not fields:
        raise BadPayload("invalid_event", "expected epoch|callid|queue|agent|EVENT")
    return _line(fields, zone, text)


def parse_rows(payload: bytes, zone: ZoneInfo, convert: Callable[[Line], Parsed]) -> Parsed:
    """Read one row of the table, or an array of rows, and convert each.

    Raises:
        BadPayload: a row has no such columns.
    """

    def converted(row: dict[str, Any]) -> Parsed:
        fields = _columns(row)
        if not fields:
            raise BadPayload(
                "invalid_event",
                "expected time, callid, queuename, agent, event and data1 to data5",
            )
        return convert(_line(fields, zone, "|".join(fields)))

    return parse_documents(payload, natives, converted)


def natives(document: Any) -> Iterable[Any]:
    """Open arrays, and exports that hold the rows under the name of their table."""
    for item in elements(document):
        if isinstance(item, dict) and isinstance(item.get("queue_log"), list):
            yield from item["queue_log"]
        else:
            yield item


def rows_of(record: bytes) -> Iterator[bytes]:
    """Cut an export that holds the rows under the name of their table; another record stays."""
    try:
        document = decode_json(record)
    except BadPayload:
        yield record
        return
    rows = document.get("queue_log") if isinstance(document, dict) else None
    if isinstance(rows, list) and rows:
        yield from map(msgspec.json.encode, rows)
    else:
        yield record


def is_header(names: Iterable[str]) -> bool:
    """Whether names are those of the table's columns."""
    found = {name.casefold() for name in names}
    # An export may leave the queue out where it has only one.
    return all(found & set(known) for known in _COLUMNS if "queue" not in known)


def _columns(row: dict[str, Any]) -> tuple[str, ...]:
    """Fields of a table row in the order of a file line; empty when one is of another type."""
    named = {name.casefold(): value for name, value in row.items()}
    if not is_header(named):
        return ()
    head = [next((named[name] for name in names if name in named), None) for names in _COLUMNS]
    # Some drivers leave a bar inside of a column, so the columns are joined and cut again.
    data = [named.get("data")]
    if not data[0]:
        data = [named.get(f"data{number}") for number in range(1, 6)]
    if head[0] is None or head[4] is None:
        return ()
    texts = [_text(value) for value in (*head, *data)]
    if None in texts:
        return ()
    known = [text or "" for text in texts]
    return (*known[:5], *"|".join(known[5:]).split("|"))


def _text(value: Any) -> str | None:
    """Text of a cell; a null is empty, and None says that it is no cell."""
    if value is None:
        return ""
    if isinstance(value, str):
        return "" if value in _NULL else value
    return repr(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _line(fields: tuple[str, ...], zone: ZoneInfo, whole: str) -> Line:
    time, call, queue, agent, event, *data = (field.strip() for field in fields)
    return Line(
        _time(time, zone), call, queue, agent, event.upper(), tuple(data), stable_id(SOURCE, whole)
    )


def _time(text: str, zone: ZoneInfo) -> datetime:
    """Time of an entry: an epoch, or local time text as tables have it."""
    if epoch := _EPOCH.fullmatch(text):
        seconds, fraction = epoch.groups(default="")
        return from_epoch_us(int(seconds) * 1_000_000 + int(fraction.ljust(6, "0")), "time")
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadPayload(
            "invalid_event", "time: expected an epoch in seconds or YYYY-MM-DD HH:MM:SS"
        ) from None
