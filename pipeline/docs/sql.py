"""ClickHouse SQL of a KPI, as the reference and ``cxstream exhibit explain`` print it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pipeline.kpi.catalogue import CompiledKpi, CompiledPart
from schemas.facts import columns

CLOCK: Final = "{as_of_ms:Int64}"


def query(kpi: CompiledKpi) -> str:
    """ClickHouse SQL of a KPI over all time: columns ``numerator`` and ``denominator``.

    A composite is combined of its parts; a map gives one row a key, whose reading follows.
    """
    if kpi.combination is not None:
        totals = ((part.name, _totals(kpi, part)) for part in kpi.parts)
        parts = ",\n".join(f"  tupleElement(({sql}), 1) AS {name}" for name, sql in totals)
        told = ",\n".join(f"  {text} AS {name}" for name, text in kpi.combination.sql.items())
        return f"WITH\n{parts}\nSELECT\n{told}"
    if kpi.part.aggregate == "map":
        _, rest = _totals(kpi, kpi.part).split("\n", 1)
        return f"SELECT\n  {kpi.part.sql['key']} AS key,\n{rest}\nGROUP BY key"
    return _totals(kpi, kpi.part)


def _totals(kpi: CompiledKpi, part: CompiledPart) -> str:
    sql = part.sql
    aggregate = "sum" if part.aggregate == "map" else part.aggregate
    length = _length(sql)
    numerator = f"{aggregate}({sql['numerator']}{length})"
    denominator = "NULL" if kpi.total else f"sum({sql['denominator']}{length})"
    conditions = [sql["of"]] if sql["of"] != "TRUE" else []
    if sql["time"] not in _never_null(part.fact):
        conditions.append(f"({sql['time']}) IS NOT NULL")
    if part.matures is not None:
        conditions.append(f"{sql['matures']} <= {CLOCK}")
    if kpi.reads == "age":
        numerator = f"{CLOCK} - {numerator}"
    if kpi.reads == "mean_age":
        numerator = f"intDiv(count() * {CLOCK} - {numerator}, nullIf(count(), 0))"
    lines = [
        "SELECT",
        f"  {numerator} AS numerator,",
        f"  {denominator} AS denominator",
        f"FROM {part.fact}s",
    ]
    if conditions:
        told = [f"({one})" if " OR " in one else one for one in conditions]
        lines.append("WHERE " + "\n  AND ".join(told))
    return "\n".join(lines)


def _length(sql: Mapping[str, str]) -> str:
    """Of what is clipped, the factor of every row: its milliseconds up to the clock."""
    if "until" not in sql:
        return ""
    end = f"least(coalesce({sql['until']}, {CLOCK}), {CLOCK})"
    return f" * greatest({end} - {sql['time']}, 0)"


def _never_null(fact: str) -> frozenset[str]:
    return frozenset(column.name for column in columns(fact) if not column.nullable)
