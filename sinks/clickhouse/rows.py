"""Records of topics as rows of tables: a record in, table and values out, nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec

from pipeline.folds.event import reduce
from pipeline.microbatch import Record
from pipeline.stages.intake import accepted_event
from pipeline.stages.wire import (
    DIRTY,
    FROZEN,
    LATE,
    RESTART,
    Heartbeat,
    control_kind,
    decode_restart,
    heartbeat_in,
    written_ms,
)
from schemas.fact_records import decode_fact
from schemas.facts import FACT_KINDS, columns
from schemas.interaction import EVENT_CLASSES
from schemas.topics import DEAD_LETTERS, FACTS, INTERACTIONS, KPIS
from schemas.values import ExhibitValue, decode_value


class Row(NamedTuple):
    """One row and where it goes."""

    table: str
    values: tuple[Any, ...]


_LEFT_OUT: Final = frozenset(("customer", "account"))


def _event_fields() -> tuple[str, ...]:
    names: dict[str, None] = {}
    for cls in EVENT_CLASSES.values():
        names.update(dict.fromkeys(n for n in cls.model_fields if n not in _LEFT_OUT))
    return tuple(names)


EVENT_FIELDS: Final = _event_fields()
_PLACES: Final = {
    kind: [(place, name) for place, name in enumerate(EVENT_FIELDS) if name in cls.model_fields]
    for kind, cls in EVENT_CLASSES.items()
}
_FACT_COLUMNS: Final = {
    kind: ("fact_id", "version", "deleted", *(column.name for column in columns(kind)))
    for kind in FACT_KINDS
}


COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "interaction_events": (
        *EVENT_FIELDS, "event", "content_hash",
        "kafka_topic", "kafka_partition", "kafka_offset", "accepted_at",
    ),
    "platform_restarts": ("source", "restarted_at"),
    "heartbeats": ("topic", "source", "written_at"),
    **{f"facts_{kind}": names for kind, names in _FACT_COLUMNS.items()},
    "kpi_values": (
        "key", "exhibit", "exhibit_version", "kpi", "kpi_version", "as", "parameters",
        "attribution",
        "window_kind", "window_size", "window_start", "window_end", "dimensions", "state",
        "revision", "as_of", "numerator", "denominator", "value", "unit", "n", "low", "high",
        "target", "status", "version", "deleted",
    ),
    "late_records": (
        "event_id", "interaction_id", "kind", "source", "channel", "occurred_ms", "clock_ms",
        "content_hash", "reason", "version", "deleted",
    ),
    "frozen_interactions": ("interaction_id", "event_ids", "content_hashes", "clock_ms"),
    "dirty_intervals": (
        "exhibit", "exhibit_version", "cell", "start_ms", "clock_ms", "done", "version",
    ),
    "dead_letters": (
        "topic", "partition", "offset", "reason", "detail", "size_bytes", "sha256", "refused_at",
    ),
}  # fmt: skip
"""Columns of the rows made here, by table."""

_WITHDRAWN: Final[dict[str, Any]] = {
    "exhibit_version": 0, "kpi": "", "kpi_version": 0, "parameters": "", "attribution": "",
    "window_kind": "", "window_size": "", "window_start": None, "window_end": None,
    "dimensions": {}, "state": "", "revision": 0, "numerator": None, "denominator": None,
    "value": None, "unit": "", "n": None, "low": None, "high": None, "target": None, "status": "",
}  # fmt: skip


def rows(record: Record) -> Iterator[Row]:
    """Rows of one record; none for what is not stored, such as ticks."""
    match record.topic:
        case str(topic) if topic == INTERACTIONS:
            row = _event(record)
            if row is not None:
                yield row
            elif record.headers and control_kind(record.headers) == RESTART:
                yield _restart(record)
            elif (beat := heartbeat_in(record)) is not None:
                yield _heartbeat(record.topic, beat)
        case str(topic) if topic == FACTS:
            kind = control_kind(record.headers) if record.headers else None
            if kind is None:
                yield _fact(record)
            elif (beat := heartbeat_in(record)) is not None:
                yield _heartbeat(record.topic, beat)
            else:
                yield _told(kind, record)
        case str(topic) if topic == KPIS:
            if not is_let_go(record):
                yield _value(record)
        case str(topic) if topic == DEAD_LETTERS:
            if control_kind(record.headers) is None:
                yield _dead_letter(record)


def _event(record: Record) -> Row | None:
    event = accepted_event(record)
    if event is None or record.value is None:
        return None
    values: list[Any] = [None] * len(EVENT_FIELDS)
    for place, name in _PLACES[event.kind]:
        values[place] = getattr(event, name)
    return Row(
        "interaction_events",
        (
            *values, record.value.decode(), reduce(event).content_hash,
            record.topic, record.partition, record.offset, written_ms(record),
        ),
    )  # fmt: skip


def _restart(record: Record) -> Row:
    told = decode_restart(record.value or b"")
    return Row("platform_restarts", (told.source, datetime.fromtimestamp(told.at_ms / 1000, UTC)))


def _heartbeat(topic: str, beat: Heartbeat) -> Row:
    return Row("heartbeats", (topic, beat.source, beat.at_ms))


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def is_let_go(record: Record) -> bool:
    """Whether a value is only held no longer by the stream: where it is stored it stays."""
    return record.value is None and bool(record.headers) and control_kind(record.headers) == FROZEN


_TOLD: Final = {LATE: "late_records", FROZEN: "frozen_interactions", DIRTY: "dirty_intervals"}


def _told(kind: bytes, record: Record) -> Row:
    """A row of what stages tell beside facts."""
    told: dict[str, Any] = msgspec.json.decode(record.value or b"")
    if kind == DIRTY:
        told |= {"done": 0, "version": 2 * told["clock_ms"]}
    table = _TOLD[kind]
    return Row(table, tuple(told[column] for column in COLUMNS[table]))


def _fact(record: Record) -> Row:
    told = decode_fact(record.value or b"")
    fact_id, version, deleted, *own = msgspec.structs.astuple(told)
    return Row(f"facts_{told.kind}", (fact_id, version, int(deleted), *own))


def _value(record: Record) -> Row:
    key = (record.key or b"").decode()
    if record.value is None:
        exhibit, name, *_ = msgspec.json.decode(key)
        gone = _WITHDRAWN | {"key": key, "exhibit": exhibit, "as": name, "deleted": 1}
        gone["as_of"] = datetime.fromtimestamp(record.timestamp / 1000, UTC)
        gone["version"] = record.timestamp
        return Row("kpi_values", tuple(gone[column] for column in COLUMNS["kpi_values"]))
    return Row("kpi_values", value_row(key, decode_value(record.value), record.timestamp))


def value_row(key: str, told: ExhibitValue, version: int) -> tuple[Any, ...]:
    """A value as a row of ``kpi_values``."""
    window = told.window
    return (
        key, told.exhibit, told.exhibit_version, told.kpi, told.kpi_version, told.name,
        msgspec.json.encode(told.parameters, order="sorted").decode(), told.attribution,
        window.kind, window.size or "", _instant(window.start), _instant(window.end),
        told.dimensions, told.state, told.revision, _instant(told.as_of),
        told.numerator, told.denominator, told.value, told.unit, told.n, told.low, told.high,
        told.target, told.status, version, 0,
    )  # fmt: skip


def _dead_letter(record: Record) -> Row:
    told = {name: value.decode("utf-8", "replace") for name, value in record.headers}
    return Row(
        "dead_letters",
        (
            told["topic"], int(told["partition"]), int(told["offset"]), told["reason"],
            told["detail"], int(told["bytes"]), told["sha256"], record.timestamp,
        ),
    )  # fmt: skip
