from __future__ import annotations

import pytest

from pipeline.kpi import catalogue
from schemas.exhibit_file import load_exhibit
from schemas.values import WindowRef
from sinks.wallboard.rows import rows_query
from tests.support.wallboard import DESK, value

HOUR = WindowRef("sliding", "1h", "2026-03-02T11:00:00Z", "2026-03-02T12:00:00Z")


def query(name, **given):
    (entry,) = (entry for entry in DESK.kpis if entry.name == name)
    kpi = catalogue.load().compile(entry.kpi, entry.parameters)
    return rows_query(DESK, kpi, value(name, 0.5, window=HOUR, **given))


def test_window_cell_and_clock_are_parameters():
    found = query("abandon_rate", queue="sales")
    assert found.parameters == {
        "dimension_queue": "sales",
        "as_of_ms": 1_772_452_800_000,  # 2026-03-02T12:00:00Z
        "start_ms": 1_772_449_200_000,
        "end_ms": 1_772_452_800_000,
    }
    assert "queue = {dimension_queue:String}" in found.sql
    assert found.sql.endswith("LIMIT 100")


def test_a_total_is_not_narrowed():
    assert "dimension_queue" not in query("abandon_rate").sql


@pytest.mark.parametrize("queue", ["' OR 1 = 1 --", "{as_of_ms:Int64}", "\\'; DROP TABLE x"])
def test_no_value_of_a_cell_becomes_sql(queue):
    assert query("abandon_rate", queue=queue).sql == query("abandon_rate", queue="sales").sql


def test_a_pattern_of_an_exhibit_is_quoted():
    exhibit = load_exhibit('exhibit: desk\nwhere: {queue: ["it\'s*"]}\nkpis: [{kpi: asa}]\n')
    kpi = catalogue.load().compile("asa")
    sql = rows_query(exhibit, kpi, value("asa", 1.0, dimensions={}, window=HOUR)).sql
    assert "queue LIKE 'it''s%'" in sql or "queue LIKE 'it\\'s%'" in sql


def test_the_telling_rows_come_first():
    assert "ORDER BY numerator DESC, at_ms DESC" in query("abandon_rate").sql  # lower is better
    assert "ORDER BY numerator, at_ms DESC" in query("sl_80_20").sql  # higher is better
    assert "ORDER BY at_ms DESC" in query("offered").sql
