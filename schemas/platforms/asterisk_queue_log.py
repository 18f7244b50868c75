"""Asterisk: the queue log of ``app_queue``, as file lines or as rows of its database table.

File form: ``epoch|callid|queue|agent|EVENT|data1|...``. Database form: JSON objects with ``time``
(local time without zone, see option ``time_zone``; or an epoch), ``callid``, ``queuename``,
``agent``, ``event`` and ``data1`` to ``data5`` (or one ``data`` with bars), alone, in arrays, in
JSON lines, or as ``{"queue_log": [rows]}``.

| native | unified |
| --- | --- |
| ENTERQUEUE | started, queued; customer = caller id (data2) unless withheld |
| RINGNOANSWER | declined |
| CONNECT | accepted via queue, wait = data1 |
| COMPLETECALLER, COMPLETEAGENT | completed by customer, human; wait = data1, talk = data2 |
| ABANDON | abandoned; its wait is the time since ENTERQUEUE |
| EXITWITHTIMEOUT, EXITWITHKEY, EXITEMPTY | left_queue with reason timeout, key, empty |
| TRANSFER, BLINDTRANSFER | transfer (blind), left, record with talk = data4 |
| ATTENDEDTRANSFER | transfer (warm), left, record with talk = data4, by method LINK data5 |
| WRAPUPSTART | wrapup_started; without a call: performer_state wrap, wrapup_ended after data1 s |
| ADDMEMBER, UNPAUSE, UNPAUSEALL, AGENTLOGIN, AGENTCALLBACKLOGIN | performer_state available |
| PAUSE, PAUSEALL | performer_state away, reason = data1 |
| REMOVEMEMBER | performer_state offline |
| AGENTLOGOFF, AGENTCALLBACKLOGOFF | performer_state offline, session_ms = data2 |
| QUEUESTART | ignored, and told as a restart: the calls open then ended at an unknown time |
| anything else | ignored by its event name |

Pauses and their ends are written for agents who are not logged in, too: they log nobody in.

Key: the call id, or ``performer:`` and the agent. A call may enter several queues in turn under one
call id: every event tells its queue. Talk contains hold, which this log does not know.

An event id is a hash of the whole line, so the very same line written twice counts once. Within one
second a file tells the order of its lines only by their place; here the rank of the kinds orders
them, which is right for one stay in one queue, and not when a call leaves one queue and enters the
next within the same second: then only ``queue`` tells the stays apart.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, Final, NamedTuple, cast
from zoneinfo import ZoneInfo

import msgspec

from schemas.interaction import InteractionEvent
from schemas.platforms.base import (
    BOM,
    BadPayload,
    Options,
    Parsed,
    Platform,
    customer_id,
    decode_json,
    elements,
    epoch_ms,
    fallback_key,
    first_document,
    from_epoch_us,
    id_key,
    make_event,
    parse_documents,
    stable_id,
    text_of,
    type_name,
)
from schemas.platforms.jsonfile import split_json
from schemas.platforms.records import Oversized, split_lines

SOURCE: Final = "asterisk"

_NO_CALL: Final = frozenset({"", "NONE", "MANAGER", "REALTIME", "CLI"})
_LEFT_QUEUE: Final = {"EXITWITHTIMEOUT": "timeout", "EXITWITHKEY": "key", "EXITEMPTY": "empty"}
_ENDED_BY: Final = {"COMPLETECALLER": "customer", "COMPLETEAGENT": "human"}
_STATES: Final = {
    "ADDMEMBER": "available", "UNPAUSE": "available", "UNPAUSEALL": "available",
    "AGENTLOGIN": "available", "AGENTCALLBACKLOGIN": "available",
    "PAUSE": "away", "PAUSEALL": "away",
    "REMOVEMEMBER": "offline", "AGENTLOGOFF": "offline", "AGENTCALLBACKLOGOFF": "offline",
}  # fmt: skip
_PAUSES: Final = frozenset({"PAUSE", "PAUSEALL", "UNPAUSE", "UNPAUSEALL"})
_LOGOFFS: Final = frozenset({"AGENTLOGOFF", "AGENTCALLBACKLOGOFF"})
_ATTENDED_TALK_AT: Final = {"BRIDGE": 4, "APP": 4, "LINK": 5}
"""Number of the datum with the talk: behind the method, its bridge or channels, and the wait."""
_EPOCH: Final = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,6})[0-9]*)?")
_SECONDS: Final = re.compile(r"-?[0-9]{1,12}")


class _Line(NamedTuple):
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
        # A clock set back during the call leaves a negative time: that is no measure.
        return int(text) * 1000 if int(text) >= 0 else None


def split(stream: BinaryIO) -> Iterator[bytes | Oversized]:
    """Cut a queue log into lines, or a file of table rows into rows."""
    reader = io.BufferedReader(cast("io.RawIOBase", stream))
    try:
        if reader.peek().removeprefix(BOM).lstrip().startswith((b"{", b"[")):
            for record in split_json(cast("BinaryIO", reader)):
                if isinstance(record, bytes) and b'"queue_log"' in record:
                    yield from _rows_of(record)
                else:
                    yield record
        else:
            yield from split_lines(cast("BinaryIO", reader))
    finally:
        # The stream is the caller's to close.
        reader.detach()


def key(payload: bytes) -> bytes:
    """Return the call id; ``performer:`` and the agent for what no call is part of."""
    try:
        if text_of(payload).startswith(("{", "[")):
            fields = _columns(first_document(payload, _natives))
        else:
            fields = tuple(text_of(payload).split("|"))
    except BadPayload:
        return fallback_key(payload)
    if len(fields) < 5:
        return fallback_key(payload)
    _, call, _, agent, event = (field.strip() for field in fields[:5])
    if event in _STATES or (event == "WRAPUPSTART" and call in _NO_CALL):
        return id_key(f"performer:{agent}", payload)
    return id_key(None if call in _NO_CALL else call, payload)


def parse(payload: bytes, options: Options) -> Parsed:
    """Turn one line, one table row, or an array of rows into events.

    Raises:
        BadPayload: a field is missing or is not what the log writes there.
    """
    text = text_of(payload)
    if text.startswith(("{", "[")):
        return parse_documents(payload, _natives, lambda row: _row_events(row, options.zone))
    fields = text.split("|")
    if len(fields) < 5:
        raise BadPayload("invalid_event", "expected epoch|callid|queue|agent|EVENT")
    epoch = _EPOCH.fullmatch(fields[0])
    if not epoch:
        raise BadPayload("invalid_event", "time: expected an epoch in seconds")
    return _events(_line(_epoch_time(epoch), fields, text))


def _natives(document: Any) -> Iterable[Any]:
    """Open arrays, and exports that hold the rows under the name of their table."""
    for item in elements(document):
        if isinstance(item, dict) and isinstance(item.get("queue_log"), list):
            yield from item["queue_log"]
        else:
            yield item


def _rows_of(record: bytes) -> Iterator[bytes]:
    try:
        document = decode_json(record)
    except BadPayload:
        yield record
        return
    if isinstance(document, dict) and isinstance(document.get("queue_log"), list):
        yield from map(msgspec.json.encode, document["queue_log"])
    else:
        yield record


def _columns(row: dict[str, Any]) -> tuple[str, ...]:
    """Fields of a table row in the order of a file line; empty when one is of another type."""
    queue = row.get("queuename", row.get("queue", "NONE"))
    if "data" in row:
        data = row["data"]
    else:
        # Some drivers leave a bar inside of a column, so the columns are joined and cut again.
        columns = [row.get(f"data{number}") for number in range(1, 6)]
        if not all(column is None or isinstance(column, str) for column in columns):
            return ()
        data = "|".join(column or "" for column in columns)
    time = row.get("time")
    if isinstance(time, int | float) and not isinstance(time, bool):
        time = repr(time)
    fields = (time, row.get("callid"), queue, row.get("agent"), row.get("event"), data or "")
    if not all(isinstance(field, str) for field in fields):
        return ()
    return (*fields[:5], *fields[5].split("|"))


def _row_events(row: dict[str, Any], zone: ZoneInfo) -> Parsed:
    fields = _columns(row)
    if not fields:
        raise BadPayload(
            "invalid_event",
            "expected time, callid, queuename, agent, event and data1 to data5 as text",
        )
    return _events(_line(_row_time(fields[0], zone), fields, "|".join(fields)))


def _row_time(text: str, zone: ZoneInfo) -> datetime:
    """Time column: local time text, or an epoch."""
    if epoch := _EPOCH.fullmatch(text):
        return _epoch_time(epoch)
    try:
        time = datetime.fromisoformat(text.strip())
        return (time if time.tzinfo else time.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadPayload(
            "invalid_event", "time: expected YYYY-MM-DD HH:MM:SS or an epoch in seconds"
        ) from None


def _epoch_time(epoch: re.Match[str]) -> datetime:
    seconds, fraction = epoch.groups(default="")
    return from_epoch_us(int(seconds) * 1_000_000 + int(fraction.ljust(6, "0")), "time")


def _line(time: datetime, fields: Iterable[str], whole: str) -> _Line:
    _, call, queue, agent, event, *data = (field.strip() for field in fields)
    return _Line(time, call, queue, agent, event, tuple(data), stable_id(SOURCE, whole))


def _events(line: _Line) -> Parsed:
    if line.event == "QUEUESTART":
        return Parsed(ignored=("QUEUESTART",), restart_ms=epoch_ms(line.time))
    if line.event in _STATES:
        return Parsed((_state(line, _STATES[line.event]),))
    if line.event == "WRAPUPSTART" and line.call in _NO_CALL:
        return Parsed((_state(line, "wrap"), *_lone_wrap(line)))
    convert = _CALL_EVENTS.get(line.event)
    if convert is None:
        return Parsed(ignored=(type_name(line.event),))
    if line.call in _NO_CALL:
        raise BadPayload("invalid_event", f"callid of {line.event}: expected a call")
    return Parsed(convert(line))


def _common(line: _Line) -> dict[str, Any]:
    return {
        "source": SOURCE,
        "occurred_at": line.time,
        "channel": "voice",
        "queue": None if line.queue in {"", "NONE"} else line.queue,
    }


def _call(line: _Line, kind: str, **fields: Any) -> InteractionEvent:
    """Event of a call, before a performer has taken part."""
    return make_event(
        kind,
        event_id=f"{line.digest}:{kind}",
        interaction_id=line.call,
        **_common(line),
        **fields,
    )


def _served(line: _Line, kind: str, **fields: Any) -> InteractionEvent:
    """Event of a call in which the line's agent takes part."""
    return _call(line, kind, performer_kind="human", performer_id=_agent(line), **fields)


