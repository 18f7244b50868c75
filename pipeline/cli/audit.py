"""``cxstream audit``: published values against a second computation in SQL."""

from __future__ import annotations

import json as json_lines
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from clickhouse_connect.driver.exceptions import ClickHouseError
from rich.console import Console
from rich.table import Table

from pipeline.audit.run import Audit, Comparison, Report
from pipeline.audit.values import Cell, Numbers
from pipeline.cli.exhibits import read_exhibits
from pipeline.cli.output import Exit, fail
from pipeline.cli.settings import read_settings
from pipeline.kpi import catalogue
from schemas.values import rfc3339
from sinks.clickhouse.client import connect_blocking

_SHOWN = 20


def command(
    exhibit: Annotated[
        list[Path] | None, typer.Option(help="Exhibit file; the default exhibit without one.")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(help="Clock of the values, RFC 3339; that of the newest value without it."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object an exhibit.")] = False,
) -> None:
    """Compare published values with SQL over facts, and over accepted events.

    Ends with 1 if a value differs, nothing was compared, or something could not be audited.
    """
    exhibits = read_exhibits(exhibit or [])
    as_of_ms = _as_of_ms(as_of)
    try:
        with connect_blocking(read_settings().clickhouse) as client:
            audit = Audit(client, catalogue.load())
            reports = [audit.run(one, as_of_ms) for one in exhibits]
    except ClickHouseError as error:
        fail(str(error))
    for report in reports:
        (_print_json if json else _print_text)(report)
    sys.exit(Exit.DONE if all(report.passed for report in reports) else Exit.FAILED)


def _as_of_ms(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail(f"--as-of {text}: expected an RFC 3339 time", Exit.BAD_INPUT)
    if moment.tzinfo is None:
        fail(f"--as-of {text}: the time needs an offset, such as Z", Exit.BAD_INPUT)
    return round(moment.timestamp() * 1000)


def _print_json(report: Report) -> None:
    told = {
        "exhibit": report.exhibit,
        "as_of": rfc3339(report.as_of_ms),
        "passed": report.passed,
        "restated": report.restated,
        "late": report.late,
        "uncounted": report.uncounted,
        "not_covered": dict(report.not_covered),
        "comparisons": [_plain(one) for one in report.comparisons],
    }
    typer.echo(json_lines.dumps(told))


def _plain(one: Comparison) -> dict[str, Any]:
    return {
        "against": one.against,
        "compared": one.compared,
        "not_audited": dict(one.not_audited),
        "differences": [
            {**cell._asdict(), "published": _numbers(pair[0]), "computed": _numbers(pair[1])}
            for cell, pair in sorted(one.different.items())
        ],
    }


def _numbers(numbers: Numbers | None) -> dict[str, Any] | None:
    return None if numbers is None else numbers._asdict()


def _print_text(report: Report) -> None:
    console = Console()
    console.print(f"{report.exhibit} as of {rfc3339(report.as_of_ms)}")
    for one in report.comparisons:
        console.print(
            f"against {one.against}: {one.compared:,} cells compared, {len(one.different):,} differ"
        )
        for name, reason in one.not_audited.items():
            console.print(f"  not audited: {name}, {reason}")
        if one.different:
            console.print(_table(one))
    for what, count in report.not_covered.items():
        console.print(f"not audited: {count:,} events tell of {what}")
    console.print(
        f"{report.restated:,} cells restated, {report.late:,} late records,"
        f" {report.uncounted:,} too late to be in either side"
    )


def _table(one: Comparison) -> Table:
    by_name = Counter(cell.name for cell in one.different)
    told = ", ".join(f"{name} {count}" for name, count in sorted(by_name.items()))
    table = Table("KPI", "window", "for", "published", "computed", caption=told)
    for cell, (found, expected) in sorted(one.different.items())[:_SHOWN]:
        table.add_row(cell.name, _window(cell), ", ".join(cell.cell), _told(found), _told(expected))
    return table


def _window(cell: Cell) -> str:
    start = rfc3339(cell.start_ms) if cell.start_ms else ""
    return " ".join(filter(None, (cell.kind, cell.size, start, cell.reading)))


def _told(numbers: Numbers | None) -> str:
    if numbers is None:
        return "no row"
    return f"{numbers.numerator} / {numbers.denominator}"
