"""One set of events under several presets: what each platform would report of it, and why."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from pipeline.docs.markdown import code, table
from pipeline.exhibit.words import parameters
from schemas.exhibit import Exhibit
from schemas.exhibit_file import load_exhibit
from schemas.presets import load_preset, preset_names
from schemas.values import ExhibitValue
from schemas.words import listed, meant


def exhibits_under(kpi: str, presets: Sequence[str] = ()) -> list[Exhibit]:
    """An exhibit of one KPI over all time for each preset, named after it.

    Args:
        kpi: Id of the KPI.
        presets: Names of presets; without any, all that say something of the KPI.

    Raises:
        ValueError: for a preset that does not exist, or one that says nothing of the KPI.
    """
    for name in presets:
        if name not in preset_names():
            like = meant(name, preset_names())
            hint = f"did you mean {like}?" if like else f"write {listed(preset_names())}"
            raise ValueError(f"there is no preset {name}; {hint}")
    saying = [name for name in preset_names() if kpi in load_preset(name).kpis]
    for name in presets:
        if name not in saying:
            hint = f"; ask for {listed(saying)}" if saying else ""
            raise ValueError(f"{name} says nothing of {kpi}{hint}")
    if not saying:
        raise ValueError(f"no preset says anything of {kpi}")
    return [
        load_exhibit(
            json.dumps(
                {"exhibit": name, "preset": name, "windows": ["all"], "kpis": [{"kpi": kpi}]}
            ),
            name,
        )
        for name in dict.fromkeys(presets or saying)
    ]


def table_under(kpi: str, exhibits: Iterable[Exhibit], values: Iterable[ExhibitValue]) -> str:
    """What came of the exhibits of :func:`exhibits_under`: a row each, with its reason."""
    final = {v.exhibit: v for v in values if v.kpi == kpi and v.state != "provisional"}
    rows = []
    for exhibit in exhibits:
        told, value = load_preset(exhibit.exhibit).kpis[kpi], final.get(exhibit.exhibit)
        numbers = ("-", "-", "-")
        if value is not None and value.value is not None:
            numbers = (f"{value.value:.4f}", str(value.numerator), str(value.denominator))
        rows.append((code(exhibit.exhibit), *numbers, parameters(told.parameters), told.because))
    return table(("preset", code(kpi), "numerator", "denominator", "parameters", "because"), rows)
