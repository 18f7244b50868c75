"""Corrections of any age on a real Kafka: two workers, both killed before each of them.

The story and its numbers are those of ``tests/properties/ages.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from clickhouse_connect.driver.client import Client

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.kafka import KafkaServer
from schemas.interaction import EVENT_ADAPTER
from tests.integration.process import Process, wait_for
from tests.integration.site import Site, site
from tests.integration.warehouse import client_of
from tests.properties.ages import ASA, DAY, EXHIBIT, HALF_HOUR, LATE, START_MS, STORY
from tests.properties.stories import event

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]

DATABASE = "horizon"
CORRECTED_ON = (0.5, 1.5, 8, 29, 45)
"""Days on which something is told of the first one: by then every partition was restored."""

Fraction = tuple[int | None, int | None]


class Run(NamedTuple):
    """What was stored on each day, and in the end."""

    asa: dict[float, Fraction]
    surveys: dict[float, Fraction]
    in_the_half_hour: dict[float, tuple[Fraction, str]]
    recomputed: tuple[Fraction, str]
    said: list[str]
    report: dict[str, Any]
    late: float


@pytest.fixture(scope="module")
def client(clickhouse: EmbeddedClickHouse) -> Iterator[Client]:
    with client_of(clickhouse, "default") as found:
        found.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
    with client_of(clickhouse, DATABASE) as found:
        yield found


@pytest.fixture(scope="module")
def run(
    kafka: KafkaServer,
    clickhouse: EmbeddedClickHouse,
    client: Client,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    folder = tmp_path_factory.mktemp("horizon")
    exhibit = folder / "ages.yaml"
    exhibit.write_text(EXHIBIT, "utf-8")
    with site(
        kafka.bootstrap, folder, clickhouse=clickhouse, database=DATABASE, exhibits=[exhibit]
    ) as place:
        workers = two(place)
        asa, surveys, half_hour = {}, {}, {}
        for day in sorted({told.day for told in STORY} | {0.25, 33, 34}):
            if day in CORRECTED_ON:
                for worker in workers:
                    worker.kill()
                workers = two(place)
            live(place, workers, day)
            asa[day], _ = stored(client, "all")
            if day in (0.25, *CORRECTED_ON):
                surveys[day], _ = stored(client, "all", "csat_top_box")
            half_hour[day] = stored(client, "tumbling")
        said = [place.command("recompute", "--exhibit", str(exhibit)) for _ in range(2)]
        told = place.command("audit", "--exhibit", str(exhibit), "--json")
        late = sum(
            value
            for worker in workers
            for (name, _), value in worker.metrics().items()
            if name == "cx_late_records_total"
        )
        return Run(
            asa, surveys, half_hour, stored(client, "tumbling"), said, json.loads(told), late
        )


def two(place: Site) -> list[Process]:
    """Two workers that share the partitions."""
    workers = [place.worker(), place.worker()]
    wait_for(lambda: all(map(owned, workers)), "both workers to own partitions", 180)
    return workers


def owned(worker: Process) -> float:
    """Partitions of interactions that a worker has."""
    return worker.metric("cx_owned_partitions", stage="lifecycle")


def live(place: Site, workers: list[Process], day: float) -> None:
    """Let a day's events come, and time pass."""
    for told in STORY:
        if told.day == day:
            body = EVENT_ADAPTER.dump_json(event(told.row, 0), exclude_none=True)
            place.produce(body, told.row["interaction_id"].encode())
    place.flush()
    place.drain(120, alive=workers)
    for second in (1, 2, 3):
        place.pass_time(START_MS + round(day * DAY) * 1_000 + second * 1_000)
    place.drain(120, alive=workers)


def stored(client: Client, kind: str, kpi: str = "asa") -> tuple[Fraction, str]:
    """The mean speed of answer, or another KPI, over everything or in the half hour; its state."""
    rows = client.query(
        "SELECT numerator, denominator, state FROM kpi_values FINAL "
        "WHERE `as` = {kpi:String} AND dimensions['queue'] = '*' AND window_kind = {kind:String} "
        "AND (window_kind = 'all' OR window_size = '30m' "
        "AND window_start = parseDateTime64BestEffort({start:String}, 3, 'UTC'))",
        parameters={"kind": kind, "start": HALF_HOUR, "kpi": kpi},
    ).result_rows
    ((numerator, denominator, state),) = rows
    return (numerator, denominator), state


def test_corrections_of_any_age_give_the_right_value(run: Run) -> None:
    assert set(CORRECTED_ON) <= {told.day for told in STORY} <= set(run.asa)
    assert {day: run.asa[day] for day in ASA} == ASA
    # The survey of day 29 is what k2 is counted for; what came on day 45 is late.
    assert run.surveys == {**dict.fromkeys((0.25, 0.5, 1.5, 8), (0, 0)), 29: (1, 1), 45: (1, 1)}


def test_a_bucket_the_stream_has_let_go_is_computed_again(run: Run) -> None:
    before = run.in_the_half_hour
    assert before[29] == ((102_000, 4), "restated")
    assert before[45] == ((102_000, 4), "restated")
    assert run.recomputed == ((107_000, 4), "restated")
    assert "restated" in run.said[0]
    assert run.said[1] == "ages: nothing is left to be computed again\n"


def test_late_records_are_counted_and_in_neither_side(run: Run, client: Client) -> None:
    rows = client.query("SELECT interaction_id, event_id FROM late_records FINAL").result_rows
    assert sorted(rows) == sorted(LATE)
    assert run.late == 4
    assert run.report["passed"], run.report
    assert run.report["uncounted"] == 4
