"""A report as one HTML page that needs no network: light, dark and printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from importlib import resources
from string import Template
from typing import Final

from pipeline.docs.kpis import sources
from pipeline.exhibit import words
from pipeline.exhibit.report import Line, Report, can_be_summed
from pipeline.kpi.catalogue import CompiledKpi
from pipeline.kpi.presets import preset_of
from schemas.values import TOTAL

_STATUS: Final = {
    "met": "met", "missed": "missed", "trending": "missed, trending", "n_below_min": "n below min",
    "undefined": "undefined", "no_target": "",
}  # fmt: skip
_CHART_WIDTH, _CHART_HEIGHT = 600, 60


def html_report(report: Report) -> str:
    """The report as the text of an HTML file."""
    template = (resources.files("pipeline.exhibit") / "report.html").read_text("utf-8")
    exhibit = report.exhibit
    return Template(template).substitute(
        title=escape(f"{exhibit.title or exhibit.exhibit}, {report.period}"),
        facts=_facts(report),
        summary=_summary(report),
        entries="\n".join(_entry(report, lines) for lines in _by_entry(report)),
        sources=_sources(report),
    )


def _by_entry(report: Report) -> list[list[Line]]:
    found: dict[str, list[Line]] = {}
    for line in report.lines:
        found.setdefault(line.entry.name, []).append(line)
    return list(found.values())


# --- the head -------------------------------------------------------------------------------------


def _facts(report: Report) -> str:
    exhibit = report.exhibit
    told = {
        "Exhibit": f"{exhibit.exhibit} version {exhibit.version}",
        "Month": f"{report.period} in {exhibit.time_zone}",
        "State": _state(report),
        "Counts": words.population(exhibit),
    }
    if exhibit.business_hours is not None:
        told["Open"] = "business hours only"
    preset = preset_of(exhibit)
    if preset is not None:
        told["Preset"] = preset.title
        told["Notes on it"] = " ".join(" ".join(note.split()) for note in preset.notes)
    if report.foreign:
        names = ", ".join(f"{name} ({count})" for name, count in sorted(report.foreign.items()))
        told["Left out"] = f"values of other definitions under the same names: {names}"
    return _pairs(told)


def _state(report: Report) -> str:
    if report.as_of_ms is None:
        return "nothing was published"
    clock = f"clock at {_moment(report.as_of_ms)}"
    if not report.is_over:
        return f"the month is not over, {clock}"
    waiting = sum(line.provisional for line in report.lines)
    return f"{waiting} values are provisional, {clock}" if waiting else f"final, {clock}"


def _moment(epoch_ms: int) -> str:
    return f"{datetime.fromtimestamp(epoch_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _summary(report: Report) -> str:
    head = ("KPI", "value", "95 %", "n", "target", "status", "owner")
    rows = [_row(_link(line), line) for line in report.lines if line.is_total]
    return _table(head, rows)


def _link(line: Line) -> str:
    return f'<a href="#{escape(line.entry.name)}">{escape(_title(line))}</a>'


def _row(first: str, line: Line) -> list[str]:
    return [
        first,
        f"<b>{escape(shown(line.value, line.kpi.unit))}</b>",
        escape(_interval(line)),
        "" if line.n is None else f"{line.n:,}",
        escape(line.entry.target.text if line.entry.target else ""),
        f'<span class="{line.status}">{_STATUS[line.status]}</span>',
        escape(line.entry.owner or ""),
    ]


def shown(value: float | None, unit: str) -> str:
    """A value as people read it; a dash where there is none."""
    if value is None:
        return "–"  # noqa: RUF001 - a dash is meant
    match unit:
        case "ratio":
            return f"{100 * value:.1f} %"
        case "seconds":
            return f"{value:,.1f} s"
        case "count":
            return f"{value:,.0f}"
        case _:
            return f"{value:,.2f}"


def _interval(line: Line) -> str:
    if line.low is None or line.high is None:
        return ""
    return f"{100 * line.low:.1f} to {100 * line.high:.1f} %"


# --- an entry -------------------------------------------------------------------------------------


def _entry(report: Report, lines: Sequence[Line]) -> str:
    line = lines[0]
    definition = report.definitions[line.kpi.id]
    told = {
        "KPI": f"{line.kpi.id} version {line.kpi.version}, by {line.kpi.attribution}",
        "Parameters": words.parameters(line.kpi.parameters),
        "Value": words.value(line.kpi),
        **_counted(line.kpi),
        "Target": words.target(line.entry),
        **{title.capitalize(): text for title, text in words.responsibility(line.entry).items()},
        "Beware": " ".join(definition.traps.split()),
        "Buckets": _buckets(report, line),
        "Source": ", ".join(definition.source),
    }
    parts = [
        f'<section id="{escape(line.entry.name)}"><h2>{escape(_title(line))}</h2>',
        _pairs({title: text for title, text in told.items() if text}),
        _chart(line),
    ]
    if len(lines) > 1:
        head = (", ".join(report.exhibit.by), "value", "95 %", "n", "target", "status", "owner")
        parts.append(_table(head, [_row(escape(_cell(one)), one) for one in lines]))
    return "\n".join([*parts, "</section>"])


def _counted(kpi: CompiledKpi) -> dict[str, str]:
    """What rows are counted, and what is summed over them, of a composite by part."""
    rows, numerators, denominators = [], [], []
    for part in kpi.parts:
        name = f"{part.name}: " if part.name else ""
        of = part.sql["of"]
        rows.append(name + part.fact + ("" if of == "TRUE" else f" where {words.expression(of)}"))
        numerators.append(name + _sum(part.sql["numerator"]))
        denominators.append(name + _sum(part.sql["denominator"]))
    told = {"Rows": "; ".join(rows), "Numerator": "; ".join(numerators)}
    return told if kpi.total else {**told, "Denominator": "; ".join(denominators)}


def _sum(expression: str) -> str:
    return "how many" if expression == "1" else words.expression(expression)


def _buckets(report: Report, line: Line) -> str:
    if line.kpi.gauge:
        return "none: a gauge holds at the clock"
    each = "a day" if report.size == "day" else report.size
    if not can_be_summed(line.kpi):
        return f"of {each}; their values make up none of a month"
    told = f"{len(line.buckets)} of {each}"
    if line.provisional:
        told += f", {line.provisional} provisional"
    return told + (f", {line.restated} restated" if line.restated else "")


def _cell(line: Line) -> str:
    if line.is_total:
        return "all"
    return ", ".join({TOTAL: "all", "": "(none)"}.get(name, name) for name in line.cell)


def _title(line: Line) -> str:
    return line.entry.title or (
        line.kpi.title
        if line.entry.name == line.kpi.id
        else f"{line.kpi.title} ({line.entry.name})"
    )


def _chart(line: Line) -> str:
    """Values of the buckets as a line from left to right, the lowest at the bottom."""
    told = [(bucket.start_ms, bucket.value) for bucket in line.buckets if bucket.value is not None]
    if len(told) < 2:
        return ""
    first_ms, last_ms = told[0][0], told[-1][0]
    low, high = min(value for _, value in told), max(value for _, value in told)
    points = " ".join(
        f"{_CHART_WIDTH * (at_ms - first_ms) / (last_ms - first_ms):.1f},"
        f"{_CHART_HEIGHT * (1 - ((value - low) / (high - low) if high > low else 0.5)):.1f}"
        for at_ms, value in told
    )
    unit = line.kpi.unit
    return (
        f'<figure><svg viewBox="-2 -2 {_CHART_WIDTH + 4} {_CHART_HEIGHT + 4}" '
        'preserveAspectRatio="none">'
        f'<polyline points="{points}"/></svg><figcaption>{escape(_moment(first_ms))} to '
        f"{escape(_moment(last_ms))}, from {shown(low, unit)} to {shown(high, unit)}"
        "</figcaption></figure>"
    )


# --- pieces ---------------------------------------------------------------------------------------


def _sources(report: Report) -> str:
    cited = {name for one in report.definitions.values() for name in one.source}
    return _pairs({name: text for name, text in sources().items() if name in cited})


def _pairs(told: dict[str, str]) -> str:
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in told.items())
    return f"<dl>{rows}</dl>"


def _table(head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are HTML, the head is text."""
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>\n" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>\n{body}</tbody></table>"
