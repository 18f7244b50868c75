"""The KPI reference, made from the catalogue: one page a KPI, and an index by group."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Final

from ruamel.yaml import YAML

from pipeline.docs.formula import mathematics
from pipeline.docs.markdown import code, table
from pipeline.exhibit import words
from pipeline.kpi import catalogue
from pipeline.kpi.catalogue import GROUPS, CompiledKpi, Definition
from pipeline.kpi.definition import Counting
from pipeline.kpi.parameters import ParameterSpec
from pipeline.kpi.warehouse import query
from schemas.facts import FACT_KINDS
from schemas.presets import load_preset, preset_names

FOLDER: Final = "docs/kpis"
INDEX: Final = f"{FOLDER}/README.md"
_EXAMPLES: Final = "tests/golden/examples"

_INTRO: Final = """\
# KPIs

One page a KPI, made from `pipeline/kpi/definitions/` by `make docs`. Do not edit.

A KPI is a numerator over a denominator, summed over rows of facts (`schemas/facts.py`). The stream
and ClickHouse run the same expressions. The SQL of a page computes the KPI with its default
parameters over all time, from the views of `sinks/clickhouse/migrations/`; `{as_of_ms}` is the
clock. It counts every direction; an exhibit counts inbound contacts only, unless its `where` says a
`direction`, and adds its own population and windows.

Choose them in an [exhibit](../exhibits.md). A [preset](../presets.md) gives the parameters of a
platform.

