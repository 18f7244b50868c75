"""Asterisk: the queue log of ``app_queue``, as file lines or as rows of its database table.

File form: ``epoch|callid|queue|agent|EVENT|data1|...``. Database form: ``time`` (local time without
zone, see option ``time_zone``; or an epoch), ``callid``, ``queuename``, ``agent``, ``event`` and
``data1`` to ``data5`` (or one ``data`` with bars): JSON objects, alone, in arrays, in JSON lines,
or as ``{"queue_log": [rows]}``; or CSV with the names of the columns in its first line.

| native | unified |
| --- | --- |
| ENTERQUEUE | started, queued; customer = caller id (data2) unless withheld |
| RINGNOANSWER, RINGCANCELED, AGENTDUMP | declined |
| CONNECT | accepted via queue, wait = data1 |
| COMPLETECALLER, COMPLETEAGENT | completed by customer, human; wait = data1, talk = data2 |
| ABANDON | abandoned; its wait is the time since ENTERQUEUE |
| EXITWITHTIMEOUT, EXITWITHKEY, EXITEMPTY | left_queue with reason timeout, key, empty |
| TRANSFER, BLINDTRANSFER | transfer (blind), left, record with talk = data4 |
| ATTENDEDTRANSFER | transfer (warm), left, record with talk = data4, by method LINK data5 |
| WRAPUPSTART | wrapup_started, without a call performer_state wrap; wrapup_ended after data1 s |
| ADDMEMBER, UNPAUSE, UNPAUSEALL, AGENTLOGIN, AGENTCALLBACKLOGIN | performer_state available |
| PAUSE, PAUSEALL, PAUSEREASON | performer_state away, reason = data1 |
| REMOVEMEMBER | performer_state offline |
| AGENTLOGOFF, AGENTCALLBACKLOGOFF | performer_state offline, session_ms = data2 |
| QUEUESTART | ignored, and told as a restart: the calls open then ended at an unknown time |
| anything else | ignored by its event name |

Pauses and their ends are written for agents who are not logged in, too: they log nobody in.

Key: the call id, or ``performer:`` and the agent. A call may enter several queues in turn under one
call id: every event tells its queue. Talk contains hold, which this log does not know.

An event id is a hash of the whole line, so the very same line written twice counts once. Within one
second a file tells the order of its lines only by their place. Here the rank of the kinds orders
them, which is right for one stay in one queue; what ends a stay that by its own wait or talk had
begun before comes first (``source_seq`` -1), so that a call may enter its next queue, or the same
one again, within that second.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, BinaryIO, Final, cast

from schemas.interaction import InteractionEvent
from schemas.platforms._queue_log_line import (
    NO_CALL,
    NOTHING,
    SOURCE,
    Line,
    fields_of,
    is_header,
    line_of,
    natives,
    parse_rows,
    rows_of,
)
from schemas.platforms.base import (
    BOM,
    BadPayload,
    Options,
    Parsed,
    Platform,
    customer_id,
    epoch_ms,
    fallback_key,
    first_document,
    id_key,
    log_text_of,
    make_event,
    type_name,
)
from schemas.platforms.jsonfile import split_json
from schemas.platforms.records import Oversized, split_lines, split_table

_LEFT_QUEUE: Final = {"EXITWITHTIMEOUT": "timeout", "EXITWITHKEY": "key", "EXITEMPTY": "empty"}
_ENDED_BY: Final = {"COMPLETECALLER": "customer", "COMPLETEAGENT": "human"}
_STATES: Final = {
    "ADDMEMBER": "available", "UNPAUSE": "available", "UNPAUSEALL": "available",
    "AGENTLOGIN": "available", "AGENTCALLBACKLOGIN": "available",
    "PAUSE": "away", "PAUSEALL": "away", "PAUSEREASON": "away",
    "REMOVEMEMBER": "offline", "AGENTLOGOFF": "offline", "AGENTCALLBACKLOGOFF": "offline",
}  # fmt: skip
_PAUSES: Final = frozenset({"PAUSE", "PAUSEALL", "PAUSEREASON", "UNPAUSE", "UNPAUSEALL"})
_LOGOFFS: Final = frozenset({"AGENTLOGOFF", "AGENTCALLBACKLOGOFF"})
_EXIT_WAIT_AT: Final = {"EXITWITHTIMEOUT": 3, "EXITWITHKEY": 4, "EXITEMPTY": 3}
_TALK_AT: Final = {"COMPLETECALLER": 2, "COMPLETEAGENT": 2, "TRANSFER": 4, "BLINDTRANSFER": 4}
_ATTENDED_TALK_AT: Final = {"BRIDGE": 4, "APP": 4, "LINK": 5}
"""Number of the datum with the talk: behind the method, its bridge or channels, and the wait."""
_SHIFTED_CUSTOMER: Final = re.compile(r"\+?[0-9]{3,}")


def split(stream: BinaryIO) -> Iterator[bytes | Oversized]:
    """Cut a queue log into lines, or a file of table rows, as JSON or CSV, into rows."""
    reader = io.BufferedReader(cast("io.RawIOBase", stream))
    try:
        beginning = reader.peek().removeprefix(BOM).lstrip()
        if beginning.startswith((b"{", b"[")):
            for record in split_json(cast("BinaryIO", reader)):
                if isinstance(record, bytes) and b'"queue_log"' in record:
                    yield from rows_of(record)
                else:
                    yield record
        else:
            delimiter = _delimiter(beginning.partition(b"\n")[0])
            lines = split_lines(cast("BinaryIO", reader))
            yield from split_table(lines, delimiter) if delimiter else lines
    finally:
        # The stream is the caller's to close.
        reader.detach()


def _delimiter(line: bytes) -> str | None:
    """What stands between the names of the table's columns; None for any other line."""
    text = line.decode("latin-1")
    for delimiter in (",", ";", "\t", "|"):
        if is_header(name.strip(' "\r') for name in text.split(delimiter)):
            return delimiter
    return None


