"""The SQL that the KPI reference prints, run in ClickHouse on facts that the stages made."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

import msgspec
import pytest
from clickhouse_connect.driver import AsyncClient

from pipeline.docs.kpis import FOLDER
from pipeline.kpi import catalogue
from pipeline.replay.run import Job, Result, replay
from pipeline.simulator import Simulator, SimulatorConfig
from pipeline.stages.intake import Source
from schemas.exhibit_file import load_exhibit
from schemas.platforms import find_platform
from schemas.topics import FACTS
from schemas.values import ExhibitValue
from sinks.clickhouse import migrate
from sinks.clickhouse.client import connect
from sinks.clickhouse.rows import COLUMNS, rows
from sinks.clickhouse.writer import ClickHouseWriter
from tests.docs.page import ROOT
from tests.support.services import clickhouse_server, clickhouse_settings

START_MS = 1_772_442_000_000
MINUTE_MS = 60_000
KPIS = list(catalogue.load().definitions)
EXHIBIT = f"""
exhibit: everything
where: {{direction: ["*"]}}
windows: [all]
kpis: [{", ".join(f"{{kpi: {name}}}" for name in KPIS)}]
"""

pytestmark = pytest.mark.clickhouse


class _Record:
    """A record of ``cx.facts`` as the sink reads it."""

    topic = FACTS
    key = b""
    partition = offset = timestamp = 0
    headers = ()

    def __init__(self, value: bytes) -> None:
        self.value = value


def printed() -> dict[str, str]:
    """SQL by KPI, as the pages have it."""
    found = {}
    for name in KPIS:
        page = (ROOT / FOLDER / f"{name}.md").read_text("utf-8")
        for sql in re.findall(r"```sql\n(.*?)\n```", page, re.DOTALL):
            found[name] = sql
    return found


@pytest.fixture(scope="module")
def server() -> Iterator:
    with clickhouse_server() as running:
        yield running


async def replayed(tmp_path) -> Result:
    config = SimulatorConfig(events_per_second=4.0, daily_curve=(1.0,) * 24, keep_truth=False)
    center = Simulator(config, 11, START_MS, "docs")
    file = tmp_path / "center.jsonl"
    events = list(center.generate(START_MS + 20 * MINUTE_MS))
    file.write_bytes(b"".join(msgspec.json.encode(event) + b"\n" for event in events))
    platform = find_platform("interactions")
    job = Job(
        files=[file],
        source=Source(platform, platform.options()),
        exhibits=[load_exhibit(EXHIBIT)],
        as_of=START_MS + 20 * MINUTE_MS,
    )
    return await replay(replace(job, keep_facts=True))


async def store(client: AsyncClient, writer: ClickHouseWriter, facts: list[dict]) -> None:
    await migrate.apply(client)
    tables = defaultdict(list)
    for fact in facts:
        for row in rows(_Record(msgspec.json.encode(fact))):
            tables[row.table].append(row.values)
    for table, found in tables.items():
        await writer.insert(table, COLUMNS[table], found)


def test_every_kpi_has_its_sql_on_its_page():
    assert list(printed()) == KPIS


async def test_the_printed_sql_gives_the_streamed_sums(tmp_path, server):
    result = await replayed(tmp_path)
    settings = clickhouse_settings(server, "docs")
    streamed: dict[str, ExhibitValue] = {}
    for value in result.values:
        # Of a cohort the reading of mature contacts is the one that the page's SQL gives.
        if value.attribution != "cohort-final" or value.state == "final":
            streamed[value.name] = value
    assert streamed.keys() == set(KPIS)
    compiled = [catalogue.load().compile(name) for name in KPIS]
    maps = {kpi.id for kpi in compiled if any(part.aggregate == "map" for part in kpi.parts)}
    asked: dict[str, tuple[int | None, int | None]] = {}
    async with (
        await connect(settings, create_database=True) as client,
        ClickHouseWriter(settings) as writer,
    ):
        await store(client, writer, result.facts)
        for name, sql in printed().items():
            if name in maps:  # a row a key, which is read outside of SQL
                continue
            found = await client.query(sql, parameters={"as_of_ms": START_MS + 20 * MINUTE_MS})
            asked[name] = found.first_row
    compiled = [catalogue.load().compile(name) for name in asked]
    gauges_and_extremes = {
        kpi.id
        for kpi in compiled
        if kpi.gauge
        or kpi.reads == "time_average"
        or any(part.aggregate != "sum" for part in kpi.parts)
    }
    for name in sorted(asked.keys() - gauges_and_extremes):
        told = streamed[name]
        assert asked[name] == (told.numerator, told.denominator), name
    for name in sorted(gauges_and_extremes):
        # What has no denominator, or one of another meaning, is compared by its numerator.
        assert asked[name][0] == streamed[name].numerator, name
    counted = [name for name, (_, n) in asked.items() if n]
    assert len(counted) >= 30
    assert (asked["offered"][0], asked["asa"][1]) == (
        streamed["offered"].value,
        streamed["asa"].n,
    )
