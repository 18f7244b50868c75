"""Every exhibit value against two oracles that share nothing with the pipeline, after a SIGKILL.

A simulated center's events, each arriving up to a minute late and one in fifty twice, go through
two workers on a real Kafka. One of them is killed in the middle and started again. What is
published then equals

* ``recompute.sql``, which reads raw events in ClickHouse and nothing else, in every single cell;
* the simulator's own records of what it did, fixed before its events were shuffled.

``make test`` takes fewer events than ``make truth``; both run the same.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from clickhouse_connect.driver.client import Client
from confluent_kafka.admin import AdminClient

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.kafka import KafkaServer
from pipeline.simulator import Disorder, DisorderConfig, Simulator, SimulatorConfig, Summary
from pipeline.simulator.disorder import occurred_at_ms
from tests.integration.logs import QUIET
from tests.integration.process import Process, wait_for
from tests.integration.recompute import (
    COHORTS,
    ZONE,
    Cell,
    Fraction,
    differences,
    published,
    recomputed,
    told,
)
from tests.integration.site import Site, site
from tests.integration.warehouse import client_of

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]

EVENTS = int(os.environ.get("CXSTREAM_TRUTH_EVENTS", "60000"))
SEED = 7
START_MS = 1_740_996_000_000
"""2025-03-03, 10:00 UTC: long past on any machine, so that nothing is ahead of its record."""
HOURS = 30
"""Event time that the events take: two local days, and time for customers to come back."""
ALLOWANCE_MS = 168 * 3_600_000
AHEAD = 8_000
"""Records written before intake has taken them: the kill meets a pipeline that is busy."""
DATABASE = "truth"
EXHIBIT = Path(__file__).with_name("truth.yaml")


class Run(NamedTuple):
    """What two workers published, as of two moments, and what they were given."""

    clock_ms: int
    events: int
    records: int
    truth: Summary
    handled: tuple[float, float]
    owned: tuple[int, int]
    at_clock: dict[Cell, Fraction]
    at_allowance: dict[Cell, Fraction]


@pytest.fixture(scope="module")
def warehouse(clickhouse: EmbeddedClickHouse) -> Iterator[Client]:
    with client_of(clickhouse, "default") as client:
        client.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
    with client_of(clickhouse, DATABASE) as client:
        yield client


@pytest.fixture(scope="module")
def run(
    kafka: KafkaServer,
    clickhouse: EmbeddedClickHouse,
    warehouse: Client,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    center = Simulator(
        SimulatorConfig(events_per_second=EVENTS / (HOURS * 3600), daily_curve=(1.0,) * 24),
        SEED, START_MS, "truth",
    )  # fmt: skip
    events = center.take(EVENTS, START_MS + 10 * HOURS * 3_600_000)
    clock_ms = -(-occurred_at_ms(events[-1]) // 1000) * 1000
    events += center.generate(clock_ms)
    truth = center.truth.summary(clock_ms)
    disorder = Disorder(DisorderConfig(shuffle_within_ms=60_000, delayed_ratio=0.0), SEED)
    arriving = [
        (e["interaction_id"].encode(), msgspec.json.encode(e)) for e in disorder.stream(events)
    ]
    assert len(arriving) == len(events) + disorder.duplicates
    assert disorder.duplicates > len(events) / 60
    folder = tmp_path_factory.mktemp("truth")
    with site(
        kafka.bootstrap, folder, clickhouse=clickhouse, database=DATABASE, exhibits=[EXHIBIT]
    ) as place:
        pair = _Pair(place)
        pair.feed(arriving)
        place.drain(600, alive=pair.running)
        place.tick(clock_ms)
        place.drain(240, alive=pair.running)
        at_clock = published(warehouse)
        place.tick(clock_ms + ALLOWANCE_MS)
        place.drain(240, alive=pair.running)
        at_allowance = published(warehouse)
        handled = pair.handled()
        assert [process.stop() for process in pair.running] == [0, 0]
    return Run(
        clock_ms, len(events), len(arriving), truth, handled, pair.owned, at_clock, at_allowance
    )


class _Pair:
    """Two workers, of which the first is killed and started again while it is fed."""

    def __init__(self, place: Site) -> None:
        self._site = place
        self._admin = AdminClient({"bootstrap.servers": place.bootstrap, **QUIET})
        self._victim = place.worker()
        self._other = place.worker()
        self._before_kill = 0.0
        self._reborn: Process | None = None
        self.owned = wait_for(self._shared_out, "both workers to own partitions", 60)

    @property
    def running(self) -> list[Process]:
        return [self._reborn or self._victim, self._other]

    def _shared_out(self) -> tuple[int, int] | None:
        """Partitions of ``cx.interactions`` by member, once both members have some."""
        group = f"{self._site.prefix}-lifecycle"
        with suppress(Exception):
            found = self._admin.describe_consumer_groups([group])[group].result(10)
            owned = sorted(len(member.assignment.topic_partitions) for member in found.members)
            if len(owned) == 2 and min(owned) > 0 and sum(owned) == 4:
                return owned[0], owned[1]
        return None

    def feed(self, arriving: list[tuple[bytes, bytes]]) -> None:
        """Write everything, never far ahead of intake; kill one worker on the way."""
        records = iter(arriving)
        written = 0
        while chunk := list(itertools.islice(records, 1_000)):
            if self._reborn is None and written > 0.4 * len(arriving):
                self._kill_in_progress(chunk)
            else:
                self._write(chunk)
            written += len(chunk)
            wait_for(self._keeps_up, "intake to keep up", 180, 0.1)

    def _write(self, chunk: list[tuple[bytes, bytes]]) -> None:
        for key, value in chunk:
            self._site.produce(value, key)
        self._site.flush()

    def _keeps_up(self) -> bool:
        for process in self.running:
            assert process.running, process.tail()
        return self._site.lag("intake") < AHEAD

    def _kill_in_progress(self, chunk: list[tuple[bytes, bytes]]) -> None:
        """SIGKILL once both what the group committed and what the victim counts have moved on."""
        committed = sum(self._site.committed("lifecycle").values())
        counted = _records(self._victim)
        # Whoever has caught up makes no progress without something new.
        self._write(chunk)

        def moved() -> bool:
            self._before_kill = _records(self._victim)
            now = sum(self._site.committed("lifecycle").values())
            return now > committed and self._before_kill > counted

        wait_for(moved, "new progress of the worker to be killed", 60, 0.02)
        assert self._site.lag("intake") + self._site.lag("lifecycle") > 0
        self._victim.kill()
        self._reborn = self._site.worker()

    def handled(self) -> tuple[float, float]:
        """Records each has taken in and committed, by its own ``cx_records_total``.

        Those between the last look and the kill are missing, so the first number is at least this.
        """
        first, second = self.running
        return self._before_kill + _records(first), _records(second)


def _records(process: Process) -> float:
    return process.metric("cx_records_total", platform="interactions")


def test_both_workers_did_their_share_and_nothing_was_lost(run: Run, warehouse: Client) -> None:
    assert run.owned == (2, 2)
    assert min(run.handled) >= run.records / 5
    assert sum(run.handled) <= run.records
    ((rows, ids),) = warehouse.query("SELECT count(), uniqExact(event_id) FROM events").result_rows
    assert (rows, ids) == (run.events, run.events)


def test_values_equal_sql_over_raw_events(run: Run, warehouse: Client) -> None:
    expected = recomputed(warehouse, f"{DATABASE}.interaction_events", run.clock_ms, "at_clock")
    assert_counted(expected)
    different = differences(run.at_clock, expected)
    assert not different, told(different)


def test_values_equal_sql_once_every_cohort_is_mature(run: Run, warehouse: Client) -> None:
    as_of_ms = run.clock_ms + ALLOWANCE_MS
    expected = recomputed(warehouse, f"{DATABASE}.interaction_events", as_of_ms, "at_allowance")
    mature = {
        cell: fraction
        for cell, fraction in expected.items()
        if cell.reading == "final" and fraction[1]
    }
    assert len(mature) > 200
    for cell, fraction in mature.items():
        assert expected[cell._replace(reading="provisional")] == fraction
    different = differences(run.at_allowance, expected)
    assert not different, told(different)
    restated = {cell for cell in run.at_clock if run.at_clock[cell] != run.at_allowance.get(cell)}
    assert {cell.kind for cell in restated} >= {"all", "tumbling"}


def assert_counted(cells: dict[Cell, Fraction]) -> None:
    """Zeros on both sides would prove nothing: every KPI must count something somewhere."""
    counted = {cell.name for cell, (numerator, _) in cells.items() if numerator}
    assert {cell.name for cell in cells} - counted == set()
    assert len(cells) > 20_000


def test_values_equal_the_simulators_truth(run: Run) -> None:
    found = {}
    expected = {}
    for key, pair in run.truth.pairs.items():
        if key.channel != "*" or key.kpi.endswith("_human"):
            continue
        cell = Cell(
            key.kpi,
            "provisional" if key.kpi in COHORTS else "",
            "all" if key.bucket_ms is None else "tumbling",
            "" if key.bucket_ms is None else "15m",
            key.bucket_ms or 0,
            key.queue,
        )
        expected[cell] = (pair.numerator, pair.denominator)
    names = {cell.name for cell in expected}
    assert len(names) == 24
    assert len(expected) > 5_000
    for cell, fraction in run.at_clock.items():
        in_truth = cell.kind == "all" or cell.size == "15m"
        if cell.name in names and in_truth and cell.reading != "final" and fraction != (0, 0):
            found[cell] = fraction
    # What the truth counts as nothing has no entry there, and is 0 of 0 here.
    expected = {cell: fraction for cell, fraction in expected.items() if fraction != (0, 0)}
    different = differences(found, expected)
    assert not different, told(different)


def test_one_millisecond_in_one_event_is_found(run: Run, warehouse: Client) -> None:
    """Exactly the cells of that stint differ, each by one millisecond."""
    event = _end_of_wrap_up(warehouse, run.clock_ms)
    warehouse.command("DROP TABLE IF EXISTS planted")
    warehouse.command("CREATE TABLE planted AS interaction_events")
    columns = warehouse.query("SELECT * FROM interaction_events LIMIT 0").column_names
    names = ", ".join(f"`{name}`" for name in columns)
    warehouse.command(
        f"INSERT INTO planted ({names}) SELECT * REPLACE (if(event_id = {{id:String}},"  # noqa: S608
        " occurred_at + INTERVAL 1 MILLISECOND, occurred_at) AS occurred_at)"
        " FROM interaction_events FINAL",
        parameters={"id": event["event_id"]},
    )
    expected = recomputed(warehouse, f"{DATABASE}.planted", run.clock_ms, "at_planted")
    different = differences(run.at_clock, expected)
    assert set(different) == _touched(event, run.clock_ms)
    for found, planted in different.values():
        assert found is not None
        assert planted is not None
        assert (planted[0], planted[1]) == ((found[0] or 0) + 1, found[1])


def _end_of_wrap_up(warehouse: Client, clock_ms: int) -> dict[str, Any]:
    """The last work on a contact with one stint in one queue, on the day of the clock."""
    result = warehouse.query(
        "SELECT event_id, queue, occurred_at FROM events WHERE kind = 'wrapup_ended'"
        " AND occurred_at < fromUnixTimestamp64Milli({before:Int64}, 'UTC') - INTERVAL 5 MINUTE"
        " AND direction = 'inbound' AND interaction_id IN (SELECT interaction_id FROM events"
        "  GROUP BY interaction_id HAVING countIf(kind = 'accepted') = 1"
        "  AND countIf(kind = 'queued') = 1 AND countIf(kind = 'bot_started') = 0)"
        " ORDER BY occurred_at DESC LIMIT 1",
        parameters={"before": clock_ms},
    )
    (row,) = result.result_rows
    return dict(zip(result.column_names, row, strict=True))


def _touched(event: dict[str, Any], clock_ms: int) -> set[Cell]:
    moment: datetime = event["occurred_at"]
    at_ms = round(moment.timestamp() * 1000)
    assert at_ms % 900_000 < 899_999
    kolkata = timedelta(hours=5, minutes=30)
    assert ZONE == "Asia/Kolkata"
    local = moment.astimezone(UTC) + kolkata
    day = local.replace(hour=0, minute=0, second=0, microsecond=0) - kolkata
    day_ms = round(day.timestamp() * 1000)
    places = [
        ("all", "", 0),
        ("tumbling", "15m", at_ms - at_ms % 900_000),
        ("tumbling", "day", day_ms),
    ]
    if clock_ms - 3_600_000 <= at_ms:
        places.append(("sliding", "1h", 0))
    if day_ms <= clock_ms < day_ms + 86_400_000:
        places.append(("today", "", day_ms))
    return {
        Cell(name, "", *place, queue)
        for name in ("aht", "aht_interaction", "wrap_time", "wrap_time_with")
        for place in places
        for queue in (event["queue"], "*")
    }
