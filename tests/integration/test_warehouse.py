"""The same facts through panes and merge, and through SQL in ClickHouse: equal in every cell.

Every KPI of the catalogue is asked in random exhibits, and definitions of each form that an
expression can have, whether or not the catalogue has such a KPI.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.audit.values import Cell, Numbers, computed, differences
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.kpi import catalogue
from pipeline.kpi.plan import Plan
from pipeline.kpi.warehouse import query
from schemas.exhibit import Exhibit
from schemas.exhibit_file import load_exhibit
from schemas.facts import Fact
from tests.integration.warehouse import client_of, load_facts
from tests.support.streamed import Live, random_facts

pytestmark = pytest.mark.clickhouse

AS_OF_MS = 1_774_746_000_000
"""2026-03-29, 01:00 UTC: the hour in which clocks go forward in Berlin."""
HOUR_MS = 3_600_000
FACTS_A_KIND = 60

FORMS = """
- id: form_staffed
  version: 1
  title: Time in a state
  unit: seconds
  direction: none
  fact: performer_state
  attribution: clip
  time: entered_ms
  until: left_ms
  of: state <> 'offline'
  denominator: null
  source: []
  traps: x
- id: form_share_available
  version: 1
  title: Share of time that is available
  unit: ratio
  direction: none
  fact: performer_state
  attribution: clip
  time: entered_ms
  until: left_ms
  numerator: state = 'available'
  source: []
  traps: x
- id: form_wait_percentile
  version: 1
  title: Percentile of waits
  unit: seconds
  direction: lower
  fact: queue_segment
  attribution: arrival
  time: entered_ms
  of: wait_ms IS NOT NULL
  aggregate: map
  key: BIN(wait_ms)
  reads: percentile
  parameters:
    percentile: {type: number, default: 90, minimum: 0, maximum: 100, help: x}
  source: []
  traps: x
- id: form_patience
  version: 1
  title: Median patience
  unit: seconds
  direction: none
  fact: queue_segment
  attribution: event
  time: left_ms
  of: wait_ms IS NOT NULL
  aggregate: map
  key: BIN(wait_ms)
  numerator: outcome = 'abandoned'
  reads: median_survival
  source: []
  traps: x
- id: form_fairness
  version: 1
  title: Lowest over highest rate of answers
  unit: ratio
  direction: higher
  proportion: false
  fact: queue_segment
  attribution: arrival
  time: entered_ms
  aggregate: map
  key: language
  numerator: outcome = 'answered'
  reads: least_ratio
  parameters:
    min_n: {type: int, default: 2, minimum: 1, maximum: 100, help: x}
  source: []
  traps: x
- id: form_version_difference
  version: 1
  title: Difference of two versions
  unit: ratio
  direction: higher
  fact: handling_segment
  attribution: arrival
  time: accepted_ms
  aggregate: map
  key: model_version
  numerator: bot_outcome = 'resolved'
  reads: difference
  parameters:
    baseline: {type: enum, allowed: [a, "it's"], default: a, help: x}
    candidate: {type: enum, allowed: [answered, waiting], default: answered, help: x}
  source: []
  traps: x
- id: form_intent_drift
  version: 1
  title: Drift of intents
  unit: score
  direction: lower
  fact: interaction
  attribution: arrival
  time: started_ms
  aggregate: map
  key: intent
  reads: psi
  parameters:
    baseline_days: {type: int, default: 3, minimum: 1, maximum: 30, help: x}
  source: []
  traps: x
- id: form_utilisation
  version: 1
  title: Work over time of work
  unit: ratio
  direction: none
  proportion: false
  attribution: clip
  parts:
    work: {fact: handling_segment, time: accepted_ms, until: left_ms, of: performer_kind = 'human'}
    paid: {fact: performer_state, time: entered_ms, until: left_ms, of: state <> 'offline'}
  numerator: work
  denominator: paid
  source: []
  traps: x
- id: form_unserved
  version: 1
  title: Entries beyond what was accepted, by quarter of an hour
  unit: count
  direction: lower
  attribution: arrival
  grid: 15m
  parts:
    entered: {fact: queue_segment, time: entered_ms}
    accepted: {fact: handling_segment, time: accepted_ms, of: performer_kind = 'human'}
  numerator: ABS(entered - accepted)
  denominator: null
  source: []
  traps: x
