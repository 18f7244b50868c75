"""Exhibits of running workers change through the log: two workers, no restart, no gap."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.kafka import KafkaServer
from tests.integration.process import wait_for
from tests.integration.site import site
from tests.integration.test_dead_letters import NOW_MS, event
from tests.integration.warehouse import client_of

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]

DATABASE = "exhibit_change"
CALLS = 40
FIRST = """
exhibit: live
version: 1
windows: [all]
kpis:
  - {kpi: offered}
"""
SECOND = """
exhibit: live
version: 2
by: [queue]
windows: [all]
kpis:
  - {kpi: offered}
  - {kpi: answered}
"""
TOTALS = (
    "SELECT exhibit_version, `as`, mapFilter((k, v) -> v != '*', dimensions) AS cell, numerator"
    " FROM kpis WHERE exhibit = 'live' ORDER BY ALL"
)


@pytest.fixture
def warehouse(clickhouse: EmbeddedClickHouse) -> Iterator[Client]:
    with client_of(clickhouse, "default") as client:
        client.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
    with client_of(clickhouse, DATABASE) as client:
        yield client


def test_a_new_version_is_filled_with_what_was_there_and_an_ended_one_is_gone(
    kafka: KafkaServer, clickhouse: EmbeddedClickHouse, warehouse: Client, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text(FIRST)
    second.write_text(SECOND)
    clock_ms = NOW_MS + 60_000
    with site(
        kafka.bootstrap, tmp_path, clickhouse=clickhouse, database=DATABASE, exhibits=[first]
    ) as place:
        workers = [place.worker(), place.worker()]

        def shown() -> list[tuple[object, ...]]:
            nonlocal clock_ms
            clock_ms += 1_000
            place.tick(clock_ms)
            place.drain(120, alive=workers)
            return [tuple(row) for row in warehouse.query(TOTALS).result_rows]

        for number in range(CALLS):
            queue = "sales" if number % 4 else "help"
            place.produce(event(number, queue=queue), None, timestamp_ms=NOW_MS)
        place.flush()
        place.drain(120, alive=workers)
        wait_for(lambda: shown() == [(1, "offered", {}, CALLS)], "the first version", 120)

        assert place.command("exhibit", "apply", str(second)) == (
            "live version 2 comes into force\n"
        )
        expected = [
            (2, "answered", {}, 0),
            (2, "answered", {"queue": "help"}, 0),
            (2, "answered", {"queue": "sales"}, 0),
            (2, "offered", {}, CALLS),
            (2, "offered", {"queue": "help"}, CALLS // 4),
            (2, "offered", {"queue": "sales"}, CALLS - CALLS // 4),
        ]
        seen: list[list[tuple[object, ...]]] = []

        def switched() -> bool:
            seen.append(shown())
            return seen[-1] == expected

        wait_for(switched, "the second version", 120)
        # Until then the first one was shown, and nothing was ever shown of both or half.
        assert all(rows in ([(1, "offered", {}, CALLS)], expected) for rows in seen)
        assert "4 of 4" in place.command("exhibit", "list")

        assert "version 2 is in force, this is 1" in place.refused("exhibit", "apply", str(first))
        second.write_text(SECOND.replace("answered", "abandoned"))
        assert "is in force with another text" in place.refused("exhibit", "apply", str(second))

        assert place.command("exhibit", "end", "live") == "live ends\n"
        wait_for(lambda: shown() == [], "its values to be withdrawn", 120)
        assert all(worker.running for worker in workers)
