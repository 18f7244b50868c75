"""``cxstream exhibit``: work on exhibit files."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer
from clickhouse_connect.driver.exceptions import ClickHouseError

from pipeline.cli import exhibit_log
from pipeline.cli.exhibits import read_exhibits
from pipeline.cli.output import Exit, fail, say
from pipeline.cli.replay import existing, source_of
from pipeline.cli.settings import read_settings
from pipeline.docs.presets import definitions
from pipeline.exhibit.compare import compare
from pipeline.exhibit.explain import explain as explained
from pipeline.exhibit.period import Period
from pipeline.exhibit.report import QUERY, Bucket, Report, query_parameters
from pipeline.exhibit.report import report as make_report
from pipeline.exhibit.report_csv import csv_report
from pipeline.exhibit.report_html import html_report
from pipeline.exhibit.under_presets import exhibits_under, table_under
from pipeline.kpi import catalogue
from pipeline.replay.run import Job, replay
from pipeline.settings import ClickHouseSettings
from schemas.exhibit import Exhibit
from sinks.clickhouse.client import connect

app = typer.Typer(
    help="Check, explain, compare and report exhibits; change those in force.", no_args_is_help=True
)
app.command("apply")(exhibit_log.apply)
app.command("end")(exhibit_log.end)
app.command("list")(exhibit_log.list_exhibits)
File = Annotated[Path, typer.Argument(help="Exhibit file.")]


@app.callback()
def _group() -> None:
    """Exhibits say which KPIs are computed, for whom, over which windows, with which targets."""


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="Exhibit files to check.")],
) -> None:
    """Check exhibit files; every mistake is told with its line and column."""
    for exhibit in read_exhibits(files):
        typer.echo(
            f"{exhibit.exhibit} version {exhibit.version}: {len(exhibit.kpis)} KPIs, "
            f"by {', '.join(exhibit.by) or 'nothing'}, {len(exhibit.windows)} windows: good"
        )


@app.command()
def explain(
    file: File,
    *,
    sql: Annotated[bool, typer.Option("--sql", help="With the SQL of each KPI.")] = False,
) -> None:
    """Say in words what is computed of what, when it is final, and what misleads."""
    (exhibit,) = read_exhibits([file])
    typer.echo(explained(exhibit, catalogue.load(), sql=sql), nl=False)


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="Exhibit file as it was.")],
    new: Annotated[Path, typer.Argument(help="Exhibit file as it is to be.")],
) -> None:
    """Say what changes for readers, and which numbers cannot be compared any more."""
    (before,), (after,) = read_exhibits([old]), read_exhibits([new])
    found = compare(before, after, catalogue.load())
    for line in found.lines or ("nothing changes",):
        typer.echo(line)
    if found.incomparable:
        typer.echo(f"not comparable with what was: {', '.join(found.incomparable)}")


@app.command()
def report(
    file: File,
    *,
    period: Annotated[str, typer.Option(help="Month, as 2026-11.")],
    clickhouse: Annotated[
        str | None, typer.Option(help="ClickHouse as HOST:PORT; else as CXSTREAM_CLICKHOUSE_* say.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path(),
) -> None:
    """Write a month as one HTML page and one CSV file, from the values in ClickHouse.

    The page needs no network. User and password are those of CXSTREAM_CLICKHOUSE_*.
    """
    (exhibit,) = read_exhibits([file])
    try:
        made = asyncio.run(_report(exhibit, Period.parse(period), _settings(clickhouse)))
        out.mkdir(parents=True, exist_ok=True)
        for ending, text in (("html", html_report(made)), ("csv", csv_report(made))):
            path = out / f"{exhibit.exhibit}-{made.period}.{ending}"
            path.write_text(text, "utf-8", newline="")
            typer.echo(str(path))
    except ValueError as error:
        fail(str(error), Exit.BAD_INPUT)
    except (ClickHouseError, OSError) as error:
        fail(str(error))
    if made.as_of_ms is None:
        say(f"cxstream: nothing of {exhibit.exhibit} was published in {made.period}")
        sys.exit(Exit.NOTHING_READ)


def _settings(address: str | None) -> ClickHouseSettings:
    settings = read_settings().clickhouse
    if address is None:
        return settings
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        fail(f"--clickhouse {address}: expected HOST:PORT", Exit.BAD_INPUT)
    return settings.model_copy(update={"host": host, "port": int(port)})


async def _report(exhibit: Exhibit, period: Period, settings: ClickHouseSettings) -> Report:
    parameters = query_parameters(exhibit, period)
    async with await connect(settings) as client:
        found = await client.query(QUERY, parameters=parameters)
    buckets = [Bucket.of_row(row) for row in found.named_results()]
    return make_report(exhibit, period, catalogue.load(), buckets)


@app.command()
def kpis() -> None:
    """List every KPI that an exhibit can ask for: id, unit and what it is."""
    known = catalogue.load().definitions.values()
    width = max(len(definition.id) for definition in known)
    for group, title in catalogue.GROUPS.items():
        typer.echo(f"{title}:")
        for definition in known:
            if definition.group == group:
                typer.echo(f"  {definition.id:<{width}}  {definition.unit:<7}  {definition.title}")


@app.command()
def presets(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files with events; gzip is recognised.")
    ] = None,
    *,
    kpi: Annotated[str, typer.Option(help="With files: the KPI.")] = "service_level",
    preset: Annotated[
        list[str] | None, typer.Option(help="With files: a preset; all that know the KPI without.")
    ] = None,
    platform: Annotated[
        str, typer.Option(help="With files: platform that wrote them.")
    ] = "interactions",
) -> None:
    """List what each platform means by a KPI; with files, what each makes of them, and why."""
    if not files:
        typer.echo(definitions(), nl=False)
        return
    try:
        exhibits = exhibits_under(kpi, preset or ())
    except ValueError as error:
        fail(str(error), Exit.BAD_INPUT)
    job = Job(files=existing(files), source=source_of(platform, []), exhibits=exhibits)
    try:
        result = asyncio.run(replay(job))
    except (OSError, RuntimeError) as error:
        fail(str(error))
    if not result.summary["events"]:
        fail("no event was read", Exit.NOTHING_READ)
    typer.echo(table_under(kpi, exhibits, result.values), nl=False)
