"""Every fact that the stages make, against the lifecycle in SQL: all columns of all rows.

KPIs add up rows, so a mistake of two rows can cancel out in them; here none can.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from pipeline.audit.lifecycle import lifecycle
from pipeline.kpi import catalogue
from pipeline.kpi.plan import Plan
from pipeline.kpi.warehouse.names import view_of
from schemas.facts import FACT_KINDS, columns
from schemas.interaction import EVENT_ADAPTER
from tests.audit.center import DAY_MS, START_MS, bodies, store, week
from tests.golden.table import read
from tests.integration.warehouse import client_of
from tests.properties import stories
from tests.properties.world import Row, World
from tests.support.services import clickhouse_server

pytestmark = pytest.mark.clickhouse

EXAMPLES = Path(__file__).parents[1] / "golden" / "examples"
MINUTE_MS = 60_000
Restarts = Sequence[tuple[str, int]]


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with clickhouse_server() as server, client_of(server, "default") as found:
        yield found


def of_stages(told: Sequence[bytes], clock_ms: int, restarts: Restarts) -> list[Row]:
    world = World(Plan([], catalogue.load()), 1)
    for source, at_ms in restarts:
        world.restart(source, at_ms)
    for body in told:
        world.say(EVENT_ADAPTER.validate_json(body))
    # Rates go round by the log: they are known before time freezes what they price.
    world.run()
    world.tick(clock_ms)
    world.run()
    return world.facts()


def differences(
    client: Client, told: Sequence[bytes], clock_ms: int, restarts: Restarts = ()
) -> tuple[dict[str, list[tuple[Any, ...]]], Counter[str]]:
    """Rows on one side only, by kind of fact, and how many rows of each kind there are.

    Rows of interactions that SQL does not claim to understand are left out.
    """
    known = [b for b in told if _at_ms(EVENT_ADAPTER.validate_json(b).occurred_at) <= clock_ms]
    store(client, "events", told, restarts)
    lifecycle(client, "events", "facts", clock_ms)
    facts = of_stages(known, clock_ms, restarts)
    client.database = "facts"
    try:
        rows = client.query("SELECT interaction_id FROM not_understood").result_rows
        left_out = {row[0] for row in rows}
        found, count = {}, Counter[str]()
        for kind in FACT_KINDS:
            told_columns = columns(kind)
            names = [column.name for column in told_columns]
            blanks = {c.name: None if c.nullable else c.type() for c in told_columns}
            listed = ", ".join(f"`{name}`" for name in names)
            query = f"SELECT {listed} FROM {view_of(kind)}"  # noqa: S608
            computed = Counter(tuple(row) for row in client.query(query).result_rows)
            streamed = Counter(
                tuple(fact.get(name, blanks[name]) for name in names)
                for fact in facts
                if fact["kind"] == kind
            )
            count[kind] = streamed.total()
            different = [*(streamed - computed), *(computed - streamed)]
            if wrong := [row for row in different if row[0] not in left_out]:
                found[kind] = wrong
    finally:
        client.database = "default"
    return found, count


def _at_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


@pytest.mark.parametrize("days_known", [3.37, 9.0])
def test_facts_of_a_week_are_equal(client: Client, days_known: float) -> None:
    """At the end, and in the middle of it, when much is open and half of it still to come."""
    clock_ms = START_MS + int(days_known * DAY_MS)
    different, count = differences(client, bodies(week(500)), clock_ms)
    assert different == {}
    assert set(count) == set(FACT_KINDS)


def test_facts_of_worked_examples_are_equal(client: Client) -> None:
    events = [
        event
        for file in sorted(EXAMPLES.glob("*.md"))
        for step in read(file).steps
        if isinstance(step, list)
        for event in step
    ]
    clock = max(datetime.fromisoformat(event["occurred_at"]) for event in events)
    different, count = differences(client, bodies(events), _at_ms(clock + timedelta(days=40)))
    assert different == {}
    assert set(count) == set(FACT_KINDS)


def random_contacts(number: int) -> list[bytes]:
    """Plausible contacts, each of one of a few customers."""
    rows: list[dict[str, Any]] = []
    names = iter(range(1_000_000))

    @seed(number)
    @settings(
        max_examples=200, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.data())
    def collect(data: st.DataObject) -> None:
        rows.extend(data.draw(stories.contacts(f"k{next(names)}")))

    collect()
    rows.sort(key=lambda row: row["at"])
    events = [stories.event(row, place) for place, row in enumerate(rows)]
    return [EVENT_ADAPTER.dump_json(event, exclude_none=True) for event in events]


def test_facts_of_a_platform_that_restarts_are_equal(client: Client) -> None:
    """Open contacts are lost at a restart; what comes after it goes on or begins anew."""
    start_ms = _at_ms(stories.START)
    restarts = [("story", start_ms + minutes * MINUTE_MS) for minutes in (30, 61, 4_000)]
    different, count = differences(client, random_contacts(7), start_ms + 5 * DAY_MS, restarts)
    assert different == {}
    assert count["handling_segment"] > 100
