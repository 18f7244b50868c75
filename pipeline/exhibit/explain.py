"""An exhibit in words: what is computed of what, for whom, when it is final, and what misleads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pipeline.exhibit import words
from pipeline.kpi.catalogue import Catalogue, CompiledKpi, check_exhibit
from pipeline.kpi.definition import Definition
from pipeline.kpi.presets import asked, preset_of
from pipeline.kpi.settling import maturity_ms
from pipeline.kpi.warehouse import query
from schemas.exhibit import Exhibit, KpiEntry, Sliding
from schemas.facts import FACT_KINDS
from schemas.presets import Preset

_WIDTH: Final = 17
_MEANINGS: Final = {
    "of": "where",
    "time": "at",
    "until": "to",
    "key": "by",
    "numerator": "numerator",
    "denominator": "denominator",
}


def explain(exhibit: Exhibit, catalogue: Catalogue, *, sql: bool = False) -> str:
    """The exhibit as text.

    Raises:
        ExhibitError: for KPIs or parameters that the catalogue does not know.
    """
    kpis = check_exhibit(exhibit, catalogue)
    lines = [*_head(exhibit)]
    for number, (entry, kpi) in enumerate(zip(exhibit.kpis, kpis, strict=True), 1):
        definition = catalogue.definition(entry.kpi)
        lines += ["", f"{number}. {entry.name}: {entry.title or kpi.title}"]
        told = _entry(exhibit, entry, kpi, definition)
        lines += [f"   {title:<{_WIDTH}}{text}" for title, text in told]
        if sql:
            lines += ["", *(f"   {line}" for line in query(kpi).splitlines())]
    return "\n".join(lines) + "\n"


def _head(exhibit: Exhibit) -> Iterator[str]:
    title = f": {exhibit.title}" if exhibit.title else ""
    yield f"{exhibit.exhibit} version {exhibit.version}{title}"
    yield f"counts       {words.population(exhibit)}"
    yield f"split by     {', '.join(exhibit.by) or 'nothing'}{', with totals' * bool(exhibit.by)}"
    yield f"windows      {', '.join(words.window(window) for window in exhibit.windows)}"
    yield f"days in      {exhibit.time_zone}"
    if exhibit.business_hours is not None:
        yield "open         in business hours only; what lies outside of them does not count"
    preset = preset_of(exhibit)
    if preset is not None:
        yield f"preset       {preset.preset}: {preset.title}"
        yield from (f"             - {' '.join(note.split())}" for note in preset.notes)


def _entry(
    exhibit: Exhibit, entry: KpiEntry, kpi: CompiledKpi, definition: Definition
) -> Iterator[tuple[str, str]]:
    preset = preset_of(exhibit)
    chosen = _chosen(definition, entry, preset)
    yield "KPI", f"{kpi.id} version {kpi.version}, {kpi.unit}"
    yield "means", " ".join(definition.means.split())
    yield "value", words.value(kpi)
    if kpi.parameters:
        yield "parameters", words.parameters(kpi.parameters)
    if preset is not None and (told := _by_preset(definition, entry, preset, kpi)):
        yield "preset", told
    yield from _counted(chosen, kpi)
    yield "lies", f"by {kpi.attribution}: {words.INSTANTS[kpi.attribution]}"
    yield "final", words.finality(kpi)
    young = [w.size for w in exhibit.windows if isinstance(w, Sliding)]
    if kpi.cohort and young and maturity_ms(kpi) > 0:
        yield "undefined", f"the final value over the last {', '.join(young)}: nothing is so old"
    if target := words.target(entry):
        yield "target", target
    yield from words.responsibility(entry).items()
    yield "beware", " ".join(definition.traps.split())


def _chosen(definition: Definition, entry: KpiEntry, preset: Preset | None) -> Definition:
    """The definition under the parameters and the attribution of an entry."""
    wanted = asked(definition, entry, preset)
    chosen = definition.of_parameters(definition.fill(wanted.parameters))
    return chosen if wanted.attribution is None else chosen.attributed(wanted.attribution)


def _counted(definition: Definition, kpi: CompiledKpi) -> Iterator[tuple[str, str]]:
    for part in kpi.parts:
        about = (FACT_KINDS[part.fact].__doc__ or "").partition("\n")[0].rstrip(".")
        yield part.name or "counts", f"{part.fact}: {about[:1].lower() + about[1:]}"
        yield "  made of", ", ".join(words.events(part.fact))
        for place, title in _MEANINGS.items():
            text = part.sql.get(place)
            if text not in (None, "TRUE"):
                yield f"  {title}", words.expression(str(text))
    if kpi.combination is not None:
        place = "over the window" if kpi.grid == "window" else f"in each {kpi.grid}, then summed"
        yield "combined", f"{definition.numerator}; over {definition.denominator or 1}; {place}"


def _by_preset(definition: Definition, entry: KpiEntry, preset: Preset, kpi: CompiledKpi) -> str:
    told = preset.kpis.get(definition.id)
    if told is None:
        return ""
    found = [told.because]
    own = sorted(entry.parameters.keys() & told.parameters.keys())
    if own:
        found.append(f"the entry itself says {', '.join(own)}")
    wanted = entry.attribution or told.attribution or preset.attribution
    if wanted is not None and wanted != kpi.attribution:
        found.append(f"by {kpi.attribution}, since this KPI cannot be by {wanted}")
    return "; ".join(found)
