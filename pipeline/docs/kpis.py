"""The KPI reference, made from the catalogue: one section a KPI."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Final

from ruamel.yaml import YAML

from pipeline.docs.markdown import code, table
from pipeline.kpi import catalogue
from pipeline.kpi.catalogue import CompiledKpi, CompiledPart, Definition
from pipeline.kpi.definition import EXPRESSIONS
from pipeline.kpi.parameters import ParameterSpec
from schemas.facts import columns

CLOCK: Final = "{as_of_ms:Int64}"

_INTRO: Final = """\
# KPIs

One section a KPI, made from `pipeline/kpi/definitions/` by `make docs`. Do not edit.

A KPI is a numerator over a denominator, summed over one kind of fact (`schemas/facts.py`). The
stream and ClickHouse run the same expressions. The SQL of a section computes the KPI with its
default parameters over all time, from the views of `sinks/clickhouse/migrations/`; `{as_of_ms}` is
the clock. It counts every direction; an exhibit counts inbound contacts only, unless its `where`
says a `direction`, and adds its own population and windows.

| unit | value |
| --- | --- |
| count | the numerator |
| ratio | numerator / denominator, with its Wilson 95 % interval |
| seconds | numerator / denominator / 1000 |
| score | numerator / denominator; journey scores are in millionths |
| points | 100 * numerator / denominator |

An empty denominator gives null, never 0 or 100.

| attribution | which instant of the fact decides the window |
| --- | --- |
| arrival | the fact began |
| event | what is counted happened |
| close | the contact or session ended |
| cohort-final | the contact ended; a row is final once its window is over, provisional before |
| clip | none: each millisecond of the fact counts where it lies |
| gauge | none: it holds at the clock |

"""

_OWN: Final = "general knowledge or this project's own"
_MEANINGS: Final = {
    "time": "instant",
    "until": "for each millisecond until",
    "of": "population",
    "exists": "makes a zero a count",
    "numerator": "numerator",
    "denominator": "denominator",
    "matures": "final from",
    "due": "changes by time alone at",
}


def kpi_page() -> str:
    """The whole page."""
    loaded = catalogue.load()
    ids = list(loaded.definitions)
    index = ", ".join(f"[`{kpi_id}`](#{kpi_id})" for kpi_id in ids)
    sections = (
        _section(definition, loaded.compile(kpi_id))
        for kpi_id, definition in loaded.definitions.items()
    )
    return f"{_INTRO}{len(ids)} KPIs: {index}.\n\n" + "\n".join((*sections, _sources()))


def sources() -> dict[str, str]:
    """What ids of sources stand for."""
    text = (resources.files("pipeline.docs") / "sources.yaml").read_text("utf-8")
    return dict(YAML(typ="safe", pure=True).load(text))


def _sources() -> str:
    return "## Sources\n\n" + table(("id", "source"), sources().items())


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


def _section(definition: Definition, kpi: CompiledKpi) -> str:
    better = {"higher": "higher is better", "lower": "lower is better", "none": "no better way"}
    parts = [
        f"## {definition.id}\n",
        f"**{definition.title}**, version {definition.version}: {definition.unit}, "
        f"{better[definition.direction]}; from {_facts(kpi)}, by {definition.attribution}"
        f"{', largest' if definition.aggregate == 'max' else ''}.\n",
        f"{definition.traps}\n",
    ]
    if definition.parameters:
        parts.append(_parameters(definition.parameters))
    parts.append(_formula(definition))
    parts.append(f"SQL with default parameters:\n\n```sql\n{query(kpi)}\n```\n")
    cited = ", ".join(f"[{name}](#sources)" for name in definition.source)
    parts.append(f"Source: {cited or _OWN}.\n")
    return "\n".join(parts)


def _facts(kpi: CompiledKpi) -> str:
    return ", ".join(dict.fromkeys(code(part.fact) for part in kpi.parts))


def _parameters(specs: dict[str, ParameterSpec]) -> str:
    rows = [
        (code(name), spec.type, code(_shown(spec.default)), _limits(spec), _used(spec) + spec.help)
        for name, spec in specs.items()
    ]
    return table(("parameter", "type", "default", "allowed", "meaning"), rows)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _limits(spec: ParameterSpec) -> str:
    if spec.allowed:
        return ", ".join(code(one) for one in spec.allowed)
    if spec.type == "boolean":
        return "`true`, `false`"
    if math.isinf(spec.minimum) and math.isinf(spec.maximum):
        return "any"
    return f"{spec.minimum:g} to {spec.maximum:.15g}"


def _used(spec: ParameterSpec) -> str:
    told = [
        f"{name} {' or '.join(str(v) for v in values)}" for name, values in spec.used_when.items()
    ]
    return f"(only with {', '.join(told)}) " if told else ""


def _formula(definition: Definition) -> str:
    lines = list(_expressions(definition))
    for variant in definition.variants:
        when = ", ".join(f"{name}: {value}" for name, value in variant.when.items())
        changed = variant.model_dump(exclude={"when"}, exclude_none=True)
        told = "; ".join(f"{name}: {_joined(str(value))}" for name, value in changed.items())
        lines.append(f"with {when}: {told}")
    return "Formula:\n\n```text\n" + "\n".join(lines) + "\n```\n"


def _expressions(definition: Definition) -> Iterable[str]:
    for name, text in definition.let.items():
        yield f"{name} := {_joined(text)}"
    for name in EXPRESSIONS:
        text = getattr(definition, name)
        if text is not None and name in _MEANINGS and not (name == "exists" and text == "TRUE"):
            yield f"{_MEANINGS[name]}: {_joined(text)}"


def _joined(text: str) -> str:
    return " ".join(text.split())
