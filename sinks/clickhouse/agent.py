"""ClickHouse sink agent.

in: ``cx.interactions``, ``cx.facts``, ``cx.kpis``, ``cx.dead-letters``. state: none.
out: rows. The offset is committed once ClickHouse has acknowledged them; the tables are idempotent,
so a batch that is read again changes nothing. While ClickHouse is away only these topics wait.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from pipeline.heartbeats import pass_on
from pipeline.microbatch import Batch, BatchApp, Record, Stage
from pipeline.stages.wire import Heartbeat
from schemas.topics import DEAD_LETTERS, FACTS, INTERACTIONS, KPIS
from sinks.base import Sink
from sinks.clickhouse.encoded import Rows, encode
from sinks.clickhouse.rows import COLUMNS, is_let_go, rows


class _Versioned(msgspec.Struct):
    """What decides between records of one fact."""

    version: int


_decode_version = msgspec.json.Decoder(_Versioned).decode

TOPICS = (INTERACTIONS, FACTS, KPIS, DEAD_LETTERS)


def clickhouse_sink(app: BatchApp, sink: Sink) -> list[Stage]:
    """Register one sink agent a topic on ``app``, so that a slow table holds up no other topic."""
    return [_register(app, sink, topic) for topic in TOPICS]


def _register(app: BatchApp, sink: Sink, topic: str) -> Stage:
    stage = Stage(app, f"sink.{topic}", topics=(topic,))

    @app.agent(stage.channel, name=f"sink.{topic}")
    async def agent(batches: AsyncIterator[Batch]) -> None:
        async for batch in stage.batches(batches):
            async with stage.checkpoint(batch) as checkpoint:
                tables, statements = taken(topic, batch.records)
                for _, source, at_ms in tables.get("heartbeats", ()):
                    pass_on(Heartbeat(source, at_ms), checkpoint)
                checkpoint.write_outside(partial(_insert, sink, tables, statements))

    return stage


def telling(topic: str, records: Sequence[Record]) -> Iterable[Record]:
    """Records without those that another one of the batch replaces.

    Of one value the last one holds. Of one fact the highest version does: a contact that moves from
    one history to another is told by both, in any order.
    """
    if topic == KPIS:
        records = [record for record in records if not is_let_go(record)]
    elif topic != FACTS:
        return records
    found: dict[bytes | int, Record] = {}
    for number, record in enumerate(records):
        # What bears headers is no fact, and replaces none.
        name = number if record.headers else record.key or number
        known = found.get(name)
        if known is None or topic == KPIS or _version(record) >= _version(known):
            found[name] = record
    return found.values()


def _version(record: Record) -> int:
    return _decode_version(record.value or b"").version


_Tables = Mapping[str, Sequence[tuple[Any, ...]]]


def taken(topic: str, records: Sequence[Record]) -> tuple[_Tables, Rows]:
    """Rows of ``records`` of ``topic`` by table, and by statement what ClickHouse reads itself."""
    tables: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
    statements: Rows = {}
    for record in encode(topic, telling(topic, records), statements):
        for row in rows(record):
            tables[row.table].append(row.values)
    return tables, statements


async def _insert(sink: Sink, tables: _Tables, statements: Rows) -> None:
    await asyncio.gather(
        *(sink.insert(table, COLUMNS[table], rows) for table, rows in tables.items()),
        *(sink.insert_encoded(statement, rows) for statement, rows in statements.items()),
    )
