"""Tables of sums: what the facts of a group come to in each cell and window.

Each statement makes one table with a row for each cell and window in which a row of the group
lies: ``rows``, then ``n0``, ``d0``, ``e0``, ``n1`` ... (numerator, denominator and "exists" of each
series); of a map ``named``, its sums by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pipeline.kpi.clickhouse_code import population_sql
from pipeline.kpi.group import Group
from pipeline.kpi.plan import ExhibitPlan
from pipeline.kpi.warehouse.names import (
    FACTS,
    OPEN,
    PLACE,
    SPAN_CLOCK,
    WINDOWS,
    clocked,
    conjunction,
    counts_sql,
    total_of,
    view_of,
)

_FAR = "9223372036854775807"


def table_of(plan: ExhibitPlan, group: Group) -> str:
    """Name of the table of a group's sums."""
    return f"sums_{plan.groups.index(group)}"


def sums_statement(plan: ExhibitPlan, group: Group) -> str:
    """The statement that makes the table of a group's sums."""
    table = f"CREATE TABLE {table_of(plan, group)} ENGINE = Memory AS\n"
    if group.shape == "span":
        return table + clocked(group, _spans(plan, group))
    if group.shape == "map":
        return table + _named(plan, group)
    return table + _plain(plan, group)


def extent_sql(plan: ExhibitPlan) -> str:
    """SQL of the first and the last instant at which some fact of the exhibit counts."""
    asked = []
    for group in plan.groups:
        if group.gauge:
            continue
        sql = group.series[0].part.sql
        for instant in ("time", "until"):
            if instant in sql:
                told = f"SELECT {sql[instant]} AS instant FROM {FACTS}.{view_of(group.fact)}"  # noqa: S608
                asked.append(f"{told} WHERE {population_sql(plan.exhibit.effective_where)}")
    asked.append("SELECT NULL::Nullable(Int64) AS instant")
    return f"SELECT min(instant), max(instant) FROM ({' UNION ALL '.join(asked)})"  # noqa: S608


# --- rows -----------------------------------------------------------------------------------------


def _dimensions(plan: ExhibitPlan) -> dict[str, str]:
    """SQL of the dimensions of a cell, by the name of their column here."""
    return {f"dimension_{i}": f"toString({name})" for i, name in enumerate(plan.exhibit.by)}


def _series(group: Group) -> dict[str, str]:
    """SQL of what a row adds to each series, by name of column."""
    found = {}
    for i, series in enumerate(group.series):
        sql, counts = series.part.sql, counts_sql(series)
        if group.shape in ("max", "min"):
            numerator = f"CAST({sql['numerator']}, 'Nullable(Int64)')"
            known = f"{counts} AND ({sql['numerator']}) IS NOT NULL AND ({sql['denominator']}) <> 0"
            found[f"n{i}"] = f"if({known}, {numerator}, NULL)"
            found[f"d{i}"] = f"toInt64({known})"
        else:
            found[f"n{i}"] = f"if({counts}, toInt64({sql['numerator']}), 0)"
            found[f"d{i}"] = f"if({counts}, toInt64({sql['denominator']}), 0)"
        found[f"e{i}"] = f"toInt64({sql['exists']})"
    return found


def _select(columns: dict[str, str], source: str, where: Iterable[str]) -> str:
    told = ",\n    ".join(f"{sql} AS {name}" for name, sql in columns.items())
    return f"SELECT\n    {told}\nFROM {source}\nWHERE {conjunction(where)}"


def _rows(plan: ExhibitPlan, group: Group, columns: dict[str, str]) -> str:
    """The rows of a group that lie somewhere, with dimensions, instant and ``columns``."""
    time = group.series[0].part.sql["time"]
    at_ms = "0" if group.gauge else f"assumeNotNull({time})"
    where = [population_sql(plan.exhibit.effective_where), f"({time}) IS NOT NULL"]
    return _select(
        {**_dimensions(plan), "at_ms": f"toInt64({at_ms})", **columns},
        f"{FACTS}.{view_of(group.fact)}",
        where,
    )


def _open(plan: ExhibitPlan, group: Group, rows: str) -> str:
    """Of rows, those that lie in business hours."""
    if plan.hours is None or group.gauge:
        return rows
    return (
        f"SELECT rows_.* FROM (SELECT *, 1 AS one FROM ({rows})) AS rows_\n"  # noqa: S608
        f"ASOF JOIN (SELECT *, 1 AS one FROM {OPEN}) AS hours\n"
        "ON rows_.one = hours.one AND rows_.at_ms >= hours.start_ms\n"
        "WHERE rows_.at_ms < hours.end_ms"
    )


