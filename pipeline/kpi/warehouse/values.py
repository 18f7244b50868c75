"""SQL that reads sums as values, as ``pipeline/kpi/sums.py`` does in the stream."""

from __future__ import annotations

from typing import Final, NamedTuple

from pipeline.kpi.bins import BINS
from pipeline.kpi.catalogue import CompiledKpi
from pipeline.kpi.stats import PSI_FLOOR, Z_95

NO_INTEGER: Final = "NULL::Nullable(Int64)"
NO_NUMBER: Final = "NULL::Nullable(Float64)"
_BINS: Final = f"[{', '.join(str(one) for one in BINS)}]::Array(Int64)"


class ToldSql(NamedTuple):
    """Expressions of one value."""

    numerator: str
    denominator: str = NO_INTEGER
    value: str = NO_NUMBER
    n: str = NO_INTEGER
    low: str = NO_NUMBER
    high: str = NO_NUMBER


def value_sql(kpi: CompiledKpi, numerator: str, denominator: str | None) -> str:
    """The value that a numerator and a denominator stand for; null where it is undefined."""
    if kpi.unit == "count":
        told = f"toFloat64({numerator})"
    else:
        n = "1" if denominator is None else denominator
        scale = {"seconds": 1000, "points": 1}.get(kpi.unit, 1_000_000 if kpi.micro else 1)
        told = f"{'100 * ' if kpi.unit == 'points' else ''}toFloat64({numerator})"
        told = f"{told} / ({n} * {scale})"
    if denominator is None:
        return told
    return f"if({denominator} = 0, NULL, {told})"


def _wilson(numerator: str, denominator: str) -> tuple[str, str]:
    """The bounds of the Wilson interval; of no meaning where there is no denominator."""
    p = f"({numerator} / {denominator})"
    z2 = f"({Z_95 * Z_95!r} / {denominator})"
    margin = f"{Z_95!r} * sqrt({p} * (1 - {p}) / {denominator} + {z2} / (4 * {denominator}))"
    low = f"({p} + {z2} / 2 - {margin}) / (1 + {z2})"
    high = f"({p} + {z2} / 2 + {margin}) / (1 + {z2})"
    return (
        f"if({numerator} = 0, 0., {low})",
        f"if({numerator} = {denominator}, 1., {high})",
    )


def fraction_sql(
    kpi: CompiledKpi, numerator: str, denominator: str, n: str | None = None
) -> ToldSql:
    """A numerator over a denominator, with its interval if it is a proportion.

    ``n`` is the denominator unless given.
    """
    n = n or denominator
    value = value_sql(kpi, numerator, denominator)
    if kpi.unit != "ratio" or not kpi.proportion or kpi.attribution == "clip":
        return ToldSql(numerator, denominator, value, n)
    low, high = (
        f"if({denominator} = 0, NULL, {bound})" for bound in _wilson(numerator, denominator)
    )
    return ToldSql(numerator, denominator, value, n, low, high)


# --- maps -----------------------------------------------------------------------------------------


def mapped_sql(kpi: CompiledKpi, named: str, before: str) -> ToldSql:
    """What a map comes to.

    Args:
        kpi: Says how the map is read.
        named: Name of an array of (name, numerator, denominator).
        before: The same of the time that is compared with, for ``psi``.

    Raises:
        ValueError: for a KPI that is read in no way known here.
    """
    n = f"arraySum(one -> one.3, {named})"
    match kpi.reads:
        case "percentile":
            return _told_bin(
                kpi, _percentile(named, n, float(str(kpi.parameters["percentile"]))), n
            )
        case "median_survival":
            return _told_bin(kpi, _median_survival(named), n)
        case "covered":
            known = f"arrayFilter(one -> one.3 > 0, {named})"
            told = (f"toInt64(arrayCount(one -> one.2 > 0, {known}))", f"toInt64(length({known}))")
            return fraction_sql(kpi, *told)
        case "least_ratio":
            return _least_ratio(kpi, named, n)
        case "difference":
            return _difference(kpi, named)
        case "psi":
            return ToldSql(NO_INTEGER, NO_INTEGER, _psi(before, named), n)
    raise ValueError(f"{kpi.id}: a map is not read as {kpi.reads}")


def _sorted(named: str) -> str:
    """(bin, numerator, denominator) from the smallest bin on."""
    return f"arraySort(arrayMap(one -> (toInt64(one.1), one.2, one.3), {named}))"


