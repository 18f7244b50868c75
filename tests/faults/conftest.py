from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.kafka import KafkaServer
from tests.faults.checker import Outcome
from tests.faults.load import Load, load
from tests.faults.report import FOUND, Row, table
from tests.faults.trial import trial
from tests.support.services import clickhouse_server, kafka_server

SEED = 11
EVENTS = 4_000
KAFKA = {
    # Tests that kill workers do not want to wait six seconds, the least a group usually allows.
    "group.min.session.timeout.ms": "1000",
    # Restores shall read logs that have been compacted.
    "log.cleaner.backoff.ms": "200",
    "log.cleaner.dedupe.buffer.size": "8388608",
}


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaServer]:
    with kafka_server(properties=KAFKA) as server:
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
    kafka: KafkaServer,
    clickhouse: EmbeddedClickHouse,
    busy: Load,
    tmp_path_factory: pytest.TempPathFactory,
) -> Outcome:
    """The same load, and nothing happens."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with trial("undisturbed", kafka.bootstrap, clickhouse, folder, busy) as quiet:
        quiet.start()
        outcome = quiet.finish(None)
    kinds = {fact["kind"] for fact in outcome.facts.values()}
    assert {"queue_segment", "handling_segment", "interaction", "contact", "journey"} <= kinds
    return outcome


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
