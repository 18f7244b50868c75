"""The page of presets: what each gives to which KPI, and what no definition here can say."""

from __future__ import annotations

from typing import Final

from pipeline.docs.markdown import code, table
from pipeline.exhibit.words import parameters
from pipeline.kpi import catalogue
from schemas.presets import Preset, load_preset, preset_names

_INTRO: Final = """\
# Presets

One KPI has one name and many meanings. A preset gives the KPIs of an exhibit the parameters and the
attribution that a platform reports by; what an entry says itself wins. Values carry the parameters
and the attribution that were used, so a reader sees which meaning a number has.

```yaml
exhibit: as-on-the-platform
preset: talkdesk_live
kpis:
  - {kpi: service_level}
  - {kpi: service_level, as: stricter, parameters: {threshold_seconds: 10}}
```

The same calls have another service level under each:
[one set of events under four presets](../tests/golden/presets/four-platforms.md). Made from
`schemas/exhibits/presets/` by `make docs`. Do not edit.

"""


def presets_page() -> str:
    """The whole page."""
    return _INTRO + definitions() + "\n" + "\n".join(_section(preset) for preset in _all())


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
