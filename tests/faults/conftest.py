from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import pytest

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from tests.faults.checker import Outcome
from tests.faults.kafka import ProxiedKafka
from tests.faults.load import Load, load
from tests.faults.report import FOUND, Row, table
from tests.faults.trial import Trial, reference_of, trial
from tests.support.services import clickhouse_server, kafka_server

SEED = 11
EVENTS = 4_000
BRIEF_EVENTS = 1_500
KAFKA = {
    # Tests that kill workers do not want to wait six seconds, the least a group usually allows.
    "group.min.session.timeout.ms": "1000",
    # Restores shall read logs that have been compacted.
    "log.cleaner.backoff.ms": "200",
    "log.cleaner.dedupe.buffer.size": "8388608",
}


@pytest.fixture(scope="session")
def kafka() -> Iterator[ProxiedKafka]:
    with kafka_server(properties=KAFKA, kind=ProxiedKafka) as server:
        assert isinstance(server, ProxiedKafka)
        yield server


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[EmbeddedClickHouse]:
    with clickhouse_server() as server:
        yield server


@pytest.fixture(scope="session")
def busy() -> Load:
    """The load of most trials."""
    return load(SEED, EVENTS)


@pytest.fixture(scope="session")
def undisturbed(
    kafka: ProxiedKafka,
    clickhouse: EmbeddedClickHouse,
    busy: Load,
    tmp_path_factory: pytest.TempPathFactory,
) -> Outcome:
    """The same load, and nothing happens."""
    folder = tmp_path_factory.mktemp("undisturbed")
    outcome = reference_of("undisturbed", kafka.bootstrap, clickhouse, folder, busy)
    kinds = {fact["kind"] for fact in outcome.facts.values()}
    assert {"queue_segment", "handling_segment", "interaction", "contact", "journey"} <= kinds
    return outcome


class Begin(Protocol):
    """Begins a trial of the brief load, or of another one; further options are the trial's."""

    def __call__(
        self, name: str, load: Load = ..., **options: Any
    ) -> AbstractContextManager[Trial]: ...


@pytest.fixture(scope="session")
def brief() -> Load:
    """The load of trials of a single fault."""
    return load(SEED, BRIEF_EVENTS)


@pytest.fixture(scope="session")
def reference(
    kafka: ProxiedKafka,
    clickhouse: EmbeddedClickHouse,
    brief: Load,
    tmp_path_factory: pytest.TempPathFactory,
) -> Outcome:
    """The brief load, and nothing happens."""
    folder = tmp_path_factory.mktemp("reference")
    return reference_of("reference", kafka.bootstrap, clickhouse, folder, brief)


@pytest.fixture
def begin(
    kafka: ProxiedKafka, clickhouse: EmbeddedClickHouse, brief: Load, tmp_path: Path
) -> Begin:
    """Makes a trial on the shared Kafka and ClickHouse."""

    numbers = itertools.count()

    def one(name: str, load: Load = brief, **options: Any) -> AbstractContextManager[Trial]:
        folder = tmp_path / f"trial-{next(numbers)}"
        folder.mkdir()
        return trial(name, kafka.bootstrap, clickhouse, folder, load, **options)

    return one


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let rows of trials travel with the reports of tests, out of whatever process runs them."""
    report = yield
    report.user_properties.extend(("faults", row) for row in FOUND)
    FOUND.clear()
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what hit, and the outcome without and with it side by side."""
    rows: list[Row] = [
        tuple(told)
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, told in getattr(report, "user_properties", ())
        if name == "faults"
    ]
    if rows:
        terminalreporter.section("faults: reference and result")
        for line in table(rows):
            terminalreporter.line(line)