def key(payload: bytes) -> bytes:
    """Return the call id; ``performer:`` and the agent for what no call is part of."""
    try:
        fields = fields_of(payload, first_document(payload, natives) if _is_json(payload) else None)
    except BadPayload:
        return fallback_key(payload)
    if not fields:
        return fallback_key(payload)
    _, call, _, agent, event = (field.strip() for field in fields[:5])
    no_call = call.upper() in NO_CALL
    if event.upper() in _STATES or (event.upper() == "WRAPUPSTART" and no_call):
        return id_key(f"performer:{agent}", payload)
    return id_key(None if no_call else call, payload)


def parse(payload: bytes, options: Options) -> Parsed:
    """Turn one line, one table row, or an array of rows into events.

    Raises:
        BadPayload: a field is missing or is not what the log writes there.
    """
    if _is_json(payload):
        return parse_rows(payload, options.zone, _events)
    return _events(line_of(payload, options.zone))


def _is_json(payload: bytes) -> bool:
    return log_text_of(payload).startswith(("{", "["))


def _events(line: Line) -> Parsed:
    if line.event == "QUEUESTART":
        return Parsed(ignored=("QUEUESTART",), restart_ms=epoch_ms(line.time))
    if line.event in _STATES:
        return Parsed((_state(line, _STATES[line.event]),))
    if line.event == "WRAPUPSTART" and line.call.upper() in NO_CALL:
        return Parsed((_state(line, "wrap"), *_lone_wrap(line)))
    convert = _CALL_EVENTS.get(line.event)
    if convert is None:
        return Parsed(ignored=(type_name(line.event),))
    if line.call.upper() in NO_CALL:
        raise BadPayload("invalid_event", f"callid of {line.event}: expected a call")
    return Parsed(convert(line))


def _common(line: Line) -> dict[str, Any]:
    return {
        "source": SOURCE,
        "occurred_at": line.time,
        "channel": "voice",
        "queue": None if line.queue.upper() in NOTHING else line.queue,
    }


def _call(line: Line, kind: str, **fields: Any) -> InteractionEvent:
    """Event of a call, before a performer has taken part."""
    return make_event(
        kind,
        event_id=f"{line.digest}:{kind}",
        interaction_id=line.call,
        source_seq=_place(line),
        **{**_common(line), **fields},
    )


def _place(line: Line) -> int | None:
    """Place within the second: -1 for what ends a stay that had begun in an earlier second."""
    wait_at, talk_at = _EXIT_WAIT_AT.get(line.event), _talk_at(line)
    # A wait is counted from just before the line that tells its beginning, so 1 s is not enough.
    began_before = (wait_at and line.seconds(wait_at) > 1) or (talk_at and line.seconds(talk_at))
    return -1 if began_before else None


