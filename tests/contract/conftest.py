from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator

import pytest
from clickhouse_connect.driver import AsyncClient

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.kafka import KafkaServer
from pipeline.settings import ClickHouseSettings
from sinks.clickhouse import migrate
from sinks.clickhouse.client import connect
from tests.support.services import clickhouse_server, clickhouse_settings, kafka_server

_database_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[EmbeddedClickHouse]:
    with clickhouse_server() as server:
        yield server


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaServer]:
    with kafka_server() as server:
        yield server


@pytest.fixture
def settings(clickhouse: EmbeddedClickHouse) -> ClickHouseSettings:
    """Settings of a database of this test's own, which does not exist yet."""
    return clickhouse_settings(clickhouse, f"test_{next(_database_numbers)}")


@pytest.fixture
async def empty(settings: ClickHouseSettings) -> AsyncIterator[AsyncClient]:
    """Client of a new database without tables."""
    async with await connect(settings, create_database=True) as client:
        yield client


@pytest.fixture
async def migrated(empty: AsyncClient) -> AsyncClient:
    """Client of a new database with all migrations applied."""
    await migrate.apply(empty)
    return empty