def _told_bin(kpi: CompiledKpi, floor: str, n: str) -> ToldSql:
    following = f"if(bin = {BINS[-1]}, bin + 1, {_BINS}[indexOf({_BINS}, bin) + 1])"
    middle = f"arrayMap(bin -> intDiv(bin + {following} - 1, 2), {floor})"
    told = f"if(empty({middle}), NULL, toNullable({middle}[1]))"
    return ToldSql(told, "1", value_sql(kpi, told, None), n)


def _percentile(named: str, n: str, percent: float) -> str:
    """An array with the bin of the nearest rank; empty where nothing is counted."""
    counts = f"arrayCumSum(one -> one.3, {_sorted(named)})"
    rank = f"greatest(ceil({percent!r} * {n} / 100), 1)"
    place = f"arrayFirstIndex(count -> count >= {rank}, {counts})"
    return f"arrayMap(one -> one.1, arraySlice({_sorted(named)}, {place}, if({n} > 0, 1, 0)))"


def _median_survival(named: str) -> str:
    """An array with the first bin by which at most half go on; empty before that.

    Shares multiply as logarithms; a share of exactly one half is one within 1e-12.
    """
    rows = _sorted(named)
    seen = f"arrayCumSum(one -> one.3, {rows})"
    at_risk = f"(arraySum(one -> one.3, {rows}) - seen + one.3)"
    step = f"if(one.2 = 0, 0., log(({at_risk} - one.2) / {at_risk}))"
    survival = f"arrayCumSum(arrayMap((one, seen) -> {step}, {rows}, {seen}))"
    half = "0.5 * (1 + 1e-12)"
    return (
        f"arraySlice(arrayMap(pair -> pair.1.1, arrayFilter(pair -> exp(pair.2) <= {half},"
        f" arrayZip({rows}, {survival}))), 1, 1)"
    )


def _least_ratio(kpi: CompiledKpi, named: str, n: str) -> ToldSql:
    least = max(int(str(kpi.parameters.get("min_n", 1))), 1)
    enough = f"arrayFilter(one -> one.3 >= {least}, {named})"
    rates = f"arraySort(one -> (one.2 / one.3, one.1), {enough})"
    known = f"(length({rates}) >= 2 AND {rates}[-1].2 <> 0)"
    numerator = f"if({known}, {rates}[1].2 * {rates}[-1].3, 0)"
    denominator = f"if({known}, {rates}[1].3 * {rates}[-1].2, 0)"
    value = value_sql(kpi, numerator, denominator)
    return ToldSql(numerator, denominator, value, n)


def _difference(kpi: CompiledKpi, named: str) -> ToldSql:
    def sums(parameter: str) -> tuple[str, str]:
        name = _quoted(str(kpi.parameters[parameter]))
        found = f"arrayFilter(one -> one.1 = {name}, {named})"
        return f"arraySum(one -> one.2, {found})", f"arraySum(one -> one.3, {found})"

    (n1, d1), (n2, d2) = sums("baseline"), sums("candidate")
    low1, high1 = _wilson(n1, d1)
    low2, high2 = _wilson(n2, d2)
    p1, p2 = f"({n1} / {d1})", f"({n2} / {d2})"
    known = f"{d1} <> 0 AND {d2} <> 0"
    below = f"sqrt(pow({p2} - {low2}, 2) + pow({high1} - {p1}, 2))"
    above = f"sqrt(pow({high2} - {p2}, 2) + pow({p1} - {low1}, 2))"
    return ToldSql(
        f"if({known}, {n2} * {d1} - {n1} * {d2}, 0)",
        f"if({known}, {d2} * {d1}, 0)",
        f"if({known}, {p2} - {p1}, NULL)",
        f"{d1} + {d2}",
        f"if({known}, {p2} - {p1} - {below}, NULL)",
        f"if({known}, {p2} - {p1} + {above}, NULL)",
    )


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _psi(before: str, named: str) -> str:
    def share(named_: str) -> str:
        found = f"arraySum(one -> if(one.1 = name, one.3, 0), {named_})"
        return f"greatest({found} / arraySum(one -> one.3, {named_}), {PSI_FLOOR!r})"

    names = f"arrayDistinct(arrayConcat({before}.1, {named}.1))"
    e, a = share(before), share(named)
    known = f"arraySum(one -> one.3, {before}) > 0 AND arraySum(one -> one.3, {named}) > 0"
    return f"if({known}, arraySum(name -> ({a} - {e}) * log({a} / {e}), {names}), NULL)"