def placed(rows: str, columns: Sequence[str], sizes: Sequence[str], *, whole: bool = False) -> str:
    """Rows with an instant ``at_ms``, once for each window they lie in, buckets of ``sizes`` too.

    With ``whole``, rows are intervals up to ``until_ms`` and must lie in the window as a whole.
    """
    told = ", ".join(f"r.{name} AS {name}" for name in columns)
    window = "w.kind AS at_kind, w.size AS at_size, w.start_ms AS at_start_ms"
    inside = " AND r.until_ms <= w.end_ms" if whole else ""
    found = [
        f"SELECT {told}, {window} FROM ({rows}) AS r\n"  # noqa: S608
        f"CROSS JOIN (SELECT * FROM {WINDOWS} WHERE kind <> 'tumbling') AS w\n"
        f"WHERE w.start_ms <= r.at_ms AND r.at_ms < w.end_ms{inside}"
    ]
    if sizes:
        listed = ", ".join(f"'{size}'" for size in sizes)
        found.append(
            f"SELECT {told}, {window}\n"  # noqa: S608
            f"FROM (SELECT *, arrayJoin([{listed}]) AS size FROM ({rows})) AS r\n"
            f"ASOF JOIN (SELECT * FROM {WINDOWS} WHERE kind = 'tumbling') AS w\n"
            "ON r.size = w.size AND r.at_ms >= w.start_ms\n"
            f"WHERE true{inside}"
        )
    return "\nUNION ALL\n".join(found)


def _by_place(plan: ExhibitPlan, source: str, aggregates: Iterable[str]) -> str:
    """Aggregates of placed rows, in their own cell and in every total."""
    told = ",\n    ".join(aggregates)
    return (
        f"SELECT {', '.join(PLACE)},\n    {told}\n"  # noqa: S608
        f"FROM (SELECT *, {total_of(_dimensions(plan))} AS at_cell FROM (\n{source}\n))\n"
        f"GROUP BY {', '.join(PLACE)}"
    )


# --- shapes ---------------------------------------------------------------------------------------


def _plain(plan: ExhibitPlan, group: Group) -> str:
    columns = _series(group)
    rows = _open(plan, group, _rows(plan, group, columns))
    if group.gauge:
        known = conjunction([" OR ".join(f"ifNull({name}, 0) <> 0" for name in columns)])
        rows = f"SELECT * FROM ({rows}) WHERE {known}"  # noqa: S608
    names = (*_dimensions(plan), *columns)
    if group.gauge:
        everything = "'all' AS at_kind, '' AS at_size, toInt64(0) AS at_start_ms"
        source = f"SELECT *, {everything} FROM ({rows})"  # noqa: S608
    else:
        source = placed(rows, names, group.bucket_sizes)
    aggregates = ["count() AS rows"]
    for name in columns:
        best = group.shape if group.shape in ("max", "min") else "sum"
        if best != "sum" and name.startswith("n"):
            aggregates.append(f"ifNull({best}({name}), 0) AS {name}")
        elif best != "sum" and name.startswith("d"):
            aggregates.append(f"max({name}) AS {name}")
        else:
            aggregates.append(f"sum({name}) AS {name}")
    return _by_place(plan, source, aggregates)


def _named(plan: ExhibitPlan, group: Group) -> str:
    series = group.series[0]
    sql, key = series.part.sql, series.part.sql["key"]
    counts = conjunction([counts_sql(series), f"({key}) IS NOT NULL"])
    columns = {
        "counts": counts,
        "name": f"if({counts}, toString(assumeNotNull({key})), '')",
        "n": f"if({counts}, toInt64({sql['numerator']}), 0)",
        "d": f"if({counts}, toInt64({sql['denominator']}), 0)",
    }
    rows = _open(plan, group, _rows(plan, group, columns))
    if group.gauge:
        rows = f"SELECT * FROM ({rows}) WHERE counts"  # noqa: S608
    source = placed(rows, (*_dimensions(plan), *columns), group.bucket_sizes)
    by_name = (
        f"SELECT {', '.join(PLACE)}, counts, name, count() AS rows_of, sum(n) AS n, sum(d) AS d\n"  # noqa: S608
        f"FROM (SELECT *, {total_of(_dimensions(plan))} AS at_cell FROM (\n{source}\n))\n"
        f"GROUP BY {', '.join(PLACE)}, counts, name"
    )
    return (
        f"SELECT {', '.join(PLACE)}, sum(rows_of) AS rows,\n"
        "    groupArrayIf((name, n, d), counts AND (n <> 0 OR d <> 0)) AS named\n"
        f"FROM ({by_name})\nGROUP BY {', '.join(PLACE)}"
    )


