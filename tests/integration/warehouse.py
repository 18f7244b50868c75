"""Reading ClickHouse in tests, as an analyst does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from pipeline.audit.scratch import Scratch
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.kpi.warehouse.names import view_of
from schemas.facts import Fact, values
from sinks.clickhouse.ddl import fact_columns


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


def load_facts(
    client: Client, database: str, facts: Mapping[str, Iterable[tuple[str, Fact]]]
) -> None:
    """Make a database with the given facts, by kind, under the names of the views."""
    place = Scratch(client, database)
    for kind, rows in facts.items():
        columns = [(column.name, column.type) for column in fact_columns(kind)]
        told = [(name, 1, 0, *values(fact)) for name, fact in rows]
        place.table(view_of(kind), columns, told)
