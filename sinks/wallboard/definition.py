"""What a KPI of an exhibit means, for the page's panel: the catalogue's own words and formulas."""

from __future__ import annotations

from typing import Final

import msgspec

from pipeline.docs.kpis import sources
from pipeline.kpi.catalogue import Catalogue, CompiledKpi, Definition, check_exhibit
from pipeline.kpi.definition import EXPRESSIONS
from schemas.exhibit import Exhibit, KpiEntry
from schemas.facts import FACT_KINDS

_BETTER: Final = {
    "higher": "higher is better", "lower": "lower is better", "none": "neither way is better",
}  # fmt: skip
_ATTRIBUTIONS: Final = {
    "arrival": "counted when the contact arrived",
    "event": "counted when it happened",
    "close": "counted when the contact or session ended",
    "clip": "counted for the time that lies within the window",
    "cohort-final": "counted when the contact ended; final once its window is over",
    "gauge": "holds at the clock, whatever the window",
}
_PLACES: Final = {
    "time": "instant", "until": "until", "of": "population", "exists": "makes a zero a count",
    "numerator": "numerator", "denominator": "denominator", "matures": "final from",
    "due": "changes by time alone at", "key": "by",
}  # fmt: skip


_ABOUT_ORDER: Final = (
    "target_source", "owner", "item_ref", "intent", "method", "frequency", "kcr_task",
    "capability", "equivalence_note",
)  # fmt: skip
_ABOUT: Final = set(_ABOUT_ORDER)


class Parameter(msgspec.Struct, frozen=True):
    """A parameter in use, with the value the exhibit gives it."""

    name: str
    value: object
    meaning: str


class Formula(msgspec.Struct, frozen=True):
    """What is counted of one kind of fact; of a composite, also how its parts are combined."""

    name: str
    counts: str
    lines: list[tuple[str, str]]


class Described(msgspec.Struct, frozen=True):
    """Everything the panel says about a KPI."""

    title: str
    kpi: str
    name: str
    version: int
    unit: str
    better: str
    attribution: str
    attribution_meaning: str
    traps: str
    target: str | None
    min_n: int
    about: list[tuple[str, str]]
    population: dict[str, tuple[str, ...]]
    parameters: list[Parameter]
    formulas: list[Formula]
    sources: list[str]


def describe(exhibit: Exhibit, name: str, catalogue: Catalogue) -> Described | None:
    """The definition behind a row of an exhibit; None if it has no such row."""
    found = compiled_entry(exhibit, name, catalogue)
    if found is None:
        return None
    entry, compiled = found
    definition = catalogue.definition(entry.kpi)
    return Described(
        title=entry.title or definition.title,
        kpi=entry.kpi,
        name=name,
        version=definition.version,
        unit=definition.unit,
        better=_BETTER[definition.direction],
        attribution=compiled.attribution,
        attribution_meaning=_ATTRIBUTIONS[compiled.attribution],
        traps=" ".join(definition.traps.split()),
        target=entry.target.text if entry.target else None,
        min_n=entry.min_n,
        about=_about(entry),
        population=exhibit.effective_where,
        parameters=[
            Parameter(key, value, " ".join(definition.parameters[key].help.split()))
            for key, value in compiled.parameters.items()
        ],
        formulas=_formulas(_chosen(definition, compiled)),
        sources=[_source(one) for one in definition.source],
    )


def _about(entry: KpiEntry) -> list[tuple[str, str]]:
    """What the exhibit says of an entry for people: who asks for it, what it proves, and how."""
    told = entry.model_dump(mode="json", include=_ABOUT, exclude_none=True)
    return [(name.replace("_", " "), str(told[name])) for name in _ABOUT_ORDER if name in told]


def compiled_entry(
    exhibit: Exhibit, name: str, catalogue: Catalogue
) -> tuple[KpiEntry, CompiledKpi] | None:
    """An entry of an exhibit with its KPI as the exhibit's preset and own words make it."""
    for entry, compiled in zip(exhibit.kpis, check_exhibit(exhibit, catalogue), strict=True):
        if entry.name == name:
            return entry, compiled
    return None


def _chosen(definition: Definition, compiled: CompiledKpi) -> Definition:
    """The definition as it is for the parameters and the attribution of an entry."""
    chosen = definition.of_parameters(compiled.parameters)
    if chosen.attribution == compiled.attribution:
        return chosen
    return chosen.attributed(compiled.attribution)


def _formulas(definition: Definition) -> list[Formula]:
    found = []
    for name, counting in definition.countings().items():
        lines = [(part, _joined(text)) for part, text in counting.let.items()]
        for place in EXPRESSIONS:
            text = getattr(counting, place)
            if text is not None and not (place in ("of", "exists") and text == "TRUE"):
                lines.append((_PLACES[place], _joined(text)))
        docstring = (FACT_KINDS[counting.fact].__doc__ or "").partition("\n")[0]
        found.append(Formula(name, docstring, lines))
    if definition.parts:
        lines = [
            (place, _joined(getattr(definition, place) or "0"))
            for place in ("numerator", "denominator")
        ]
        found.append(Formula("", "The parts together.", lines))
    return found


def _source(name: str) -> str:
    text = sources().get(name)
    return name if text is None else f"{name}: {text}"


def _joined(text: str) -> str:
    return " ".join(text.split())
