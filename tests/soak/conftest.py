from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.kafka import KafkaServer
from tests.faults.conftest import pytest_runtest_makereport, pytest_terminal_summary
from tests.support.services import clickhouse_server, kafka_server

__all__ = ["pytest_runtest_makereport", "pytest_terminal_summary"]

KAFKA = {
    "group.min.session.timeout.ms": "1000",
    # Restores shall read logs that have been compacted.
    "log.cleaner.backoff.ms": "200",
    "log.cleaner.dedupe.buffer.size": "8388608",
}


def minutes(name: str, default: float) -> float:
    """How long a trial lasts, as the environment says."""
    found = float(os.environ.get(name) or default)
    assert 0 < found <= 60, f"{name} is {found:g}; expected minutes, at most 60"
    return found


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaServer]:
    with kafka_server(properties=KAFKA) as server:
        yield server


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[EmbeddedClickHouse]:
    with clickhouse_server() as server:
        yield server