def _spans(plan: ExhibitPlan, group: Group) -> str:
    """What of each interval lies in a window, times its rate.

    An interval lies in a window, and makes a row of it, where it begins, ends or goes on in it.
    """
    sql = group.series[0].part.sql
    until = f"CAST({sql['until']}, 'Nullable(Int64)')"
    columns = {"until": f"if({until} <= {SPAN_CLOCK}, {until}, NULL)"}
    for i, series in enumerate(group.series):
        counts = counts_sql(series)
        columns[f"n{i}"] = f"if({counts}, toInt64({series.part.sql['numerator']}), 0)"
        columns[f"d{i}"] = f"if({counts}, toInt64({series.part.sql['denominator']}), 0)"
    rows = _rows(plan, group, columns)
    if plan.hours is not None:
        rows = _open_parts(rows, [*_dimensions(plan), *list(columns)[1:]])
    # From its earlier to its later end, should it run backwards.
    rows = (
        f"SELECT *, least(at_ms, ifNull(until, {_FAR})) AS low_ms,"  # noqa: S608
        f" greatest(at_ms, ifNull(until, {_FAR})) AS high_ms FROM ({rows})\n"
        f"WHERE at_ms <= {SPAN_CLOCK} AND (until IS NULL OR until <> at_ms)"
    )
    aggregates = ["toUInt64(1) AS rows"]
    overlap = "(least(greatest(ifNull(until, at_limit_ms), at_start_ms), at_limit_ms)"
    overlap += " - least(greatest(at_ms, at_start_ms), at_limit_ms))"
    for i in range(len(group.series)):
        aggregates += [f"sum(n{i} * {overlap}) AS n{i}", f"sum(d{i} * {overlap}) AS d{i}"]
        aggregates.append(f"toInt64(1) AS e{i}")
    return _by_place(plan, _overlapping(rows, group.bucket_sizes), aggregates)


def _open_parts(rows: str, columns: Sequence[str]) -> str:
    """Intervals cut to business hours; the last part is open if the interval is."""
    told = ", ".join(f"r.{name} AS {name}" for name in columns)
    return (
        f"SELECT {told}, greatest(r.at_ms, o.start_ms) AS at_ms,\n"
        f"    if(least(ifNull(r.until, {_FAR}), o.end_ms) <= {SPAN_CLOCK},\n"
        f"        toNullable(least(ifNull(r.until, {_FAR}), o.end_ms)), NULL) AS until\n"
        f"FROM ({rows}) AS r CROSS JOIN {OPEN} AS o\n"
        f"WHERE o.end_ms > r.at_ms AND o.start_ms <= least(ifNull(r.until, {SPAN_CLOCK}),"
        f" {SPAN_CLOCK})"
    )


def _overlapping(rows: str, sizes: Sequence[str]) -> str:
    """Intervals once for each window they lie in, with where the window ends or the clock is."""
    window = "w.kind AS at_kind, w.size AS at_size, w.start_ms AS at_start_ms,"
    window += f" least(w.end_ms, {SPAN_CLOCK}) AS at_limit_ms"
    found = [
        f"SELECT r.*, {window} FROM ({rows}) AS r\n"  # noqa: S608
        f"CROSS JOIN (SELECT * FROM {WINDOWS} WHERE kind <> 'tumbling') AS w\n"
        "WHERE r.low_ms < w.end_ms AND r.high_ms >= w.start_ms"
        f" AND w.start_ms < {SPAN_CLOCK}"
    ]
    if sizes:
        listed = ", ".join(f"'{size}'" for size in sizes)
        buckets = f"(SELECT * FROM {WINDOWS} WHERE kind = 'tumbling')"  # noqa: S608
        numbered = (
            f"SELECT i.*, a.number AS number, least(i.high_ms, {SPAN_CLOCK}) AS reach_ms\n"  # noqa: S608
            f"FROM (SELECT *, arrayJoin([{listed}]) AS size FROM ({rows})) AS i\n"
            f"ASOF JOIN {buckets} AS a ON i.size = a.size AND i.low_ms >= a.start_ms"
        )
        reaching = (
            "SELECT n.*, arrayJoin(range(toUInt64(n.number), toUInt64(z.number + 1))) AS bucket\n"
            f"FROM ({numbered}) AS n\n"
            f"ASOF JOIN {buckets} AS z ON n.size = z.size AND n.reach_ms >= z.start_ms"
        )
        found.append(
            f"SELECT r.* EXCEPT (size, number, reach_ms, bucket), {window}\n"
            f"FROM ({reaching}) AS r\n"
            f"INNER JOIN {buckets} AS w ON r.size = w.size AND toInt64(r.bucket) = w.number\n"
            f"WHERE w.start_ms < {SPAN_CLOCK}"
        )
    return "\nUNION ALL\n".join(found)
