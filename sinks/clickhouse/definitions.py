"""The catalogue as rows of ``definitions``: every KPI's text beside its data."""

from __future__ import annotations

import json
from typing import Any, Final

from clickhouse_connect.driver import AsyncClient

from pipeline.kpi.catalogue import Catalogue
from pipeline.kpi.definition import Definition

COLUMNS: Final = (
    "kpi", "kpi_version", "title", "unit", "direction", "fact", "attribution", "time",
    "population", "numerator", "denominator", "parameters", "source", "traps", "definition",
)  # fmt: skip


async def write(client: AsyncClient, catalogue: Catalogue) -> int:
    """Write every definition; one that is there already changes nothing. Returns how many."""
    rows = [row(definition) for definition in catalogue.definitions.values()]
    await client.insert("definitions", rows, column_names=COLUMNS)
    return len(rows)


def row(definition: Definition) -> tuple[Any, ...]:
    """One definition in the order of :data:`COLUMNS`; of a composite, expressions by part."""
    told = definition.model_dump(mode="json")
    return (
        definition.id,
        definition.version,
        definition.title,
        definition.unit,
        definition.direction,
        ", ".join(dict.fromkeys(part.fact for part in definition.countings().values())),
        definition.attribution,
        _of_parts(definition, "time"),
        _of_parts(definition, "of"),
        definition.numerator,
        definition.denominator or "",
        json.dumps(told["parameters"], sort_keys=True, default=str),
        list(definition.source),
        definition.traps,
        json.dumps(told, sort_keys=True, default=str),
    )


def _of_parts(definition: Definition, place: str) -> str:
    """An expression, of a composite those of its parts by name."""
    if not definition.parts:
        return str(getattr(definition, place))
    return "; ".join(f"{name}: {getattr(part, place)}" for name, part in definition.parts.items())
