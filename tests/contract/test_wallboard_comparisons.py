"""What the wallboard shows beside a value: the same time last week, and the forecast."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pipeline.kpi import catalogue
from schemas.exhibit_file import load_exhibit
from sinks.wallboard.comparisons import Comparer, Span, last_week
from sinks.wallboard.frames import Compared, LastWeek, Selection
from sinks.wallboard.stream import Stream
from tests.support.wallboard import NOON_MS, Shown, value

HALF_HOUR_MS = 1_800_000
WEEK_MS = 7 * 86_400_000
BERLIN = load_exhibit("""
exhibit: berlin
time_zone: Europe/Berlin
windows: [5m, 1h, today, {tumbling: 30m}, {tumbling: 15m}, all]
kpis: [{kpi: offered}]
""")


def ms(*parts: int) -> int:
    return round(datetime(*parts, tzinfo=UTC).timestamp() * 1000)


def test_whole_buckets_that_end_before_the_same_time_a_week_ago():
    # 12:10 in Berlin on 9 March: 11:10 UTC. A week before, in quarter hours: 10:00 to 11:00 UTC.
    clock_ms = ms(2026, 3, 9, 11, 10)
    week = ms(2026, 3, 2, 10, 0), ms(2026, 3, 2, 11, 0)
    assert last_week(BERLIN, "1h", clock_ms) == Span("15m", *week)
    # Berlin's day began at 23:00 UTC.
    day = ms(2026, 3, 1, 23, 0), ms(2026, 3, 2, 11, 0)
    assert last_week(BERLIN, "today", clock_ms) == Span("15m", *day)
    assert last_week(BERLIN, "5m", clock_ms) is None  # shorter than any bucket
    assert last_week(BERLIN, "all", clock_ms) is None


def test_the_same_hour_on_the_wall_after_clocks_were_put():
    # 12:10 on 30 March is 10:10 UTC, summer time; 12:10 on 23 March was 11:10 UTC.
    clock_ms = ms(2026, 3, 30, 10, 10)
    week = ms(2026, 3, 23, 10, 0), ms(2026, 3, 23, 11, 0)
    assert last_week(BERLIN, "1h", clock_ms) == Span("15m", *week)


def bucket(name: str, start_ms: int, numerator: int, denominator: int | None, **given):
    told = {
        "key": f"{name}{start_ms}", "exhibit": "desk", "exhibit_version": 1, "kpi": name,
        "as": name,
        "attribution": "arrival", "window_kind": "tumbling", "window_size": "30m",
        "window_start": datetime.fromtimestamp(start_ms / 1000, UTC),
        "window_end": datetime.fromtimestamp(start_ms / 1000 + 1800, UTC),
        "dimensions": {"queue": "*"}, "state": "final", "numerator": numerator,
        "denominator": denominator, "value": 0.0, "version": 1, **given,
    }  # fmt: skip
    return list(told.values()), list(told)


@pytest.mark.clickhouse
async def test_last_week_and_the_forecast_stand_beside_the_value(migrated, settings):
    before_ms = NOON_MS - WEEK_MS
    first, second = before_ms - 2 * HALF_HOUR_MS, before_ms - HALF_HOUR_MS
    rows = [
        bucket("abandon_rate", first, 1, 10),
        bucket("abandon_rate", second, 3, 10),
        bucket("offered", first, 10, None),
        bucket("offered", second, 14, None),
        bucket("offered", before_ms, 99, None),  # later than this time of the day
        bucket("offered", second, 5, None, key="q", dimensions={"queue": "sales"}),
    ]
    await migrated.insert("kpi_values", [row for row, _ in rows], column_names=rows[0][1])
    columns = ("fact_id", "version", "deleted", "queue", "channel", "direction", "plan_id", "plan",
               "starts_ms", "ends_ms", "told_ms", "value_micro")  # fmt: skip
    hour = (NOON_MS - HALF_HOUR_MS, NOON_MS + HALF_HOUR_MS)
    plans = [
        ("a", 1, 0, "sales", "voice", "inbound", "a", "forecast", *hour, 1, 30_000_000),
        ("b", 1, 0, "sales", "voice", "inbound", "b", "forecast", *hour, 2, 20_000_000),
        ("c", 1, 0, "care", "voice", "inbound", "c", "forecast", *hour, 1, 4_000_000),
        ("d", 1, 0, "care", "voice", "inbound", "d", "required", *hour, 1, 7_000_000),
    ]
    await migrated.insert("facts_plan", plans, column_names=columns)
    shown = Shown()
    shown.put(value("offered", 7), value("abandon_rate", 0.1))
    shown.tick()
    stream = Stream(shown.board)
    stream.open(Selection())
    comparer = Comparer(settings, catalogue.load(), shown.board, stream)
    try:
        shown.board.compare(await comparer.read())
    finally:
        await comparer.close()
    tiles = {tile.name: tile for tile in shown.board.frame(Selection()).sections[0].tiles}
    # (1 + 3) of (10 + 10); 10 + 14 contacts.
    assert tiles["abandon_rate"].compared == Compared(LastWeek(0.2, first, before_ms))
    # Of two forecasts for sales the later word, 20, counts; half of its hour has passed: 10 + 2.
    assert tiles["offered"].compared == Compared(LastWeek(24, first, before_ms), 12.0)
