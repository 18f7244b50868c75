"""Real services for tests, as context managers; fixtures wrap them.

Where a service is not installed, a developer's tests are skipped with the reason. Under ``CI=true``
and as root, where everything is expected to be there, they fail.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.kafka import KafkaServer
from pipeline.embedded.process import ServiceMissing
from pipeline.embedded.prometheus import PrometheusServer
from pipeline.settings import ClickHouseSettings

UNHURRIED: Mapping[str, str] = {
    # Raw topics bear the times that a test's records tell of, long ago: a broker that looks half a
    # minute after its start, and then each five minutes, would remove some before they are read.
    "log.initial.task.delay.ms": "86400000",
    "log.retention.check.interval.ms": "86400000",
}
"""Properties of every Kafka of the tests that does not say otherwise."""


@contextmanager
def clickhouse_server(folder: Path | None = None) -> Iterator[EmbeddedClickHouse]:
    """A ClickHouse server on a folder, a temporary one unless given."""
    with _home(folder) as home, _missing_service_decides(), EmbeddedClickHouse(home) as server:
        yield server


@contextmanager
def kafka_server(
    folder: Path | None = None,
    properties: Mapping[str, str] | None = None,
    kind: type[KafkaServer] = KafkaServer,
) -> Iterator[KafkaServer]:
    """A Kafka broker on a folder, a temporary one unless given, that never looks for old records.

    ``properties`` win over what it is told otherwise.
    """
    told = {**UNHURRIED, **(properties or {})}
    with _home(folder) as home, _missing_service_decides(), kind(home, told) as server:
        yield server


@contextmanager
def prometheus_server(
    targets: Sequence[str], folder: Path | None = None, rule_files: Sequence[Path] = ()
) -> Iterator[PrometheusServer]:
    """A Prometheus server that scrapes ``targets`` (``host:port``) each second."""
    with (
        _home(folder) as home,
        _missing_service_decides(),
        PrometheusServer(home, targets, rule_files=rule_files) as server,
    ):
        yield server


def clickhouse_settings(server: EmbeddedClickHouse, database: str) -> ClickHouseSettings:
    """Settings of a client of an embedded server."""
    return ClickHouseSettings(
        host=server.host,
        port=server.http_port,
        user=server.user,
        password=SecretStr(server.password),
        database=database,
    )


@contextmanager
def _home(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="cxstream-") as temporary:
        yield Path(temporary)


@contextmanager
def _missing_service_decides() -> Iterator[None]:
    try:
        yield
    except ServiceMissing as missing:
        if os.environ.get("CI") == "true" or os.geteuid() == 0:
            raise
        pytest.skip(str(missing))
