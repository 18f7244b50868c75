"""The script that computes an exhibit from facts, in a database of its own.

Its tables stay for whoever looks for the reason of a number: the rows of sums of each group, the
places (cells and windows) in which something lies, and ``computed``, the values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pipeline.kpi.catalogue import Combination
from pipeline.kpi.group import Group
from pipeline.kpi.plan import ExhibitPlan, Reading
from pipeline.kpi.warehouse.groups import (
    extent_sql,
    placed,
    sums_statement,
    table_of,
)
from pipeline.kpi.warehouse.names import CLOCK, OPEN, PLACE, PLACES, SPAN_CLOCK, WINDOWS
from pipeline.kpi.warehouse.values import (
    ToldSql,
    fraction_sql,
    mapped_sql,
    value_sql,
)
from schemas.exhibit import Tumbling
from schemas.values import TOTAL

_OF_PLACE: Final = tuple(f"p.{name} AS {name}" for name in (*PLACE, "at_end_ms", "at_day"))

RESULT: Final = (
    "SELECT name, reading, at_kind, at_size, at_start_ms, at_cell,"
    " numerator, denominator, value, n, low, high FROM computed"
)
"""The values: which, where, and the numbers."""

_COMPUTED: Final = (
    "CREATE TABLE computed (name String, reading String, at_kind String, at_size String,"
    " at_start_ms Int64, at_cell Array(String), numerator Nullable(Int64),"
    " denominator Nullable(Int64), value Nullable(Float64), n Nullable(Int64),"
    " low Nullable(Float64), high Nullable(Float64)) ENGINE = Memory"
)


_NOW: Final = f"(at_kind <> 'tumbling' OR at_start_ms <= {CLOCK} AND {CLOCK} < at_end_ms)"
"""A bucket that is over has no present, so it has no gauge."""


@dataclass(frozen=True)
class Script:
    """Statements to be run one after the other.

    They read the views of facts in the database ``{facts}``, the tables ``windows`` and
    ``opening_times``, and take the clock ``{as_of_ms}`` and ``{span_ms}``. They expect the setting
    ``prefer_column_name_to_alias``, as standard SQL reads names.

    Attributes:
        extent: First and last instant at which some fact counts; both null without any.
        statements: What makes the table ``computed``, read by :data:`RESULT`.
    """

    extent: str
    statements: tuple[str, ...]


def script(plan: ExhibitPlan) -> Script:
    """The script of a compiled exhibit."""
    statements = [sums_statement(plan, group) for group in plan.groups]
    statements += [_places(plan), _COMPUTED]
    statements += [_computed(plan, reading) for reading in plan.readings]
    return Script(extent_sql(plan), tuple(statements))


def _places(plan: ExhibitPlan) -> str:
    """Every window that holds a fact, and for cells that hold any the windows of the clock."""
    tables = {table_of(plan, group): group for group in plan.groups}
    sizes = ", ".join(f"'{w.size}'" for w in plan.exhibit.windows if isinstance(w, Tumbling))
    moving = [w for w in plan.exhibit.windows if not isinstance(w, Tumbling)]
    totals = ", ".join([f"'{TOTAL}'"] * len(plan.exhibit.by))
    whole = f"[{totals}]::Array(String)"
    found = []
    if sizes:
        found += [
            f"SELECT {', '.join(PLACE)} FROM {table}"  # noqa: S608
            f" WHERE at_kind = 'tumbling' AND at_size IN ({sizes})"
            for table, group in tables.items()
            if not group.gauge
        ]
    if moving:
        kinds = ", ".join(f"('{w.kind}', '{w.size or ''}')" for w in moving)
        cells = [f"SELECT at_cell FROM {table} WHERE at_kind = 'all'" for table in tables]  # noqa: S608
        cells.append(f"SELECT {whole} AS at_cell")
        found.append(
            "SELECT at_cell, kind AS at_kind, size AS at_size, start_ms AS at_start_ms\n"  # noqa: S608
            f"FROM ({' UNION ALL '.join(cells)}) AS c\n"
            f"CROSS JOIN (SELECT * FROM {WINDOWS} WHERE (kind, size) IN ({kinds})) AS w"
        )
    union = "\nUNION ALL\n".join(found)
    return (
        f"CREATE TABLE {PLACES} ENGINE = Memory AS\n"
        "SELECT DISTINCT p.at_cell AS at_cell, p.at_kind AS at_kind, p.at_size AS at_size,\n"
        "    p.at_start_ms AS at_start_ms, w.end_ms AS at_end_ms, w.day AS at_day\n"
        f"FROM ({union}) AS p\n"
        f"INNER JOIN {WINDOWS} AS w ON w.kind = p.at_kind AND w.size = p.at_size"
        " AND w.start_ms = p.at_start_ms"
    )


def _computed(plan: ExhibitPlan, reading: Reading) -> str:
    """The statement that adds the values of one reading."""
    source, told = _told(plan, reading)
    shown = "" if reading.cohort == "all" else reading.cohort
    start = "if(at_kind IN ('all', 'sliding'), 0, at_start_ms)"
    return (
        f"INSERT INTO computed SELECT '{reading.entry.name}', '{shown}', at_kind, at_size,\n"
        f"    {start}, at_cell,\n"
        f"    {told.numerator},\n    {told.denominator},\n    {told.value},\n"
        f"    {told.n},\n    {told.low},\n    {told.high}\nFROM ({source})"
    )


def _told(plan: ExhibitPlan, reading: Reading) -> tuple[str, ToldSql]:
    kpi, group = reading.kpi, reading.places[0][0]
    if kpi.combination is not None:
        if kpi.grid == "window":
            return _on_windows(plan, reading, kpi.combination), _composite(reading)
        return _on_grid(plan, reading, kpi.combination), _composite(reading)
    if group.shape == "map":
        told = mapped_sql(kpi, "named", "before")
        if kpi.gauge:
            told = ToldSql(*(f"if({_NOW}, {one}, NULL)" for one in told))
        return _maps(plan, reading, group), told
    if kpi.reads == "time_average":
        return _joined(plan, reading), _time_average(plan, reading)
    return _joined(plan, reading), _plain(reading)


# --- plain ----------------------------------------------------------------------------------------


def _joined(plan: ExhibitPlan, reading: Reading) -> str:
    """Places with the sums of each part: ``part_0_n``, ``part_0_d`` and ``part_0_e``, and so on."""
    columns, joins = [], []
    for i, (group, index) in enumerate(reading.places):
        if group.shape == "map":
            columns += [f"toInt64(0) AS part_{i}_{x}" for x in "nde"]
            continue
        columns += [f"g{i}.{x}{index} AS part_{i}_{x}" for x in "nde"]
        joins.append(f"LEFT JOIN {table_of(plan, group)} AS g{i} ON {_same_place(group, i)}")
    told = ", ".join((*_OF_PLACE, *columns))
    return f"SELECT {told} FROM {PLACES} AS p\n" + "\n".join(joins)  # noqa: S608


def _same_place(group: Group, i: int) -> str:
    if group.gauge:
        return f"g{i}.at_cell = p.at_cell"
    return " AND ".join(f"g{i}.{name} = p.{name}" for name in PLACE)


def _plain(reading: Reading) -> ToldSql:
    kpi = reading.kpi
    numerator, denominator, exists = "part_0_n", "part_0_d", "part_0_e"
    if kpi.gauge:
        told, known = numerator, "true"
        if kpi.reads != "value":
            known = f"{denominator} <> 0"
            told = f"{CLOCK} - {numerator}"
        if kpi.reads == "mean_age":
            told = f"intDiv({denominator} * {CLOCK} - {numerator}, if({known}, {denominator}, 1))"
        told = f"if({_NOW} AND {known}, toNullable({told}), NULL)"
        return ToldSql(told, value=value_sql(kpi, told, None))
    nothing = f"at_kind = 'tumbling' AND {exists} = 0"
    if kpi.unit == "count":
        return ToldSql(numerator, numerator, f"if({nothing}, NULL, {numerator})", numerator)
    if kpi.total:
        value = value_sql(kpi, numerator, None)
        return ToldSql(numerator, value=f"if({nothing}, NULL, {value})")
    return fraction_sql(kpi, numerator, denominator)


def _time_average(plan: ExhibitPlan, reading: Reading) -> ToldSql:
    """What is clipped, over the part of the window that has passed; all time has no length."""
    limit = f"least(at_end_ms, {SPAN_CLOCK})"
    length = f"greatest({limit} - at_start_ms, 0)"
    if plan.hours is not None:
        times = f"(SELECT groupArray((start_ms, end_ms)) FROM {OPEN})"  # noqa: S608
        overlap = f"least(one.2, {limit}) - greatest(one.1, at_start_ms)"
        length = f"arraySum(one -> greatest({overlap}, 0), {times})"
    length = f"if(at_kind = 'all', NULL, toNullable({length}))"
    value = value_sql(reading.kpi, "part_0_n", length)
    return ToldSql("part_0_n", length, f"if(at_kind = 'all', NULL, {value})", length)


# --- composites -----------------------------------------------------------------------------------


def _composite(reading: Reading) -> ToldSql:
    kpi = reading.kpi
    if kpi.total or kpi.unit == "count":
        return ToldSql("numerator", value=value_sql(kpi, "numerator", None))
    return fraction_sql(kpi, "numerator", "denominator", "n")


def _combined(reading: Reading, combination: Combination, source: str, columns: str) -> str:
    """Numerator, denominator and n over rows of parts; parts bear their names in the innermost."""
    named = ", ".join(f"part_{i}_n AS {part.name}" for i, part in enumerate(reading.kpi.parts))
    return (
        f"SELECT {columns}, toInt64({combination.sql['numerator']}) AS combined_n,"  # noqa: S608
        f" toInt64({combination.sql['denominator']}) AS combined_d,"
        f" toInt64({combination.sql['n']}) AS combined_of\n"
        f"FROM (SELECT *, {named} FROM ({source}))"
    )


def _on_windows(plan: ExhibitPlan, reading: Reading, combination: Combination) -> str:
    columns = f"{', '.join(PLACE)}, at_end_ms"
    rows = _combined(reading, combination, _joined(plan, reading), columns)
    told = "combined_n AS numerator, combined_d AS denominator, combined_of AS n"
    return f"SELECT *, {told} FROM ({rows})"  # noqa: S608


def _on_grid(plan: ExhibitPlan, reading: Reading, combination: Combination) -> str:
    """Combined on each interval of the grid that the clock has passed, then summed."""
    grid = reading.kpi.grid
    starts = " UNION DISTINCT ".join(
        f"SELECT at_cell, at_start_ms FROM {table_of(plan, group)}"  # noqa: S608
        f" WHERE at_kind = 'tumbling' AND at_size = '{grid}'"
        for group, _ in reading.places
        if not group.gauge
    )
    columns, joins = [], []
    for i, (group, index) in enumerate(reading.places):
        if group.shape == "map":
            columns.append(f"toInt64(0) AS part_{i}_n")
            continue
        same = f"g{i}.at_cell = s.at_cell"
        if not group.gauge:
            same += f" AND g{i}.at_start_ms = s.at_start_ms"
            same += f" AND g{i}.at_kind = 'tumbling' AND g{i}.at_size = '{grid}'"
        columns.append(f"g{i}.n{index} AS part_{i}_n")
        joins.append(f"LEFT JOIN {table_of(plan, group)} AS g{i} ON {same}")
    intervals = (
        "SELECT s.at_cell AS cell, s.at_start_ms AS at_ms, b.end_ms AS until_ms, "
        f"{', '.join(columns)}\nFROM ({starts}) AS s\n"
        f"INNER JOIN {WINDOWS} AS b ON b.kind = 'tumbling' AND b.size = '{grid}'"
        " AND b.start_ms = s.at_start_ms\n" + "\n".join(joins) + f"\nWHERE b.end_ms <= {CLOCK}"
    )
    rows = _combined(reading, combination, intervals, "cell, at_ms, until_ms")
    told = placed(rows, ("cell", "combined_n", "combined_d", "combined_of"), plan.sizes, whole=True)
    summed = (
        "SELECT cell AS at_cell, at_kind, at_size, at_start_ms,"
        " sum(combined_n) AS numerator, sum(combined_d) AS denominator, sum(combined_of) AS n\n"
        f"FROM ({told})\nGROUP BY {', '.join(PLACE)}"
    )
    same = " AND ".join(f"i.{name} = p.{name}" for name in PLACE)
    return (
        f"SELECT {', '.join(_OF_PLACE)}, i.numerator AS numerator, i.denominator AS denominator,"
        " i.n AS n\n"
        f"FROM {PLACES} AS p LEFT JOIN ({summed}) AS i ON {same}"
    )


# --- maps -----------------------------------------------------------------------------------------


def _maps(plan: ExhibitPlan, reading: Reading, group: Group) -> str:
    table = table_of(plan, group)
    named = (
        f"SELECT {', '.join(_OF_PLACE)}, g0.named AS named\n"
        f"FROM {PLACES} AS p LEFT JOIN {table} AS g0 ON {_same_place(group, 0)}"
    )
    if reading.kpi.reads != "psi":
        return named
    days = int(str(reading.kpi.parameters["baseline_days"]))
    same = " AND ".join(f"b.{name} = p.{name}" for name in PLACE)
    before = (
        f"SELECT {', '.join(f'd.{name} AS {name}' for name in PLACE)},"  # noqa: S608
        " sumMap([one.1], [one.3]) AS denominators\n"
        f"FROM (SELECT *, arrayJoin(range(1, {days + 1})) AS back FROM {PLACES}"
        " WHERE at_day >= 0) AS d\n"
        f"INNER JOIN (SELECT * FROM {WINDOWS} WHERE kind = 'tumbling' AND size = 'day') AS w"
        " ON w.number = d.at_day - toInt64(d.back)\n"
        f"INNER JOIN (SELECT * FROM {table} WHERE at_kind = 'tumbling' AND at_size = 'day') AS g"
        " ON g.at_cell = d.at_cell AND g.at_start_ms = w.start_ms\n"
        "ARRAY JOIN g.named AS one\n"
        f"GROUP BY {', '.join(PLACE)}"
    )
    joined = "arrayZip(b.denominators.1, b.denominators.2, b.denominators.2)"
    return (
        f"SELECT {', '.join(_OF_PLACE)}, p.named AS named, {joined} AS before\n"
        f"FROM ({named}) AS p LEFT JOIN ({before}) AS b ON {same}"
    )
