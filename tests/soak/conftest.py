from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from pipeline.embedded.kafka import KafkaServer
from tests.faults.conftest import (
    KAFKA,
    clickhouse,
    pytest_runtest_makereport,
    pytest_terminal_summary,
)
from tests.support.services import kafka_server

__all__ = ["clickhouse", "pytest_runtest_makereport", "pytest_terminal_summary"]


def minutes(name: str, default: float) -> float:
    """How long a trial lasts, as the environment says."""
    found = float(os.environ.get(name) or default)
    assert 0 < found <= 60, f"{name} is {found:g}; expected minutes, at most 60"
    return found


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaServer]:
    with kafka_server(properties=KAFKA) as server:
        yield server
