"""Many small inserts become few large ones, and each caller still knows when its rows are stored.

ClickHouse makes a part of every insert, and parts must be merged: partitions that each insert a few
rows at a time would drown it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from sinks.base import Sink, Statement

LINGER_SECONDS: Final = 0.25
MAX_ROWS: Final = 50_000


Send = Callable[[list[Any]], Awaitable[None]]


@dataclass(eq=False)
class _Waiting:
    """Rows that go out together."""

    rows: list[Any] = field(default_factory=list)
    full: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Coalescer:
    """A :class:`~sinks.base.Sink` that joins what is inserted into a table within a short while.

    Args:
        sink: Where the joined rows go.
        linger_seconds: How long the first rows wait for others.
    """

    def __init__(self, sink: Sink, linger_seconds: float = LINGER_SECONDS) -> None:
        self._sink = sink
        self._linger_seconds = linger_seconds
        self._waiting: dict[Hashable, _Waiting] = {}

    async def insert(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> None:
        """Return once the rows are stored, together with those of others.

        Raises:
            SinkUnavailable: not now; how many rows arrived is unknown.
            SinkRejected: never.
        """
        name = (table, tuple(columns))
        await self._join(name, rows, partial(self._sink.insert, *name))

    async def insert_encoded(self, statement: Statement, rows: Sequence[bytes]) -> None:
        """The same for encoded rows."""
        await self._join(statement, rows, partial(self._sink.insert_encoded, statement))

    async def _join(self, name: Hashable, rows: Sequence[Any], send: Send) -> None:
        waiting = self._waiting.get(name)
        if waiting is None:
            waiting = self._waiting[name] = _Waiting()
            waiting.task = asyncio.get_running_loop().create_task(self._send(name, waiting, send))
        waiting.rows.extend(rows)
        if len(waiting.rows) >= MAX_ROWS:
            waiting.full.set()
        if waiting.task is not None:
            # One caller that is cancelled must not take the rows of the others with it.
            await asyncio.shield(waiting.task)

    async def _send(self, name: Hashable, waiting: _Waiting, send: Send) -> None:
        try:
            await asyncio.wait_for(waiting.full.wait(), self._linger_seconds)
        except TimeoutError:
            # Nobody filled it: what there is goes out now.
            waiting.full.set()
        if self._waiting.get(name) is waiting:
            del self._waiting[name]
        await send(waiting.rows)
