"""``cxstream exhibit report`` on values as the sink writes them."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.settings import ClickHouseSettings
from schemas.topics import KPIS
from schemas.values import ExhibitValue, WindowRef, encode_value
from sinks.clickhouse import migrate
from sinks.clickhouse.client import connect
from sinks.clickhouse.rows import COLUMNS, rows
from sinks.clickhouse.writer import ClickHouseWriter
from tests.support.services import clickhouse_server, clickhouse_settings

pytestmark = pytest.mark.clickhouse

CXSTREAM = Path(sys.executable).parent / "cxstream"
EXHIBIT = """\
exhibit: sales
time_zone: Europe/Berlin
windows: [{tumbling: day}]
kpis:
  - {kpi: asa, target: "<= 20", owner: OSP}
"""


class _Record:
    """A record of ``cx.kpis`` as the sink reads it."""

    topic = KPIS
    partition = offset = 0
    headers = ()

    def __init__(self, value: ExhibitValue, timestamp: int) -> None:
        self.key, self.value, self.timestamp = value.key, encode_value(value), timestamp


def value(start: str, end: str, numerator: int, n: int) -> ExhibitValue:
    return ExhibitValue(
        exhibit="sales", exhibit_version=1, kpi="asa", kpi_version=1, name="asa", parameters={},
        attribution="arrival", window=WindowRef("tumbling", "day", start, end), dimensions={},
        state="final", revision=0, as_of="2026-11-10T00:00:00Z", numerator=numerator, denominator=n,
        value=numerator / n / 1000, unit="seconds", n=n, low=None, high=None, target="<= 20",
        status="met",
    )  # fmt: skip


@pytest.fixture(scope="module")
def settings() -> Iterator[ClickHouseSettings]:
    with clickhouse_server() as running:
        yield clickhouse_settings(running, "report")


async def store(settings: ClickHouseSettings, *values: ExhibitValue) -> None:
    async with await connect(settings, create_database=True) as client:
        await migrate.apply(client)
    found = [
        row.values for version, one in enumerate(values, 1) for row in rows(_Record(one, version))
    ]
    async with ClickHouseWriter(settings) as writer:
        await writer.insert("kpi_values", COLUMNS["kpi_values"], found)


def reported(folder: Path, settings: ClickHouseSettings, period: str):
    (folder / "sales.yaml").write_text(EXHIBIT)
    return subprocess.run(
        [CXSTREAM, "exhibit", "report", "sales.yaml", "--period", period, "--out", "made",
         "--clickhouse", f"{settings.host}:{settings.port}"],
        cwd=folder, capture_output=True, text=True, check=False,
        env={
            **os.environ,
            "CXSTREAM_CLICKHOUSE_USER": settings.user,
            "CXSTREAM_CLICKHOUSE_PASSWORD": settings.password.get_secret_value(),
            "CXSTREAM_CLICKHOUSE_DATABASE": settings.database,
        },
    )  # fmt: skip


async def test_a_month_of_a_site_is_reported_from_its_newest_values(tmp_path, settings):
    first, second = ("2026-10-31T23:00:00Z", "2026-11-01T23:00:00Z"), (
        "2026-11-01T23:00:00Z", "2026-11-02T23:00:00Z",
    )  # fmt: skip
    await store(
        settings,
        value("2026-10-30T22:00:00Z", "2026-10-31T23:00:00Z", 900_000, 1),
        value(*first, 99_000, 1),
        value(*first, 30_000, 3),
        value(*second, 30_000, 1),
    )
    done = reported(tmp_path, settings, "2026-11")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "made/sales-2026-11.html\nmade/sales-2026-11.csv\n"
    with (tmp_path / "made/sales-2026-11.csv").open(newline="") as file:
        month, *days = csv.DictReader(file)
    # (30 + 30) s over 3 + 1 calls: 15 s, met; 31 October is another month.
    assert (month["numerator"], month["denominator"], month["value"]) == ("60000", "4", "15.0")
    assert (month["start"], month["end"]) == ("2026-10-31T23:00:00Z", "2026-11-30T23:00:00Z")
    assert (month["status"], month["state"], month["owner"]) == ("met", "provisional", "OSP")
    assert [(day["start"], day["numerator"]) for day in days] == [
        (first[0], "30000"), (second[0], "30000"),
    ]  # fmt: skip
    page = (tmp_path / "made/sales-2026-11.html").read_text("utf-8")
    assert "15.0 s" in page
    assert "the month is not over, clock at 2026-11-10 00:00:00 UTC" in page


async def test_a_month_without_values_is_an_empty_report(tmp_path, settings):
    await store(settings)
    done = reported(tmp_path, settings, "2025-01")
    assert done.returncode == 3
    assert done.stderr == "cxstream: nothing of sales was published in 2025-01\n"
    assert "nothing was published" in (tmp_path / "made/sales-2025-01.html").read_text("utf-8")


def test_bad_options(tmp_path, settings):
    done = reported(tmp_path, settings, "November")
    assert (done.returncode, done.stderr) == (
        2,
        "cxstream: November is no month; write it as 2026-11\n",
    )
