"""Inserts rows until ClickHouse has acknowledged them, however long that takes.

Rows are inserted whole or not at all: a batch of up to :data:`MAX_ROWS_PER_INSERT` rows and 256 MiB
becomes one block, and on our tables, which have no partitions, a block becomes one part. A batch
whose answer got lost is sent again; the tables are idempotent (replacing by immutable id and
content version), so no insert tokens are used: a token would silently drop other rows sent under
it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import Final, Self, TypeVar

from clickhouse_connect.datatypes.base import ClickHouseType
from clickhouse_connect.driver import AsyncClient
from clickhouse_connect.driver.compression import get_compressor
from clickhouse_connect.driver.exceptions import (
    ClickHouseError,
    DatabaseError,
    ProgrammingError,
)
from clickhouse_connect.driver.insert import InsertContext
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential_jitter

from pipeline.settings import ClickHouseSettings
from sinks.base import SinkObserver, SinkRejected, SinkUnavailable, Statement
from sinks.clickhouse.client import connect
from sinks.clickhouse.errors import is_retryable

FIRST_DELAY_SECONDS: Final = 0.1
LONGEST_DELAY_SECONDS: Final = 10.0
MAX_ROWS_PER_INSERT: Final = 50_000

_Row = TypeVar("_Row")
# The batch is ours to make: the server must not mix it with those of others.
_INSERT_SETTINGS: Final = {"async_insert": 0}
_ENCODED_SETTINGS: Final = {
    **_INSERT_SETTINGS,
    # Parsed by several threads, an insert would be cut into a block a chunk.
    "input_format_parallel_parsing": 0,
    # What a newer worker adds is ignored; what is there must fit.
    "input_format_skip_unknown_fields": 1,
    "input_format_null_as_default": 0,
}
_COMPRESSION: Final = "lz4"

_MISFITS: Final = (TypeError, ValueError, AttributeError, OverflowError)
"""What the client raises when it cannot write a value as its column's type."""


def _misfit(context: InsertContext, data: Sequence[Sequence[object]]) -> str:
    """The first column whose values cannot be written, and its type."""
    for name, kind, values in zip(context.column_names, context.column_types, data, strict=True):
        try:
            kind.write_column(values, bytearray(), context)
        except _MISFITS:
            return f"{name} ({kind.name})"
    return "unknown"


async def _may_have(client: AsyncClient, table: str, columns: Sequence[str]) -> bool:
    """Whether a table has all of these columns, as far as the server can tell.

    A count without a row is the answer of a server in trouble, as one whose disk is full.
    """
    found = await client.query(
        "SELECT uniqExact(name) FROM system.columns WHERE database = currentDatabase()"
        " AND table = {table:String} AND name IN {columns:Array(String)}",
        parameters={"table": table, "columns": list(columns)},
    )
    return not found.result_rows or found.result_rows[0][0] == len(set(columns))


