"""Records whose bytes ClickHouse reads itself: most events and facts.

A fact is flat JSON with the names of its table's columns, so a batch of them is an insert as it is.
An event is JSON, too, but its text is a column beside its fields: it goes as a binary row of its
text, its hash and its place, and ClickHouse takes the fields out of the text. Nothing is decoded
here but what the hash of an event needs. What is not in the form that the pipeline's own encoders
write is left to :mod:`sinks.clickhouse.rows`.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from pipeline.folds.event import reduce
from pipeline.microbatch import Record
from pipeline.stages.intake import accepted_event
from pipeline.stages.wire import written_ms
from schemas.facts import FACT_KINDS
from schemas.interaction import EVENT_CLASSES
from schemas.topics import FACTS, INTERACTIONS
from sinks.base import Statement
from sinks.clickhouse.ddl import TIME, event_columns, fact_table
from sinks.clickhouse.rows import COLUMNS, EVENT_FIELDS

Rows = dict[Statement, list[bytes]]
"""Encoded rows by the statement they belong to."""


def encode(topic: str, records: Iterable[Record], found: Rows) -> list[Record]:
    """Add rows of ``records`` of ``topic`` to ``found``; what has to be decoded is left over."""
    if topic == FACTS:
        return _facts(records, found)
    if topic == INTERACTIONS:
        return _events(records, found)
    return list(records)


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in columns)


def _fact_statement(kind: str) -> Statement:
    # Columns are named, so that a table that lacks one refuses the rows instead of dropping values.
    table = fact_table(kind)
    return Statement(
        table, f"INSERT INTO {table} ({_names(COLUMNS[table])}) FORMAT JSONEachRow", b"\n"
    )


_KIND: Final = b'{"kind":"'
_STATEMENTS: Final = {kind.encode(): _fact_statement(kind) for kind in FACT_KINDS}


def _facts(records: Iterable[Record], found: Rows) -> list[Record]:
    """The kind stands first: the encoder of facts tags them with it."""
    left, by_kind, begin = [], defaultdict(list), len(_KIND)
    for record in records:
        value = record.value or b""
        kind = value[begin : value.find(b'"', begin)]
        if (
            kind in _STATEMENTS
            and not record.headers
            and value.startswith(_KIND)
            and value.endswith(b"}")
        ):
            by_kind[kind].append(value)
        else:
            left.append(record)
    for kind, rows in by_kind.items():
        found.setdefault(_STATEMENTS[kind], []).extend(rows)
    return left


def _event_statement() -> Statement:
    """Fields out of the text of an event. JSON has texts for times, and nothing for defaults."""
    table, types = "interaction_events", {column.name: column.type for column in event_columns()}
    members, values = [], []
    for name in EVENT_FIELDS:
        type_, value = types[name], f"e.`{name}`"
        if TIME in type_:
            reads = "OrNull" if "Nullable" in type_ else ""
            value = f"parseDateTime64BestEffort{reads}({value}, 3, 'UTC')"
            type_ = "Nullable(String)" if reads else "String"
        if blank := _unsaid(name):
            value = f"if(isNull({value}) AND {blank.where}, {blank.value}, {value})"
            type_ = type_ if "Nullable" in type_ else "LowCardinality(Nullable(String))"
        members.append(f"`{name}` {type_}")
        values.append(value)
    fields = f"JSONExtract(event, 'Tuple({', '.join(members)})')"
    own = "event, content_hash, kafka_topic, kafka_partition, kafka_offset, accepted_at"
    read = (
        "event String, content_hash UInt64, kafka_partition Int32, kafka_offset Int64, "
        f"accepted_at {TIME}"
    ).replace("'", "\\'")
    return Statement(  # nothing in the text is from outside
        table,
        f"INSERT INTO {table} ({_names(COLUMNS[table])}) SELECT {', '.join(values)}, {own} FROM "  # noqa: S608
        f"(SELECT *, '{INTERACTIONS}' AS kafka_topic, {fields} AS e FROM input('{read}')) "
        "FORMAT RowBinary",
        b"",
    )


class _Unsaid(NamedTuple):
    """What a field means that is left out, as SQL: of which events, and the value."""

    where: str
    value: str


def _unsaid(name: str) -> _Unsaid | None:
    """Defaults are left out of the text. Those that are no blank are texts, of some kinds or all.

    Raises:
        TypeError: there is one that this module cannot put into SQL.
    """
    told = {kind: cls.model_fields.get(name) for kind, cls in EVENT_CLASSES.items()}
    meant = {
        kind: field.default
        for kind, field in told.items()
        if field is not None and not field.is_required() and field.default
    }
    if not meant:
        return None
    (value,) = {*meant.values()}
    if not isinstance(value, str):
        raise TypeError(f"no SQL for the default {value!r} of {name}")
    kinds = ", ".join(f"'{kind}'" for kind in meant)
    return _Unsaid(f"e.kind IN ({kinds})", f"'{value}'")


_EVENT: Final = _event_statement()
_pack_place: Final = struct.Struct("<Qiqq").pack
"""Hash, partition, offset, Kafka time in milliseconds: as RowBinary has them."""


def _events(records: Iterable[Record], found: Rows) -> list[Record]:
    left, rows = [], []
    for record in records:
        event = accepted_event(record)
        value = record.value
        # Otherwise it is no event, or one in a form that only the schema itself reads.
        if isinstance(event, msgspec.Struct) and value is not None:
            place = _pack_place(
                reduce(event).content_hash, record.partition, record.offset, written_ms(record)
            )
            rows.append(b"".join((_length(len(value)), value, place)))
        else:
            left.append(record)
    if rows:
        found.setdefault(_EVENT, []).extend(rows)
    return left


def _length(size: int) -> bytes:
    """A length as RowBinary has it: seven bits a byte, the lowest first."""
    return _LENGTHS[size] if size < len(_LENGTHS) else _varint(size)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


_LENGTHS: Final = [_varint(size) for size in range(4096)]