def _served(line: Line, kind: str, **fields: Any) -> InteractionEvent:
    """Event of a call in which the line's agent takes part."""
    return _call(line, kind, performer_kind="human", performer_id=_agent(line), **fields)


def _state(line: Line, state: str) -> InteractionEvent:
    agent = _agent(line)
    reason = line.datum(1) if _STATES.get(line.event) == "away" else ""
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


def _lone_wrap(line: Line) -> tuple[InteractionEvent, ...]:
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


def _agent(line: Line) -> str:
    if line.agent.upper() in NOTHING:
        raise BadPayload("invalid_event", f"agent of {line.event}: expected an agent")
    return line.agent


def _entered(line: Line) -> tuple[InteractionEvent, ...]:
    customer = customer_id(line.datum(2))
    if not line.datum(3) and _SHIFTED_CUSTOMER.fullmatch(line.datum(1)):
        # Without the URL before it, the caller stands where the URL should, and the position next.
        customer = customer_id(line.datum(1))
    return tuple(_call(line, kind, customer=customer) for kind in ("started", "queued"))


def _declined(line: Line) -> tuple[InteractionEvent, ...]:
    return (_served(line, "declined"),)


def _connected(line: Line) -> tuple[InteractionEvent, ...]:
    return (_served(line, "accepted", via="queue", wait_ms=line.milliseconds(1)),)


def _completed(line: Line) -> tuple[InteractionEvent, ...]:
    return (
        _served(
            line,
            "completed",
            ended_by=_ENDED_BY[line.event],
            wait_ms=line.milliseconds(1),
            talk_ms=line.milliseconds(_TALK_AT[line.event]),
        ),
    )


def _abandoned(line: Line) -> tuple[InteractionEvent, ...]:
    return (_call(line, "abandoned"),)


def _left_queue(line: Line) -> tuple[InteractionEvent, ...]:
    return (_call(line, "left_queue", reason=_LEFT_QUEUE[line.event]),)


def _transferred(line: Line) -> tuple[InteractionEvent, ...]:
    """Transfer and end of this agent's part; a record carries the talk that the log measured.

    The wait, which the line repeats, stands on the accepted event already: a record speaks of the
    whole call, and could not tell which of its stays in queues is meant.
    """
    talk_at = _talk_at(line)
    talk_ms = line.milliseconds(talk_at) if talk_at else None
    how = "warm" if line.event == "ATTENDEDTRANSFER" else "blind"
    measured = () if talk_ms is None else (_served(line, "record", talk_ms=talk_ms),)
    return (_served(line, "transfer", transfer_kind=how), _served(line, "left"), *measured)


def _talk_at(line: Line) -> int | None:
    """Number of the datum with the talk; None where the line has none."""
    if line.event == "ATTENDEDTRANSFER":
        return _ATTENDED_TALK_AT.get(line.datum(1).upper())
    return _TALK_AT.get(line.event)


def _wrapping_up(line: Line) -> tuple[InteractionEvent, ...]:
    """After-contact work; the log tells how long it will take, and never that it ended."""
    wrap_ms = line.milliseconds(1)
    started = _served(line, "wrapup_started")
    if wrap_ms is None:
        return (started,)
    ended = _served(
        line,
        "wrapup_ended",
        wrap_ms=wrap_ms,
        occurred_at=line.time + timedelta(milliseconds=wrap_ms),
    )
    return (started, ended)


_CALL_EVENTS: Final[dict[str, Callable[[Line], tuple[InteractionEvent, ...]]]] = {
    "ENTERQUEUE": _entered,
    **dict.fromkeys(("RINGNOANSWER", "RINGCANCELED", "AGENTDUMP"), _declined),
    "CONNECT": _connected,
    **dict.fromkeys(_ENDED_BY, _completed),
    "ABANDON": _abandoned,
    **dict.fromkeys(_LEFT_QUEUE, _left_queue),
    **dict.fromkeys(("TRANSFER", "BLINDTRANSFER", "ATTENDEDTRANSFER"), _transferred),
    "WRAPUPSTART": _wrapping_up,
}

PLATFORM: Final = Platform(
    "asterisk_queue_log", split=split, key=key, parse=parse, uses=frozenset({"time_zone"})
)
