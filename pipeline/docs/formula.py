"""A definition as mathematics: what is summed over which rows of which window."""

from __future__ import annotations

from typing import Final

from pipeline.kpi.catalogue import CompiledKpi, CompiledPart

_SCALES: Final = {"seconds": r"\frac{1}{1000} \cdot ", "points": r"100 \cdot "}
_READS: Final = {
    "percentile": r"\operatorname{percentile}_{p} \{\, k(r) : r \in R(W) \,\}",
    "median_survival": r"\operatorname{median}\ \text{of the survival curve of}\ k(r),\ r \in R(W)",
    "psi": r"\sum_{k} (p_k - q_k) \ln \frac{p_k}{q_k}",
    "least_ratio": r"\frac{\min_k N_k / D_k}{\max_k N_k / D_k}",
    "time_average": r"\frac{1}{|W|} \sum_{r \in R(W)} N(r)\, \left| [t(r), u(r)) \cap W \right|",
    "covered": r"\frac{|\{k : N_k > 0, D_k > 0\}|}{|\{k : D_k > 0\}|}",
    "mean_age": r"10^{-3} \left( T - \frac{\sum_{r \in R} N(r)}{|R|} \right)",
    "difference": r"\frac{N_{\text{candidate}}}{D_{\text{candidate}}}"
    r" - \frac{N_{\text{baseline}}}{D_{\text{baseline}}}",
}  # fmt: skip


def mathematics(kpi: CompiledKpi) -> str:
    """The formula of a KPI in LaTeX, over the names that the page explains."""
    name = kpi.id.replace("_", r"\_")
    lines = [rf"\mathrm{{{name}}}(W) = {_value(kpi)}", *_rows(kpi)]
    told = " \\\\\n".join(line.replace(" = ", " &= ", 1) for line in lines)
    return f"\\begin{{aligned}}\n{told}\n\\end{{aligned}}"


def _value(kpi: CompiledKpi) -> str:
    if kpi.reads in _READS:
        return _READS[kpi.reads]
    if kpi.combination is not None:
        return _composite(kpi)
    scale = _SCALES.get(kpi.unit, "")
    if kpi.micro:
        scale = r"10^{-6} \cdot "
    part = kpi.part
    if part.aggregate in ("max", "min"):
        extreme = rf"\{part.aggregate}_{{r \in R(W)}} N(r)"
        return scale + (rf"\left( T - {extreme} \right)" if kpi.reads == "age" else extreme)
    length = r"\, \left| [t(r), u(r)) \cap W \right|" if part.until is not None else ""
    total = rf"\sum_{{r \in R(W)}} N(r){length}"
    if kpi.total or kpi.unit == "count":
        return scale + total
    return rf"{scale}\frac{{{total}}}{{\sum_{{r \in R(W)}} D(r){length}}}"


def _composite(kpi: CompiledKpi) -> str:
    scale = r"10^{-6} \cdot " if kpi.micro else _SCALES.get(kpi.unit, "")
    of_grid = "" if kpi.grid == "window" else rf"\sum_{{i \in W / \text{{{kpi.grid}}}}} "
    at = "W" if kpi.grid == "window" else "i"
    if kpi.total or kpi.unit == "count":
        return rf"{scale}{of_grid}N({at})"
    return rf"{scale}\frac{{{of_grid}N({at})}}{{{of_grid}D({at})}}"


def _rows(kpi: CompiledKpi) -> list[str]:
    if kpi.combination is not None:
        return [_sum_of(part, kpi) for part in kpi.parts]
    part = kpi.part
    conditions = ["P(r)"]
    if kpi.gauge:
        pass
    elif part.until is not None:
        conditions.append(r"[t(r), u(r)) \cap W \neq \emptyset")
    else:
        conditions.append(r"t(r) \in W")
    if part.matures is not None:
        conditions.append(r"m(r) \le T")
    fact = part.fact.replace("_", r"\_")
    told = r",\ ".join(conditions)
    return [rf"R(W) = \{{\, r \in \text{{{fact}}} : {told} \,\}}"]


def _sum_of(part: CompiledPart, kpi: CompiledKpi) -> str:
    """What a part of a composite adds up, over the window or an interval of its grid."""
    at = "W" if kpi.grid == "window" else "i"
    name, fact = (text.replace("_", r"\_") for text in (part.name, part.fact))
    t, u, n, p = (rf"{symbol}_{{\mathrm{{{name}}}}}(r)" for symbol in "tuNP")
    if part.until is None:
        what, where = n, rf"{t} \in {at}"
    else:
        what = rf"{n}\, \left| [{t}, {u}) \cap {at} \right|"
        where = rf"[{t}, {u}) \cap {at} \neq \emptyset"
    rows = rf"r \in \text{{{fact}}} : {p},\ {where}"
    return rf"\mathrm{{{name}}}({at}) = \sum_{{{rows}}} {what}"
