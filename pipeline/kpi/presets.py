"""What an entry of an exhibit asks for, once the exhibit's preset has filled in its defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pipeline.kpi.definition import Definition
from schemas.exhibit import Attribution, Exhibit, KpiEntry
from schemas.presets import Preset, load_preset


class Asked(NamedTuple):
    """Parameters and attribution to compile a KPI with; those left out have its own defaults."""

    parameters: Mapping[str, Any]
    attribution: Attribution | None


def preset_of(exhibit: Exhibit) -> Preset | None:
    """The preset of an exhibit, None where it has none."""
    return None if exhibit.preset is None else load_preset(exhibit.preset)


def asked(definition: Definition, entry: KpiEntry, preset: Preset | None) -> Asked:
    """What ``entry`` asks of its KPI: its own words first, then those of the preset.

    A default of the preset that means nothing beside the entry's own parameters is left out.

    Raises:
        DefinitionError: for a parameter that the KPI does not have or that has a bad value.
    """
    if preset is None:
        return Asked(entry.parameters, entry.attribution)
    told = preset.kpis.get(definition.id)
    given = {**(told.parameters if told else {}), **entry.parameters}
    parameters = {
        name: value
        for name, value in given.items()
        if name in entry.parameters or _is_used(definition, name, given)
    }
    if entry.attribution is not None:
        return Asked(parameters, entry.attribution)
    if told is not None and told.attribution is not None:
        return Asked(parameters, told.attribution)
    possible = definition.of_parameters(definition.fill(parameters)).attributions
    return Asked(parameters, preset.attribution if preset.attribution in possible else None)


def _is_used(definition: Definition, name: str, given: Mapping[str, Any]) -> bool:
    """Whether a parameter means something beside the others."""
    conditions = definition.parameters[name].used_when
    return all(
        given.get(other, definition.parameters[other].default) in values
        for other, values in conditions.items()
    )
