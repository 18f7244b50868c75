"""ClickHouse sink agent.

in: ``cx.interactions``, ``cx.facts``, ``cx.kpis``, ``cx.dead-letters``. state: none.
out: rows. The offset is committed once ClickHouse has acknowledged them; the tables are idempotent,
so a batch that is read again changes nothing. While ClickHouse is away only these topics wait.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any

from pipeline.microbatch import Batch, BatchApp, Stage
from schemas.topics import DEAD_LETTERS, FACTS, INTERACTIONS, KPIS
from sinks.base import Sink
from sinks.clickhouse.rows import COLUMNS, is_let_go, rows

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
                # Of several versions under one record key the last one says it all.
                told = [record for record in batch.records if not is_let_go(record)]
                latest = {record.key or n: record for n, record in enumerate(told)}
                keyed = topic in (FACTS, KPIS)
                tables: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
                for record in latest.values() if keyed else told:
                    for row in rows(record):
                        tables[row.table].append(row.values)
                checkpoint.write_outside(partial(_insert, sink, tables))

    return stage


async def _insert(sink: Sink, tables: Mapping[str, list[tuple[Any, ...]]]) -> None:
    await asyncio.gather(
        *(sink.insert(table, COLUMNS[table], rows) for table, rows in tables.items())
    )