class ClickHouseWriter:
    """A :class:`~sinks.base.Sink` of one database; safe for concurrent use in one event loop.

    It connects with the first insert, so a worker can start while ClickHouse is down.

    Args:
        settings: where to write.
        observer: takes inserted, retried and rejected, for metrics.
        first_delay_seconds: wait after the first failed attempt; doubles with each further one.
        longest_delay_seconds: the most it waits between two attempts, jitter apart.
    """

    def __init__(
        self,
        settings: ClickHouseSettings,
        observer: SinkObserver | None = None,
        *,
        first_delay_seconds: float = FIRST_DELAY_SECONDS,
        longest_delay_seconds: float = LONGEST_DELAY_SECONDS,
    ) -> None:
        self._settings = settings
        self._observer = observer or SinkObserver()
        self._wait = wait_exponential_jitter(
            multiplier=first_delay_seconds, max=longest_delay_seconds, jitter=first_delay_seconds
        )
        self._client: AsyncClient | None = None
        self._connecting = asyncio.Lock()
        self._types: dict[tuple[str, tuple[str, ...]], Sequence[ClickHouseType]] = {}

    async def insert(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> None:
        """Return once ClickHouse has acknowledged all rows; retry for as long as it takes.

        Instants of ``DateTime64(3)`` columns may be aware datetimes, RFC 3339 strings or epoch
        milliseconds; strings may be UTF-8 bytes.

        Raises:
            SinkRejected: ClickHouse will never take them, or they do not fit the columns.
        """
        for block in _blocks(rows):
            await self._insert_block(
                table, len(block), partial(self.insert_once, table, columns, block)
            )

    async def insert_encoded(self, statement: Statement, rows: Sequence[bytes]) -> None:
        """The same for rows that ClickHouse reads itself.

        Raises:
            SinkRejected: ClickHouse will never take them.
        """
        for block in _blocks(rows):
            send = partial(self._send_encoded, _body(statement, block))
            await self._insert_block(
                statement.table, len(block), partial(self._attempt, statement.table, send)
            )

    async def insert_once(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> None:
        """Try once to insert up to :data:`MAX_ROWS_PER_INSERT` rows as one block.

        Raises:
            SinkUnavailable: a later attempt may succeed; this one may have been applied.
            SinkRejected: ClickHouse will never take them, or they do not fit the columns.
        """
        await self._attempt(table, partial(self._send, table, columns, rows))

    async def _attempt(self, table: str, send: Callable[[], Awaitable[None]]) -> None:
        try:
            await send()
        except DatabaseError as error:
            # A schema may change under us: the types are asked for again next time.
            self._types.clear()
            if is_retryable(error):
                raise SinkUnavailable(
                    str(error), delay_seconds=FIRST_DELAY_SECONDS, code=error.code
                ) from error
            raise SinkRejected(str(error), code=error.code) from error
        except (ClickHouseError, *_MISFITS) as error:
            raise SinkRejected(f"rows do not fit {table}: {error}") from error

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _insert_block(
        self, table: str, rows: int, insert_once: Callable[[], Awaitable[None]]
    ) -> None:
        def observe_retry(state: RetryCallState) -> None:
            failure = state.outcome and state.outcome.exception()
            code = failure.code if isinstance(failure, SinkUnavailable) else None
            self._observer.retried(table, code, state.upcoming_sleep)

        offered = time.monotonic()
        try:
            async for attempt in AsyncRetrying(
                wait=self._wait,
                retry=retry_if_exception_type(SinkUnavailable),
                before_sleep=observe_retry,
            ):
                with attempt:
                    await insert_once()
        except SinkRejected as error:
            self._observer.rejected(table, rows, error.code)
            raise
        self._observer.inserted(table, rows, time.monotonic() - offered)

    async def _send(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> None:
        client = await self._connected()
        shape = (table, tuple(columns))
        data = list(zip(*rows, strict=True))
        try:
            context = await client.create_insert_context(
                table,
                columns,
                column_types=self._types.get(shape),
                column_oriented=True,
                settings=_INSERT_SETTINGS,
                data=data,
            )
        except ProgrammingError as error:
            if await _may_have(client, table, columns):
                # A server in trouble describes a table in part.
                told = f"{table} was not described whole"
                raise SinkUnavailable(told, delay_seconds=FIRST_DELAY_SECONDS) from error
            raise
        self._types[shape] = context.column_types
        try:
            await client.data_insert(context)
        except _MISFITS as error:
            told = f"rows do not fit {table}, column {_misfit(context, data)}: {error}"
            raise SinkRejected(told) from error

    async def _send_encoded(self, body: bytes) -> None:
        client = await self._connected()
        await client.raw_insert(
            insert_block=body, settings=_ENCODED_SETTINGS, compression=_COMPRESSION
        )

    async def _connected(self) -> AsyncClient:
        async with self._connecting:
            if self._client is None:
                self._client = await connect(self._settings)
            return self._client


def _blocks(rows: Sequence[_Row]) -> Iterator[Sequence[_Row]]:
    for first in range(0, len(rows), MAX_ROWS_PER_INSERT):
        yield rows[first : first + MAX_ROWS_PER_INSERT]


def _body(statement: Statement, rows: Sequence[bytes]) -> bytes:
    """A request of statement and rows, compressed: less to copy outweighs the work."""
    text = b"".join((statement.text.encode(), b"\n", statement.between.join(rows)))
    return bytes(get_compressor(_COMPRESSION).compress_block(text))