- id: form_idle_gap
  version: 1
  title: Difference of paid and worked time, by quarter of an hour
  unit: seconds
  direction: lower
  attribution: clip
  grid: 15m
  parts:
    work: {fact: handling_segment, time: accepted_ms, until: left_ms, of: performer_kind = 'human'}
    paid: {fact: performer_state, time: entered_ms, until: left_ms, of: state <> 'offline'}
    entered: {fact: queue_segment, time: entered_ms}
  numerator: ABS(paid - work) + entered
  denominator: null
  source: []
  traps: x
- id: form_forecast_error
  version: 1
  title: Error over entries, by hour
  unit: ratio
  direction: lower
  proportion: false
  attribution: arrival
  grid: 1h
  parts:
    entered: {fact: queue_segment, time: entered_ms}
    accepted: {fact: handling_segment, time: accepted_ms}
  numerator: ABS(entered - accepted)
  denominator: entered
  source: []
  traps: x
"""
CATALOGUE = catalogue.Catalogue(
    (*catalogue.load().definitions.values(), *catalogue.parse(FORMS, "service"))
)


def streamed(
    exhibit: Exhibit, facts: dict[str, list[tuple[str, Fact]]], as_of_ms: int
) -> dict[Cell, Numbers]:
    """Values as the stages make them: shares of several sources, merged at the clock."""
    live = Live(exhibit, facts, CATALOGUE)
    live.tick(as_of_ms)
    live.publish(everything=True)
    return live.values


@pytest.fixture(scope="module")
def client(clickhouse: EmbeddedClickHouse) -> Iterator[Client]:
    with client_of(clickhouse, "default") as found:
        yield found


SEEDS = (1, 2)
FACTS = {seed: random_facts(seed, FACTS_A_KIND, AS_OF_MS) for seed in SEEDS}


@pytest.fixture(scope="module")
def stored(client: Client) -> Client:
    for seed, facts in FACTS.items():
        load_facts(client, f"facts_{seed}", facts)
    return client


def check(client: Client, text: str, seed: int, as_of_ms: int = AS_OF_MS) -> int:
    """Compare one exhibit; the count of its cells."""
    exhibit = load_exhibit(text)
    plan = Plan([exhibit], CATALOGUE).exhibits[0]
    expected = computed(client, plan, f"facts_{seed}", "computed", as_of_ms)
    found = streamed(exhibit, FACTS[seed], as_of_ms)
    different = differences(found, expected)
    told = "\n".join(f"{cell}: {pair}" for cell, pair in sorted(different.items())[:12])
    names = sorted({f"{cell.name}/{cell.kind}/{cell.size}" for cell in different})
    assert not different, f"{len(different)} of {len(found)} differ: {names}\n{told}"
    return len(found)


ALL_WINDOWS = (
    "[5m, 15m, 30m, 1h, today, all, {tumbling: 15m}, {tumbling: 30m}, {tumbling: 1h},"
    " {tumbling: day}]"
)


@pytest.mark.parametrize("kpi_id", CATALOGUE.definitions)
def test_every_kpi_in_every_window(stored: Client, kpi_id: str) -> None:
    text = f"""
    exhibit: one
    time_zone: Europe/Berlin
    where: {{direction: ["*"]}}
    by: [queue]
    windows: {ALL_WINDOWS}
    kpis: [{{kpi: {kpi_id}}}]
    """
    assert check(stored, text, 1) > 3


HOURS = '{mon-fri: "08:00-18:00", sat: ["09:00-12:00", "13:00-15:00"], holidays: [2026-03-27]}'


def _attributions() -> list[tuple[str, str | None]]:
    return [
        (name, attribution)
        for name, definition in CATALOGUE.definitions.items()
        for attribution in definition.attributions
    ]


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_random_exhibits(stored: Client, data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(_attributions()), min_size=3, max_size=9))
    kpis = ", ".join(
        f"{{kpi: {kpi}, as: k{i}, attribution: {attribution}}}"
        for i, (kpi, attribution) in enumerate(chosen)
    )
    sizes = data.draw(st.lists(st.sampled_from(["15m", "30m", "1h", "day"]), unique=True))
    moving = data.draw(
        st.lists(
            st.sampled_from(["5m", "15m", "30m", "1h", "today", "all"]), min_size=1, unique=True
        )
    )
    windows = ", ".join([*moving, *(f"{{tumbling: {size}}}" for size in sizes)])
    by = data.draw(st.sampled_from(["[]", "[queue]", "[queue, channel]"]))
    where = data.draw(
        st.sampled_from(["{}", '{direction: ["*"], channel: [voice]}', "{queue: 's*'}"])
    )
    zone = data.draw(st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns"]))
    hours = data.draw(st.sampled_from(["", f"business_hours: {HOURS}"]))
    text = (
        f"exhibit: random\ntime_zone: {zone}\nwhere: {where}\nby: {by}\n"
        f"windows: [{windows}]\n{hours}\nkpis: [{kpis}]\n"
    )
    shift_ms = data.draw(st.sampled_from([0, 17_000, 12 * HOUR_MS + 61_000]))
    check(stored, text, data.draw(st.sampled_from(SEEDS)), AS_OF_MS + shift_ms)


@pytest.mark.parametrize("kpi_id", CATALOGUE.definitions)
def test_the_sql_for_reading_gives_the_value_of_all_time(stored: Client, kpi_id: str) -> None:
    text = (
        f"{{exhibit: one, where: {{direction: ['*']}}, windows: [all], kpis: [{{kpi: {kpi_id}}}]}}"
    )
    kpi = CATALOGUE.compile(kpi_id)
    found = streamed(load_exhibit(text), FACTS[1], AS_OF_MS)
    (told,) = (numbers for cell, numbers in found.items() if cell.reading != "provisional")
    stored.database = "facts_1"
    try:
        result = stored.query(query(kpi), parameters={"as_of_ms": AS_OF_MS})
    finally:
        stored.database = "default"
    row = dict(zip(result.column_names, result.first_row, strict=True))
    if kpi.reads == "psi":
        # All time has no days before it; the SQL compares the day of the clock.
        text = text.replace("all", "today")
        found = streamed(load_exhibit(text), FACTS[1], AS_OF_MS)
        (told,) = found.values()
        assert row["value"] == pytest.approx(told.value, rel=1e-9)
        return
    assert (row["numerator"] or 0) == (told.numerator or 0)
    extreme = kpi.combination is None and kpi.part.aggregate in ("max", "min")
    if told.denominator is not None and not extreme:
        assert (row["denominator"] or 0) == told.denominator


@pytest.mark.parametrize("kpi_id", CATALOGUE.definitions)
def test_values_published_only_when_they_may_have_changed(stored: Client, kpi_id: str) -> None:
    text = f"""
    exhibit: live
    time_zone: Asia/Kathmandu
    by: [channel]
    windows: [5m, 1h, today, all, {{tumbling: 30m}}]
    kpis: [{{kpi: {kpi_id}}}]
    """
    exhibit = load_exhibit(text)
    live = Live(exhibit, FACTS[2], CATALOGUE)
    for step in range(25):
        live.tick(AS_OF_MS + step * 211_000)
        live.publish()
    plan = Plan([exhibit], CATALOGUE).exhibits[0]
    expected = computed(stored, plan, "facts_2", "computed", AS_OF_MS + 24 * 211_000)
    different = differences(live.values, expected)
    told = "\n".join(f"{cell}: {pair}" for cell, pair in sorted(different.items())[:12])
    assert not different, f"{len(different)} differ\n{told}"


def test_one_millisecond_is_a_difference(stored: Client) -> None:
    text = "{exhibit: one, windows: [all], kpis: [{kpi: asa}], where: {direction: ['*']}}"
    plan = Plan([load_exhibit(text)], CATALOGUE).exhibits[0]
    expected = computed(stored, plan, "facts_1", "computed", AS_OF_MS)
    kind, rows = "queue_segment", list(FACTS[1]["queue_segment"])
    place = next(i for i, (_, f) in enumerate(rows) if f.outcome == "answered" and f.wait_ms)
    name, fact = rows[place]
    rows[place] = (name, fact._replace(wait_ms=fact.wait_ms + 1))
    found = streamed(load_exhibit(text), {**FACTS[1], kind: rows}, AS_OF_MS)
    ((_, (one, other)),) = differences(found, expected).items()
    assert one is not None
    assert other is not None
    assert (one.numerator, one.denominator) == ((other.numerator or 0) + 1, other.denominator)
    assert not math.isclose(one.value or 0, other.value or 0, rel_tol=1e-9)
