"""A report as CSV: a row an entry and cell for the month, then a row a bucket of it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Final

from pipeline.exhibit.report import Line, Report
from schemas.values import rfc3339

_HEAD: Final = (
    "exhibit", "version", "period", "part", "start", "end", "as", "title", "kpi", "kpi_version",
    "parameters", "attribution",
)  # fmt: skip
_VALUES: Final = (
    "state", "numerator", "denominator", "value", "unit", "n", "low", "high", "target", "status",
)  # fmt: skip
_ENTRY: Final = (
    "min_n", "target_source", "owner", "kcr_task", "capability", "item_ref", "intent", "method",
    "frequency", "equivalence_note",
)  # fmt: skip


def csv_report(report: Report) -> str:
    """The report as CSV text, with a head as RFC 4180 has it."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([*_HEAD, *report.exhibit.by, *_VALUES, *_ENTRY, "source"])
    for line in report.lines:
        writer.writerow([_cell(value) for value in _month(report, line)])
        for row in _buckets(report, line):
            writer.writerow([_cell(value) for value in row])
    return out.getvalue()


def _cell(value: object) -> object:
    """A cell; a text that a spreadsheet would take for a formula is kept from being one."""
    text = value if isinstance(value, str) else ""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _month(report: Report, line: Line) -> list[object]:
    start_ms, end_ms = report.period.bounds_ms(report.exhibit.time_zone)
    state = "final" if report.is_over and not line.provisional else "provisional"
    values: list[object] = [
        state, line.numerator, line.denominator, line.value, line.kpi.unit, line.n, line.low,
        line.high, _target(line), line.status,
    ]  # fmt: skip
    return [*_head(report, line, "period", start_ms, end_ms), *values, *_entry(report, line)]


def _buckets(report: Report, line: Line) -> Iterator[list[object]]:
    for bucket in line.buckets:
        head = _head(report, line, report.size, bucket.start_ms, bucket.end_ms)
        n = bucket.numerator if line.kpi.unit == "count" else bucket.denominator
        values = [
            bucket.state, bucket.numerator, bucket.denominator, bucket.value, line.kpi.unit, n,
            None, None, _target(line), bucket.status,
        ]  # fmt: skip
        yield [*head, *values, *_entry(report, line)]


def _head(report: Report, line: Line, part: str, start_ms: int, end_ms: int) -> list[object]:
    exhibit, entry, kpi = report.exhibit, line.entry, line.kpi
    return [
        exhibit.exhibit, exhibit.version, str(report.period), part, rfc3339(start_ms),
        rfc3339(end_ms), entry.name, entry.title or kpi.title, kpi.id, kpi.version,
        json.dumps(kpi.parameters, sort_keys=True), kpi.attribution, *line.cell,
    ]  # fmt: skip


def _target(line: Line) -> str:
    return line.entry.target.text if line.entry.target else ""


def _entry(report: Report, line: Line) -> list[object]:
    told = [getattr(line.entry, name) for name in _ENTRY]
    return [*told, " ".join(report.definitions[line.kpi.id].source)]
