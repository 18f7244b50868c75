"""Reading ClickHouse in tests, as an analyst does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from pipeline.embedded.clickhouse import EmbeddedClickHouse


@contextmanager
def client_of(server: EmbeddedClickHouse, database: str) -> Iterator[Client]:
    """A client on ``database``; times come back as aware datetimes."""
    client = clickhouse_connect.get_client(
        host=server.host,
        port=server.http_port,
        username=server.user,
        password=server.password,
        database=database,
        autogenerate_session_id=False,
        send_receive_timeout=120,
        tz_mode="aware",
    )
    try:
        yield client
    finally:
        client.close()
