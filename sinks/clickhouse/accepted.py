"""Accepted events as they were stored, to be fed to a log again, and in which generation of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final

from clickhouse_connect.driver import AsyncClient

from pipeline.stages.travelling import GENERATION_BIT
from schemas.facts import FACT_KINDS
from sinks.clickhouse.ddl import fact_table

# Interactions are told by a hash of their name: one that collides comes whole, too, and is no harm.
_EVENTS: Final = """
SELECT if(kind = 'performer_state', ifNull(performer_id, interaction_id), interaction_id),
    event, toUnixTimestamp64Milli(accepted_at)
FROM interaction_events FINAL
WHERE occurred_at >= {since:DateTime64(3)} OR kind = 'plan'
    OR kind != 'performer_state' AND cityHash64(interaction_id) IN (
        SELECT cityHash64(interaction_id) FROM interaction_events
        WHERE occurred_at >= {since:DateTime64(3)} AND kind NOT IN ('performer_state', 'plan')
    )
ORDER BY accepted_at, event_id
"""


async def accepted_events(
    client: AsyncClient, since: datetime
) -> AsyncIterator[tuple[str, str, int]]:
    """Events that happened since then, and what was ever planned: key, JSON, accepted ms.

    They come in the order in which they were accepted. Of an interaction all events come, or none:
    half of one would tell something else.
    """
    stream = await client.query_row_block_stream(_EVENTS, parameters={"since": since})
    async with stream:
        async for block in stream:
            for row in block:
                yield row


async def platform_restarts(client: AsyncClient) -> list[tuple[str, int]]:
    """When platforms lost their open contacts, by source and moment (UTC epoch milliseconds)."""
    found = await client.query(
        "SELECT source, toUnixTimestamp64Milli(restarted_at) AS at_ms FROM platform_restarts FINAL"
        " ORDER BY at_ms, source"
    )
    return [(str(source), int(at_ms)) for source, at_ms in found.result_rows]


async def next_generation(client: AsyncClient) -> int:
    """The generation of a log that is made anew: one above that of any fact stored, else 0.

    Raises:
        ClickHouseError: the query failed.
    """
    newest = " UNION ALL ".join(
        f"SELECT max(bitShiftRight(version, {GENERATION_BIT})) AS generation, count() AS facts"  # noqa: S608
        f" FROM {fact_table(kind)}"
        for kind in FACT_KINDS
    )
    found = await client.query(f"SELECT max(generation), sum(facts) FROM ({newest})")  # noqa: S608
    ((generation, facts),) = found.result_rows
    return int(generation) + 1 if facts else 0
