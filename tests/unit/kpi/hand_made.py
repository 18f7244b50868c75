"""Facts made by hand: only what a test is about, the rest at its plainest."""

from __future__ import annotations

from schemas.facts import FACT_KINDS, Fact, Header, columns

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

_PLAIN = {int: 0, str: "", bool: False}


def fact(kind: str, **given: object) -> Fact:
    """A fact of ``kind``; columns not given are null where they may be, else 0, "" or False."""
    header = {name: given.pop(name) for name in Header._fields if name in given}
    cls = FACT_KINDS[kind]
    own = {
        column.name: None if column.nullable else _PLAIN[column.type]
        for column in columns(kind)
        if column.name in cls._fields
    }
    assert given.keys() <= own.keys(), given.keys() - own.keys()
    return cls(header=Header(**header), **{**own, **given})


def sums(kpi, facts, as_of_ms=0, *, mature=False):
    """Numerator and denominator of a KPI over facts, and the number of rows that counted."""
    kpi = kpi.part
    rows = [f for f in facts if kpi.time(f, as_of_ms) is not None and kpi.of(f, as_of_ms)]
    if mature:
        rows = [f for f in rows if kpi.matures(f, as_of_ms) <= as_of_ms]
    numerators = [n for f in rows if (n := kpi.numerator(f, as_of_ms)) is not None]
    aggregate = {"sum": sum, "max": max, "min": min}[kpi.aggregate]
    denominator = sum(kpi.denominator(f, as_of_ms) for f in rows)
    return (aggregate(numerators) if numerators else None), denominator
