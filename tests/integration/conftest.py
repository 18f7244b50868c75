from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.kafka import KafkaServer
from tests.support.services import clickhouse_server, kafka_server


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaServer]:
    # Tests that kill workers do not want to wait six seconds, the least a group usually allows.
    with kafka_server(properties={"group.min.session.timeout.ms": "1000"}) as server:
        yield server


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[EmbeddedClickHouse]:
    with clickhouse_server() as server:
        yield server
