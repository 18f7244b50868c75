"""The one place where a ClickHouse client is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import clickhouse_connect
from clickhouse_connect.driver import AsyncClient
from clickhouse_connect.driver.binding import quote_identifier

CLIENT_NAME: Final = "cxstream"


@dataclass(frozen=True, slots=True)
class ClickHouseSettings:
    """Where ClickHouse is and who we are there.

    Attributes:
        host: name or address.
        port: port of the HTTP interface.
        user: user name.
        password: its password, kept out of ``repr``.
        database: database of all our tables.
        secure: speak HTTPS and verify the certificate.
        connect_timeout_seconds: for a connection to be made.
        answer_timeout_seconds: for one query or insert.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str = "cxstream"
    secure: bool = False
    connect_timeout_seconds: float = 10.0
    answer_timeout_seconds: float = 60.0


async def connect(settings: ClickHouseSettings, *, create_database: bool = False) -> AsyncClient:
    """Return a client on our database, which is made first if ``create_database``.

    Times come back as aware datetimes. The caller closes the client.

    Raises:
        clickhouse_connect.driver.exceptions.DatabaseError: no connection, or refused.
    """
    if create_database:
        async with await _client(settings, "") as client:
            await client.command(f"CREATE DATABASE IF NOT EXISTS {quoted(settings.database)}")
    return await _client(settings, settings.database)


def quoted(identifier: str) -> str:
    """Return an identifier as it stands in SQL, whatever its characters."""
    name: str = quote_identifier(identifier)
    return name


async def _client(settings: ClickHouseSettings, database: str) -> AsyncClient:
    return await clickhouse_connect.get_async_client(
        host=settings.host,
        port=settings.port,
        username=settings.user,
        password=settings.password,
        database=database or "default",
        interface="https" if settings.secure else "http",
        connect_timeout=settings.connect_timeout_seconds,
        send_receive_timeout=settings.answer_timeout_seconds,
        client_name=CLIENT_NAME,
        # A session allows one query at a time; we run several.
        autogenerate_session_id=False,
        tz_mode="aware",
    )