"""
_UNITS: Final = (
    ("count", "the numerator"),
    ("ratio", "numerator / denominator, with its Wilson 95 % interval where it is a proportion"),
    ("seconds", "numerator / denominator / 1000"),
    ("score", "numerator / denominator; some numerators are in millionths, as their pages say"),
    ("points", "100 * numerator / denominator"),
)
_ATTRIBUTIONS: Final = (
    ("arrival", "the fact began"),
    ("event", "what is counted happened"),
    ("close", "the contact or session ended"),
    ("clip", "every millisecond from its beginning to its end, each where it lies"),
    (
        "cohort-final",
        "the contact ended; final once its window is over, provisional before",
    ),
    ("gauge", "none: it holds at the clock"),
)
_OWN: Final = "general knowledge or this project's own"
_BETTER: Final = {
    "higher": "higher is better", "lower": "lower is better", "none": "neither way is better",
}  # fmt: skip
_MEANINGS: Final = {
    "of": ("P", "population"),
    "time": ("t", "instant"),
    "until": ("u", "end"),
    "numerator": ("N", "numerator"),
    "denominator": ("D", "denominator"),
    "key": ("k", "summed by"),
    "exists": ("", "makes a zero a count"),
    "matures": ("m", "final from"),
    "due": ("", "changes by time alone at"),
}


def kpi_pages(root: Path) -> dict[str, str]:
    """Every page of the reference by path; links to worked examples are found in ``root``."""
    loaded = catalogue.load()
    examples = _examples(root)
    pages = {INDEX: _index(loaded.definitions)}
    for kpi_id, definition in loaded.definitions.items():
        page = _page(definition, loaded.compile(kpi_id), examples.get(kpi_id, ()))
        pages[f"{FOLDER}/{kpi_id}.md"] = page
    return pages


def sources() -> dict[str, str]:
    """What ids of sources stand for."""
    text = (resources.files("pipeline.docs") / "sources.yaml").read_text("utf-8")
    return dict(YAML(typ="safe", pure=True).load(text))


def _examples(root: Path) -> dict[str, tuple[tuple[str, str], ...]]:
    """Title and path of the worked examples that name each KPI."""
    found: dict[str, list[tuple[str, str]]] = {}
    for path in sorted((root / _EXAMPLES).glob("*.md")):
        text = path.read_text("utf-8")
        title = text.partition("\n")[0].removeprefix("# ")
        for kpi in dict.fromkeys(re.findall(r"^\| `(\w+)[^`]*` \|", text, re.MULTILINE)):
            found.setdefault(kpi, []).append((title, f"../../{_EXAMPLES}/{path.name}"))
    return {kpi: tuple(links) for kpi, links in found.items()}


# --- the index ------------------------------------------------------------------------------------


def _index(definitions: Mapping[str, Definition]) -> str:
    groups = []
    for group, title in GROUPS.items():
        of_group = [d for d in definitions.values() if d.group == group]
        if of_group:
            rows = ((f"[`{d.id}`]({d.id}.md)", d.title, d.unit, d.attribution) for d in of_group)
            groups.append(f"## {title}\n\n{table(('KPI', 'is', 'unit', 'by'), rows)}\n")
    return (
        f"{_INTRO}{table(('unit', 'value'), _UNITS)}\nAn empty denominator gives null, never 0 or "
        f"100.\n\n{table(('attribution', 'which instant decides the window'), _ATTRIBUTIONS)}\n"
        f"{''.join(groups)}## Sources\n\n{table(('id', 'source'), sources().items())}"
    )


# --- a page ---------------------------------------------------------------------------------------


def _page(definition: Definition, kpi: CompiledKpi, examples: Iterable[tuple[str, str]]) -> str:
    facts = ", ".join(dict.fromkeys(code(part.fact) for part in kpi.parts))
    parts = [
        f"# {definition.title}\n",
        f"`{definition.id}` version {definition.version}, of [{GROUPS[definition.group]}]"
        f"(README.md#{_anchor(GROUPS[definition.group])}): {definition.unit}, "
        f"{_BETTER[definition.direction]}; from {facts}, by {definition.attribution}.\n",
        f"{_joined(definition.means)} {_rows_are(kpi)}\n",
        f"**Beware.** {' '.join(definition.traps.split())}\n",
        _formula(definition, kpi),
    ]
    if definition.parameters:
        parts.append(f"## Parameters\n\n{_parameters(definition.parameters)}")
    if len(definition.attributions) > 1:
        parts.append(f"## Attributions to choose from\n\n{_attributions(definition)}")
    if reported := _reported(definition.id):
        head = ("preset", "parameters", "because")
        parts.append(f"## Who reports it how\n\n{table(head, reported)}")
    if links := "".join(f"- [{title}]({path})\n" for title, path in examples):
        parts.append(f"## Worked examples\n\n{links}")
    parts.append(f"## SQL\n\nWith default parameters:\n\n```sql\n{query(kpi)}\n```\n")
    cited = ", ".join(f"[{name}](README.md#sources)" for name in definition.source)
    parts.append(f"Source: {cited or _OWN}.\n")
    return "\n".join(parts)


def _rows_are(kpi: CompiledKpi) -> str:
    """What a row is of each kind of fact that is counted."""
    told = []
    for fact in dict.fromkeys(part.fact for part in kpi.parts):
        about = (FACT_KINDS[fact].__doc__ or "").partition("\n")[0]
        told.append(f"A row of {code(fact)} is {about[:1].lower() + about[1:]}")
    return " ".join(told)


def _anchor(title: str) -> str:
    return re.sub(r"[^\w -]", "", title).lower().replace(" ", "-")


def _parameters(specs: dict[str, ParameterSpec]) -> str:
    rows = [
        (code(name), spec.type, code(words.plain(spec.default)), _limits(spec),
         _used(spec) + spec.help)
        for name, spec in specs.items()
    ]  # fmt: skip
    return table(("parameter", "type", "default", "allowed", "meaning"), rows)


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


def _attributions(definition: Definition) -> str:
    rows = []
    for attribution in definition.attributions:
        chosen = definition.attributed(attribution)
        instant = f"{chosen.time} to {chosen.until}" if chosen.until else str(chosen.time)
        rows.append((attribution, code(_joined(instant))))
    return table(("attribution", "instant"), rows)


def _reported(kpi_id: str) -> list[tuple[str, str, str]]:
    rows = []
    for name in preset_names():
        told = load_preset(name).kpis.get(kpi_id)
        if told is not None:
            link = f"[{code(name)}](../presets.md#{name})"
            rows.append((link, words.parameters(told.parameters), told.because))
    return rows


def _formula(definition: Definition, kpi: CompiledKpi) -> str:
    value = words.value(kpi)
    told = [f"## Formula\n\n```math\n{mathematics(kpi)}\n```\n\nThe value is {value}.\n"]
    for name, counting in definition.countings().items():
        lines = "\n".join(_expressions(counting))
        title = f"{name}, of {code(counting.fact)}:\n\n" if name else ""
        told.append(f"{title}```text\n{lines}\n```\n")
    if definition.parts:
        told.append(
            f"```text\nN: {_joined(definition.numerator)}\n"
            f"D: {_joined(definition.denominator or '1')}\n```\n"
        )
    if variants := [_variant(v.when, v.model_dump(exclude={"when"}, exclude_none=True))
                    for v in definition.variants]:  # fmt: skip
        told.append("Variants:\n\n```text\n" + "\n".join(variants) + "\n```\n")
    return "\n".join(told)


def _variant(when: Mapping[str, object], changed: Mapping[str, object]) -> str:
    condition = ", ".join(f"{name}: {value}" for name, value in when.items())
    return f"with {condition}: " + "; ".join(
        f"{name}: {_joined(str(value))}" for name, value in changed.items()
    )


def _expressions(counting: Counting) -> Iterable[str]:
    for name, text in counting.let.items():
        yield f"{name} := {_joined(text)}"
    for place, (symbol, meaning) in _MEANINGS.items():
        text = getattr(counting, place)
        if text is not None and not (place == "exists" and text == "TRUE"):
            yield f"{symbol + ', ' if symbol else ''}{meaning}: {_joined(text)}"
    if counting.aggregate != "sum":
        yield f"aggregate: {counting.aggregate}"


def _joined(text: str) -> str:
    return " ".join(text.split())