def _state(line: _Line, state: str) -> InteractionEvent:
    agent = _agent(line)
    reason = line.datum(1) if line.event in {"PAUSE", "PAUSEALL"} else ""
    return make_event(
        "performer_state",
        event_id=f"{line.digest}:performer_state",
        interaction_id=f"performer:{agent}",
        performer_kind="human",
        performer_id=agent,
        state=state,
        reason=reason or None,
        logs_in=False if line.event in _PAUSES else None,
        session_ms=line.milliseconds(2) if line.event in _LOGOFFS else None,
        **_common(line),
    )


def _lone_wrap(line: _Line) -> tuple[InteractionEvent, ...]:
    """After-contact work of known length that does not say after which call."""
    wrap_ms = line.milliseconds(1)
    if wrap_ms is None:
        return ()
    ended = {**_common(line), "occurred_at": line.time + timedelta(milliseconds=wrap_ms)}
    return (
        make_event(
            "wrapup_ended",
            event_id=f"{line.digest}:wrapup_ended",
            interaction_id=f"performer:{_agent(line)}",
            performer_kind="human",
            performer_id=_agent(line),
            wrap_ms=wrap_ms,
            **ended,
        ),
    )


def _agent(line: _Line) -> str:
    if line.agent in {"", "NONE"}:
        raise BadPayload("invalid_event", f"agent of {line.event}: expected an agent")
    return line.agent


