"""Accepted events as they were stored, to be fed to a log again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from clickhouse_connect.driver import AsyncClient


async def accepted_events(
    client: AsyncClient, since: datetime
) -> AsyncIterator[tuple[str, str, int]]:
    """Events that happened since then, and what was ever planned: key, JSON, accepted ms.

    They come in the order in which they were accepted.
    """
    stream = await client.query_row_block_stream(
        "SELECT if(kind = 'performer_state', ifNull(performer_id, interaction_id), "
        "interaction_id), "
        "event, toUnixTimestamp64Milli(accepted_at) FROM interaction_events FINAL "
        "WHERE occurred_at >= {since:DateTime64(3)} OR kind = 'plan' "
        "ORDER BY accepted_at, event_id",
        parameters={"since": since},
    )
    async with stream:
        async for block in stream:
            for row in block:
                yield row
