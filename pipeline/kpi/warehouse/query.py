"""SQL of one KPI over all time, for whoever wants to read it or run it by hand."""

from __future__ import annotations

from typing import Final

from pipeline.kpi.calendar import DAY_MS, SIZES_MS
from pipeline.kpi.catalogue import Combination, CompiledKpi, CompiledPart
from pipeline.kpi.warehouse.names import CLOCK, view_of
from pipeline.kpi.warehouse.values import mapped_sql
from schemas.facts import columns

_LENGTH_MS: Final = {**SIZES_MS, "day": DAY_MS}


def query(kpi: CompiledKpi) -> str:
    """ClickHouse SQL of a KPI over all time, from the views of facts.

    It gives ``numerator`` and ``denominator``; of a map also ``value``. Intervals of a grid are
    those of UTC. A population stability index compares the UTC day of the clock with the days
    before it, since all time has none before it.
    """
    if kpi.combination is not None:
        return _composite(kpi, kpi.combination)
    if kpi.part.aggregate == "map":
        return _mapped(kpi)
    return _plain(kpi)


def _plain(kpi: CompiledKpi) -> str:
    part = kpi.part
    numerator, denominator = _sums(part)
    if kpi.reads == "age":
        numerator = f"{CLOCK} - {numerator}"
    elif kpi.reads == "mean_age":
        numerator = f"intDiv({denominator} * {CLOCK} - {numerator}, nullIf({denominator}, 0))"
    if kpi.total:
        denominator = "NULL"
    lines = ["SELECT", f"  {numerator} AS numerator,", f"  {denominator} AS denominator"]
    return "\n".join([*lines, *_source(part)])


def _sums(part: CompiledPart) -> tuple[str, str]:
    """Aggregates of numerator and denominator; what is clipped counts for each millisecond."""
    numerator, denominator = part.sql["numerator"], part.sql["denominator"]
    if part.until is not None:
        length = f"({_until(part)} - ({part.sql['time']}))"
        return f"sum(({numerator}) * {length})", f"sum(({denominator}) * {length})"
    return f"{part.aggregate}({numerator})", f"sum({denominator})"


def _until(part: CompiledPart) -> str:
    return f"least(ifNull({part.sql['until']}, {CLOCK}), {CLOCK})"


def _source(part: CompiledPart) -> list[str]:
    """FROM and WHERE of a part."""
    sql = part.sql
    conditions = [sql["of"]] if sql["of"] != "TRUE" else []
    if sql["time"] not in _never_null(part.fact):
        conditions.append(f"({sql['time']}) IS NOT NULL")
    if part.until is not None:
        conditions.append(f"{sql['time']} <= {CLOCK}")
    if part.matures is not None:
        conditions.append(f"{sql['matures']} <= {CLOCK}")
    lines = [f"FROM {view_of(part.fact)}"]
    if conditions:
        told = [f"({one})" if " OR " in one else one for one in conditions]
        lines.append("WHERE " + "\n  AND ".join(told))
    return lines


def _never_null(fact: str) -> frozenset[str]:
    return frozenset(column.name for column in columns(fact) if not column.nullable)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


# --- maps -----------------------------------------------------------------------------------------


def _mapped(kpi: CompiledKpi) -> str:
    named = _named(kpi.part, ())
    before = ""
    if kpi.reads == "psi":
        today = f"intDiv({CLOCK}, {DAY_MS}) * {DAY_MS}"
        days = int(str(kpi.parameters["baseline_days"]))
        time = kpi.part.sql["time"]
        named = _named(kpi.part, (f"{time} >= {today}", f"{time} < {today} + {DAY_MS}"))
        early = (f"{time} >= {today} - {days * DAY_MS}", f"{time} < {today}")
        before = f",\n  earlier AS (\n{_indented(_array(_named(kpi.part, early), 'before'))}\n  )"
    told = mapped_sql(kpi, "named", "before")
    tables = "found, earlier" if before else "found"
    return (
        f"WITH\n  found AS (\n{_indented(_array(named, 'named'))}\n  ){before}\n"
        f"SELECT\n  {told.numerator} AS numerator,\n  {told.denominator} AS denominator,\n"
        f"  {told.value} AS value\nFROM {tables}"
    )


def _array(rows: str, name: str) -> str:
    return f"SELECT groupArray((name, n, d)) AS {name} FROM (\n{_indented(rows)}\n)"  # noqa: S608


def _named(part: CompiledPart, also: tuple[str, ...]) -> str:
    """Numerator and denominator by name."""
    key = part.sql["key"]
    source = _source(part)
    conditions = [f"({key}) IS NOT NULL", *also]
    joined = "\n  AND ".join(conditions)
    source.append(f"  AND {joined}" if len(source) > 1 else f"WHERE {joined}")
    lines = [
        f"SELECT toString({key}) AS name,",
        f"  sum(toInt64({part.sql['numerator']})) AS n,",
        f"  sum(toInt64({part.sql['denominator']})) AS d",
    ]
    return "\n".join([*lines, *source, "GROUP BY name"])


# --- composites -----------------------------------------------------------------------------------


def _composite(kpi: CompiledKpi, combination: Combination) -> str:
    grid = kpi.grid != "window"
    rows = " UNION ALL\n".join(_part_rows(kpi, part) for part in kpi.parts)
    names = ", ".join(f"sum({part.name}) AS {part.name}" for part in kpi.parts)
    head, tail = ("interval_ms, ", "\nGROUP BY interval_ms") if grid else ("", "")
    if grid:
        tail += f"\nHAVING interval_ms + {_LENGTH_MS[kpi.grid]} <= {CLOCK}"
    sums = f"SELECT {head}{names} FROM (\n{_indented(rows)}\n){tail}"  # noqa: S608
    denominator = "NULL" if kpi.total else f"sum({combination.sql['denominator']})"
    return (
        f"SELECT\n  sum({combination.sql['numerator']}) AS numerator,\n"
        f"  {denominator} AS denominator\nFROM (\n{_indented(sums)}\n)"
    )


def _part_rows(kpi: CompiledKpi, part: CompiledPart) -> str:
    """The sums of one part, zeros for the others; by interval where there is a grid."""
    columns_ = []
    for other in kpi.parts:
        told = "toInt64(0)"
        if other is part:
            told = _clipped(kpi, part) if part.until is not None else f"toInt64({_sums(part)[0]})"
        columns_.append(f"{told} AS {other.name}")
    interval = ""
    group = ""
    if kpi.grid != "window":
        length = _LENGTH_MS[kpi.grid]
        first = f"intDiv({part.sql['time']}, {length})"
        at = first
        if part.until is not None:
            last = f"intDiv({_until(part)} - 1, {length})"
            at = f"arrayJoin(range(toUInt64({first}), toUInt64({last}) + 1))"
        interval = f"toInt64({at}) * {length} AS interval_ms, "
        group = "\nGROUP BY interval_ms"
    source = "\n".join(_source(part))
    return f"SELECT {interval}{', '.join(columns_)}\n{source}{group}"


def _clipped(kpi: CompiledKpi, part: CompiledPart) -> str:
    if kpi.grid == "window":
        return f"toInt64({_sums(part)[0]})"
    length = _LENGTH_MS[kpi.grid]
    overlap = f"least({_until(part)}, interval_ms + {length})"
    overlap += f" - greatest({part.sql['time']}, interval_ms)"
    return f"toInt64(sum(({part.sql['numerator']}) * ({overlap})))"