def _entered(line: _Line) -> tuple[InteractionEvent, ...]:
    customer = customer_id(line.datum(2))
    return tuple(_call(line, kind, customer=customer) for kind in ("started", "queued"))


def _declined(line: _Line) -> tuple[InteractionEvent, ...]:
    return (_served(line, "declined"),)


def _connected(line: _Line) -> tuple[InteractionEvent, ...]:
    return (_served(line, "accepted", via="queue", wait_ms=line.milliseconds(1)),)


def _completed(line: _Line) -> tuple[InteractionEvent, ...]:
    return (
        _served(
            line,
            "completed",
            ended_by=_ENDED_BY[line.event],
            wait_ms=line.milliseconds(1),
            talk_ms=line.milliseconds(2),
        ),
    )


def _abandoned(line: _Line) -> tuple[InteractionEvent, ...]:
    return (_call(line, "abandoned"),)


def _left_queue(line: _Line) -> tuple[InteractionEvent, ...]:
    return (_call(line, "left_queue", reason=_LEFT_QUEUE[line.event]),)


def _blind_transfer(line: _Line) -> tuple[InteractionEvent, ...]:
    return _passed_on(line, "blind", 4)


def _attended_transfer(line: _Line) -> tuple[InteractionEvent, ...]:
    return _passed_on(line, "warm", _ATTENDED_TALK_AT.get(line.datum(1)))


def _passed_on(line: _Line, how: str, talk_at: int | None) -> tuple[InteractionEvent, ...]:
    """Transfer and end of this agent's part; a record carries the talk that the log measured.

    The wait, which the line repeats, stands on the accepted event already: a record speaks of the
    whole call, and could not tell which of its stays in queues is meant.
    """
    talk_ms = line.milliseconds(talk_at) if talk_at else None
    measured = () if talk_ms is None else (_served(line, "record", talk_ms=talk_ms),)
    return (_served(line, "transfer", transfer_kind=how), _served(line, "left"), *measured)


def _wrapping_up(line: _Line) -> tuple[InteractionEvent, ...]:
    return (_served(line, "wrapup_started"),)


_CALL_EVENTS: Final[dict[str, Callable[[_Line], tuple[InteractionEvent, ...]]]] = {
    "ENTERQUEUE": _entered,
    "RINGNOANSWER": _declined,
    "CONNECT": _connected,
    **dict.fromkeys(_ENDED_BY, _completed),
    "ABANDON": _abandoned,
    **dict.fromkeys(_LEFT_QUEUE, _left_queue),
    "TRANSFER": _blind_transfer,
    "BLINDTRANSFER": _blind_transfer,
    "ATTENDEDTRANSFER": _attended_transfer,
    "WRAPUPSTART": _wrapping_up,
}

PLATFORM: Final = Platform(
    "asterisk_queue_log", split=split, key=key, parse=parse, uses=frozenset({"time_zone"})
)
