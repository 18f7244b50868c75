"""``cxstream audit`` over a simulated week on a real Kafka, after two restarts of the worker.

Events come in out of order, some late and some twice, surveys days after the contact; customers
come back, and some events are corrected. ``make audit-short`` takes fewer interactions than
``make audit``; both run the same.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from clickhouse_connect.driver.client import Client

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.kpi import catalogue
from schemas.exhibit_file import load_exhibit
from tests.audit.center import DAY_MS, SEED, START_MS, week
from tests.integration.process import wait_for
from tests.integration.site import Site, site
from tests.integration.warehouse import client_of
from tests.support.services import clickhouse_server, kafka_server

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]

INTERACTIONS = int(os.environ.get("CXSTREAM_AUDIT_INTERACTIONS", "2000"))
CLOCK_MS = START_MS + 8 * DAY_MS
DATABASE = "audited"
EXHIBITS = tuple(
    Path(__file__).with_name(name) for name in ("exhibit.yaml", "people.yaml", "causes.yaml")
)
SESSION_TIMEOUT_MS = 45_000
"""A killed worker is missed that late; a slow one on a busy machine is not taken for dead."""
AHEAD = 20_000
"""Records written before intake has taken them: a kill meets a pipeline that is busy."""


Report = dict[str, Any]


class Run(NamedTuple):
    """A site that has seen the week, and what the command said of each exhibit."""

    place: Site
    events: int
    seconds: float
    reports: list[Report]


@pytest.fixture(scope="module")
def clickhouse() -> Iterator[EmbeddedClickHouse]:
    with clickhouse_server() as server:
        yield server


@pytest.fixture(scope="module")
def client(clickhouse: EmbeddedClickHouse) -> Iterator[Client]:
    with client_of(clickhouse, "default") as found:
        found.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
    with client_of(clickhouse, DATABASE) as found:
        yield found


@pytest.fixture(scope="module")
def run(
    clickhouse: EmbeddedClickHouse, client: Client, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Run]:
    events = [(e["interaction_id"].encode(), msgspec.json.encode(e)) for e in week(INTERACTIONS)]
    began = time.monotonic()
    with (
        kafka_server(properties={"group.min.session.timeout.ms": "1000"}) as kafka,
        site(
            kafka.bootstrap, tmp_path_factory.mktemp("site"),
            clickhouse=clickhouse, database=DATABASE, exhibits=EXHIBITS,
            session_timeout_ms=SESSION_TIMEOUT_MS,
        ) as place,
    ):  # fmt: skip
        feed(place, events)
        place.tick(CLOCK_MS)
        place.drain(1_800, alive=place.workers[-1:])
        reports = audit(place)
        yield Run(place, len(events), time.monotonic() - began, reports)


def feed(place: Site, events: list[tuple[bytes, bytes]]) -> None:
    """Write everything; kill the worker at a third and at two thirds of it, and start another."""
    place.worker()
    records = iter(events)
    written = 0
    while chunk := list(itertools.islice(records, 2_000)):
        written += len(chunk)
        if written > len(events) * len(place.workers) / 3 and len(place.workers) < 3:
            restart_in_progress(place, chunk)
        else:
            write(place, chunk)
        wait_for(lambda: place.lag("intake") < AHEAD, "intake to keep up", 900, 0.2)
    place.drain(1_800, alive=place.workers[-1:])


def write(place: Site, chunk: list[tuple[bytes, bytes]]) -> None:
    for key, value in chunk:
        place.produce(value, key)
    place.flush()


def restart_in_progress(place: Site, chunk: list[tuple[bytes, bytes]]) -> None:
    """Kill the worker while it takes a chunk in, and start another."""
    before = sum(place.committed("lifecycle").values())
    write(place, chunk)
    wait_for(
        lambda: sum(place.committed("lifecycle").values()) > before,
        "progress of the worker to be killed", 600, 0.05,
    )  # fmt: skip
    place.workers[-1].kill()
    place.worker()


def audit(place: Site, *, expect: int = 0) -> list[Report]:
    """What the command says of each exhibit, as JSON."""
    exhibits = [word for file in EXHIBITS for word in ("--exhibit", str(file))]
    told = place.command("audit", *exhibits, "--json", expect=expect, seconds=1_200.0)
    return [json.loads(line) for line in told.splitlines()]


def test_every_kpi_is_audited() -> None:
    asked = {entry.kpi for file in EXHIBITS for entry in load_exhibit(file).kpis}
    assert asked == set(catalogue.load().definitions)


def test_stream_and_sql_are_equal_in_every_cell(run: Run) -> None:
    for report, least in zip(run.reports, (10_000, 20, 1_000), strict=True):
        assert report["passed"], report
        assert report["not_covered"] == {}
        for comparison in report["comparisons"]:
            assert comparison["differences"] == []
            assert comparison["not_audited"] == {}
            assert comparison["compared"] > least
        assert report["late"] > 0
    assert run.reports[0]["restated"] > 0


def test_it_says_how_much_it_took(run: Run) -> None:
    compared = sum(report["comparisons"][1]["compared"] for report in run.reports)
    restated = sum(report["restated"] for report in run.reports)
    print(
        f"{INTERACTIONS} interactions, {run.events} events in {run.seconds:.0f} s:"
        f" {compared} cells compared, {restated} restated,"
        f" {run.reports[0]['late']} late records, seed {SEED}"
    )
    assert compared


def test_one_millisecond_in_one_event_is_found(run: Run, client: Client) -> None:
    """A wrap-up that ends a millisecond later, for ClickHouse only, differs from what was told."""
    ((event_id,),) = client.query(
        "SELECT event_id FROM interaction_events FINAL WHERE kind = 'wrapup_ended'"
        " AND direction = 'inbound' ORDER BY event_id LIMIT 1"
    ).result_rows
    columns = client.query("SELECT * FROM interaction_events LIMIT 0").column_names
    names = ", ".join(f"`{name}`" for name in columns)
    client.command(
        f"INSERT INTO interaction_events ({names}) SELECT * REPLACE ("  # noqa: S608
        "occurred_at + INTERVAL 1 MILLISECOND AS occurred_at, record_version + 1 AS record_version)"
        " FROM interaction_events FINAL WHERE event_id = {id:String}",
        parameters={"id": event_id},
    )
    report, people, causes = audit(run.place, expect=1)
    assert people["passed"]
    assert {one["name"] for one in causes["comparisons"][1]["differences"]} == {"aht"}
    facts, events = report["comparisons"]
    assert facts["differences"] == []
    found = [one for one in events["differences"] if one["name"] in TIMES_OF_WORK]
    assert {one["name"] for one in found} == TIMES_OF_WORK
    for one in found:
        assert one["computed"]["numerator"] == one["published"]["numerator"] + 1


TIMES_OF_WORK = {"aht", "aht_interaction", "aht_skip", "handle_time", "wrap_time"}
"""KPIs whose numerator has wrap-up in it, as milliseconds."""
