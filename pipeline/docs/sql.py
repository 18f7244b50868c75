"""ClickHouse SQL of a KPI, as the reference and ``cxstream exhibit explain`` print it."""

from __future__ import annotations

from typing import Final

from pipeline.kpi.catalogue import CompiledKpi
from schemas.facts import columns

CLOCK: Final = "{as_of_ms:Int64}"


def query(kpi: CompiledKpi) -> str | None:
    """SQL of a KPI over all time: columns ``numerator`` and ``denominator``.

    None for what one sum over one table does not give: composites, maps and what is clipped.
    """
    if kpi.combination is not None or kpi.part.aggregate == "map" or kpi.part.until is not None:
        return None
    part = kpi.part
    sql = part.sql
    numerator = f"{part.aggregate}({sql['numerator']})"
    conditions = [sql["of"]] if sql["of"] != "TRUE" else []
    if sql["time"] not in _never_null(part.fact):
        conditions.append(f"({sql['time']}) IS NOT NULL")
    if part.matures is not None:
        conditions.append(f"{sql['matures']} <= {CLOCK}")
    if kpi.reads == "age":
        numerator = f"{CLOCK} - {numerator}"
    lines = [
        "SELECT",
        f"  {numerator} AS numerator,",
        f"  sum({sql['denominator']}) AS denominator",
        f"FROM {part.fact}s",
    ]
    if conditions:
        told = [f"({one})" if " OR " in one else one for one in conditions]
        lines.append("WHERE " + "\n  AND ".join(told))
    return "\n".join(lines)


def _never_null(fact: str) -> frozenset[str]:
    return frozenset(column.name for column in columns(fact) if not column.nullable)
