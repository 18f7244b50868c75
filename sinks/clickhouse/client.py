"""The one place where a ClickHouse client is made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import clickhouse_connect
from clickhouse_connect.driver import AsyncClient
from clickhouse_connect.driver.binding import quote_identifier
from clickhouse_connect.driver.client import Client

from pipeline.settings import ClickHouseSettings

__all__ = ["ClickHouseSettings", "connect", "connect_blocking"]

CLIENT_NAME: Final = "cxstream"
CONNECT_TIMEOUT_SECONDS: Final = 10.0
ANSWER_TIMEOUT_SECONDS: Final = 60.0
"""For one query or insert; an insert that takes longer is tried again, which does no harm."""


async def connect(settings: ClickHouseSettings, *, create_database: bool = False) -> AsyncClient:
    """Return a client on our database, which is made first if ``create_database``.

    Times come back as aware datetimes. The caller closes the client.

    Raises:
        clickhouse_connect.driver.exceptions.DatabaseError: no connection, or refused.
    """
    if create_database:
        async with await _client(settings, "default") as client:
            name = quote_identifier(settings.database)
            await client.command(f"CREATE DATABASE IF NOT EXISTS {name}")
    return await _client(settings, settings.database)


LONG_ANSWER_TIMEOUT_SECONDS: Final = 1800
"""For a query over everything there is."""


@contextmanager
def connect_blocking(settings: ClickHouseSettings) -> Iterator[Client]:
    """A client for a command that asks one thing after the other; queries may take long.

    Raises:
        clickhouse_connect.driver.exceptions.DatabaseError: no connection, or refused.
    """
    client = clickhouse_connect.get_client(
        host=settings.host,
        port=settings.port,
        username=settings.user,
        password=settings.password.get_secret_value(),
        database=settings.database,
        interface="https" if settings.secure else "http",
        connect_timeout=round(CONNECT_TIMEOUT_SECONDS),
        send_receive_timeout=LONG_ANSWER_TIMEOUT_SECONDS,
        client_name=CLIENT_NAME,
        autogenerate_session_id=False,
        tz_mode="aware",
    )
    try:
        yield client
    finally:
        client.close()


async def _client(settings: ClickHouseSettings, database: str) -> AsyncClient:
    return await clickhouse_connect.get_async_client(
        host=settings.host,
        port=settings.port,
        username=settings.user,
        password=settings.password.get_secret_value(),
        database=database,
        interface="https" if settings.secure else "http",
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        send_receive_timeout=ANSWER_TIMEOUT_SECONDS,
        client_name=CLIENT_NAME,
        # A session allows one query at a time; we run several.
        autogenerate_session_id=False,
        tz_mode="aware",
    )
