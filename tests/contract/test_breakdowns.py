"""KPIs side by side in SQL of dashboards, against the functions of the stream, on random facts."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from pipeline.kpi import catalogue
from pipeline.kpi.catalogue import CompiledKpi
from pipeline.kpi.stats import value, wilson
from pipeline.ops.breakdowns import GOVERNANCE, WORK, Breakdown, breakdowns
from pipeline.ops.files import shipped_exhibit
from schemas.facts import Fact
from tests.integration.warehouse import client_of, load_facts
from tests.support.streamed import random_facts

pytestmark = pytest.mark.clickhouse

TO_MS = 1_772_452_800_000
FROM_MS = TO_MS - 6 * 86_400_000


def in_stream(
    shown: Breakdown, kpi: CompiledKpi, facts: list[Fact]
) -> dict[tuple[str, ...], tuple[int, int, int]]:
    """Numerator, denominator and rows of a KPI, by dimensions."""
    part = kpi.part
    found: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0, 0])
    for fact in facts:
        at_ms = part.time(fact, TO_MS)
        cell = tuple(getattr(fact.header, name) for name in shown.dimensions)
        if at_ms is None or fact.header.direction != "inbound" or not any(cell):
            continue
        weight = 1
        if part.until is not None:
            end_ms = part.until(fact, TO_MS)
            end_ms = TO_MS if end_ms is None else end_ms
            if end_ms <= FROM_MS:
                continue
            weight = max(min(end_ms, TO_MS) - max(at_ms, FROM_MS), 0)
        elif at_ms < FROM_MS:
            continue
        if at_ms < TO_MS and part.of(fact, TO_MS):
            numerator = part.numerator(fact, TO_MS)
            assert numerator is not None
            sums = (numerator * weight, part.denominator(fact, TO_MS) * weight, 1)
            found[cell] = [a + b for a, b in zip(found[cell], sums, strict=True)]
    return {cell: (n, d, rows) for cell, (n, d, rows) in found.items()}


@pytest.mark.parametrize("name", ["site", "vendor", "model"])
def test_what_sql_says_is_what_the_stream_counts(clickhouse, name):
    loaded = catalogue.load()
    shown = breakdowns({one: loaded.compile(one) for one in (*WORK, *GOVERNANCE)})[name]
    facts = random_facts(5, 400, TO_MS)
    sql = shown.sql(shipped_exhibit())
    for macro, at_ms in (("$__fromTime_ms", FROM_MS), ("$__toTime_ms", TO_MS)):
        sql = sql.replace(macro, f"fromUnixTimestamp64Milli({at_ms})")
    database = f"breakdown_{name}"
    with client_of(clickhouse, "default") as client:
        client.command(f"CREATE DATABASE {database}")
        load_facts(client, database, facts)
    with client_of(clickhouse, database) as client:
        rows: dict[tuple[str, ...], dict[str, Any]] = {
            tuple(row[dimension] for dimension in shown.dimensions): row
            for row in client.query(sql).named_results()
        }
    for kpi in shown.kpis:
        told = in_stream(shown, kpi, [fact for _, fact in facts[kpi.part.fact]])
        assert told, kpi.id
        assert told.keys() <= rows.keys()
        for cell, row in rows.items():
            numerator, denominator, count = told.get(cell, (0, 0, 0))
            if kpi.unit == "count":
                assert row[kpi.title] == numerator
                continue
            wanted = value(kpi.unit, numerator, denominator)
            expected = None if wanted is None else pytest.approx(wanted)
            assert row[kpi.title] == expected, (kpi.id, cell, numerator, denominator, count)
            n = denominator if kpi.part.until is None else count
            assert row[f"n, {kpi.title}"] == n
            # Milliseconds of one stretch are no trials of their own.
            if kpi.part.until is not None:
                assert f"95 %, {kpi.title}" not in row
            elif kpi.unit == "ratio" and kpi.proportion:
                ends = wilson(numerator, denominator)
                text = row[f"95 %, {kpi.title}"]
                if ends is None:
                    assert text is None
                else:
                    low, high = (float(one) for one in text.removesuffix(" %").split(" to "))
                    assert (low, high) == pytest.approx([100 * end for end in ends], abs=0.051)
