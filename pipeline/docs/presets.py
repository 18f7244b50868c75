"""Presets: what each gives to which KPI, and what no definition here can say."""

from __future__ import annotations

from pipeline.docs.markdown import code, table
from pipeline.exhibit.words import parameters
from pipeline.kpi import catalogue
from schemas.presets import Preset, load_preset, preset_names


def presets_reference() -> str:
    """Defaults of every preset, one table, then a section for each."""
    return definitions() + "\n" + "\n".join(_section(preset) for preset in _all())


def definitions() -> str:
    """Defaults of every preset, one table."""
    rows = [
        (code(preset.preset), code(kpi), parameters(told.parameters), told.because)
        for preset in _all()
        for kpi, told in preset.kpis.items()
    ]
    return table(("preset", "KPI", "parameters", "because"), rows)


def _all() -> list[Preset]:
    return [load_preset(name) for name in preset_names()]


def _section(preset: Preset) -> str:
    notes = "".join(f"- {' '.join(note.split())}\n" for note in preset.notes)
    cited = ", ".join(f"[{name}](kpis/README.md#sources)" for name in preset.source)
    return (
        f"## {preset.preset}\n\n**{preset.title}.** {_attribution(preset)}\n\n{notes}\n"
        f"Sources: {cited}.\n"
    )


def _attribution(preset: Preset) -> str:
    if preset.attribution is None:
        return "Every KPI keeps its own attribution."
    known = catalogue.load().definitions
    of_preset = [kpi for kpi in preset.kpis if preset.attribution not in known[kpi].attributions]
    told = f"Attributed by {preset.attribution} where a KPI can be"
    if not of_preset:
        return f"{told}."
    return f"{told}; {', '.join(code(kpi) for kpi in of_preset)} cannot and keep their own."
