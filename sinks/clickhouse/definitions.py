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
    rows = [_row(definition) for definition in catalogue.definitions.values()]
    await client.insert("definitions", rows, column_names=COLUMNS)
    return len(rows)


def _row(definition: Definition) -> tuple[Any, ...]:
    told = definition.model_dump(mode="json")
    return (
        definition.id,
        definition.version,
        definition.title,
        definition.unit,
        definition.direction,
        definition.fact,
        definition.attribution,
        definition.time,
        definition.of,
        definition.numerator,
        definition.denominator,
        json.dumps(told["parameters"], sort_keys=True, default=str),
        list(definition.source),
        definition.traps,
        json.dumps(told, sort_keys=True, default=str),
    )
