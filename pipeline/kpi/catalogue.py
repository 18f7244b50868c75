"""The catalogue of KPIs: definitions as data, compiled for both engines.

``load()`` reads ``catalogue.yaml``; :meth:`Catalogue.compile` turns one KPI and its parameters into
Python functions for the stream and SQL for the warehouse, both from the same text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Literal

from ruamel.yaml import YAML

from pipeline.kpi.clickhouse_code import clickhouse_sql
from pipeline.kpi.definition import (
    Aggregate,
    Attribution,
    Definition,
    DefinitionError,
    Direction,
    Parameter,
)
from pipeline.kpi.expression import AS_OF_PARAMETER, bind, python_function
from pipeline.kpi.nodes import FALSE, TRUE, Term, Value, constant, nearest
from pipeline.kpi.stats import Unit
from schemas.exhibit import Exhibit, ExhibitError, Problem
from schemas.facts import Fact

__all__ = [
    "Aggregate", "Attribution", "Catalogue", "CompiledKpi", "Definition", "DefinitionError",
    "Direction", "Parameter", "Unit", "check_exhibit", "load", "parse",
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class CompiledKpi:
    """One KPI under given parameters, ready to run.

    Functions take a fact of kind ``fact`` and the clock in epoch milliseconds. A row counts when
    ``of`` is true and ``time`` is not None; then ``numerator`` and ``denominator`` are aggregated.

    Attributes:
        parameters: every parameter in use, defaults filled in.
        time: epoch ms that decides the window, None while the row does not count.
        exists: whether the row makes a count of 0 a count rather than undefined.
        numerator: an integer; None only where ``aggregate`` is max or min.
        matures: epoch ms from which the row is final; the row is mature at ``as_of_ms >= matures``.
        due: epoch ms from which the row contributes differently though no event came.
        reads: ``age`` where the published numerator is the clock minus the aggregate.
        micro: numerators are in millionths.
        sql: the same expressions as ClickHouse text, by name; the clock is ``{as_of_ms:Int64}``.
    """

    id: str
    version: int
    title: str
    unit: Unit
    direction: Direction
    fact: str
    attribution: Attribution
    aggregate: Aggregate
    gauge: bool
    reads: Literal["value", "age"]
    micro: bool
    parameters: dict[str, Parameter]
    time: Callable[[Fact, int], int | None]
    of: Callable[[Fact, int], bool]
    exists: Callable[[Fact, int], bool]
    numerator: Callable[[Fact, int], int | None]
    denominator: Callable[[Fact, int], int]
    matures: Callable[[Fact, int], int | None] | None
    due: Callable[[Fact, int], int | None] | None
    sql: dict[str, str] = field(repr=False)

    @property
    def key(self) -> str:
        """The definition in one line: id, version and parameters, equal for equal definitions."""
        return f"{self.id}@{self.version}{json.dumps(self.parameters, sort_keys=True)}"


def _shaped(definition: Definition, name: str, term: Term) -> Term:
    """The term with null and type as the expression's role has them.

    Raises:
        DefinitionError: if the expression has the wrong type for its role.
    """
    condition = name in ("of", "exists")
    types = ("bool",) if condition else ("int", "bool") if name.endswith("ator") else ("int",)
    if term.type not in types:
        raise DefinitionError(f"{definition.id}.{name} is {term.type}, not {' or '.join(types)}")
    if term.type == "bool":
        if condition and not term.nullable:
            return term
        yes, no = (TRUE, FALSE) if condition else (constant(1), constant(0))
        if term.is_constant:
            return yes if term.value else no
        return Term("CASE", (term, yes, no), None, yes.type, nullable=False)
    if term.nullable and (
        name == "denominator" or (name, definition.aggregate) == ("numerator", "sum")
    ):
        return Term("COALESCE", (term, constant(0)), None, "int", nullable=False)
    return term


class Catalogue:
    """All definitions, by id."""

    def __init__(self, definitions: tuple[Definition, ...]) -> None:
        self._definitions = {definition.id: definition for definition in definitions}
        if len(self._definitions) < len(definitions):
            raise ValueError("two definitions have one id")
        self._compiled: dict[tuple[str, str], CompiledKpi] = {}

    @property
    def definitions(self) -> Mapping[str, Definition]:
        """Definitions by id, in the order of the catalogue."""
        return self._definitions

    def definition(self, kpi_id: str) -> Definition:
        """One definition.

        Raises:
            DefinitionError: naming the nearest id.
        """
        found = self._definitions.get(kpi_id)
        if found is None:
            raise DefinitionError(f"unknown KPI {kpi_id}; {nearest(kpi_id, self._definitions)}")
        return found

    def compile(self, kpi_id: str, parameters: Mapping[str, object] | None = None) -> CompiledKpi:
        """Compile one KPI; the same object for the same definition.

        Raises:
            DefinitionError: for an unknown KPI, parameter or value.
        """
        definition = self.definition(kpi_id)
        filled = definition.fill(parameters or {})
        key = (kpi_id, json.dumps(filled, sort_keys=True))
        if key not in self._compiled:
            self._compiled[key] = _compile(definition.of_parameters(filled), filled)
        return self._compiled[key]


def _compile(definition: Definition, parameters: dict[str, Parameter]) -> CompiledKpi:
    values: dict[str, Value] = {}
    for name, value in parameters.items():
        if isinstance(value, dict):
            values.update({f"{name}_{entry}": number for entry, number in value.items()})
        else:
            values[name] = value
    functions: dict[str, Any] = {"matures": None, "due": None}
    sql = {}
    for name, expression in definition.expressions().items():
        term = _shaped(definition, name, bind(expression, definition.fact, values))
        functions[name] = python_function(term, definition.fact)
        sql[name] = clickhouse_sql(term, AS_OF_PARAMETER)
    return CompiledKpi(
        id=definition.id, version=definition.version, title=definition.title,
        unit=definition.unit, direction=definition.direction, fact=definition.fact,
        attribution=definition.attribution, aggregate=definition.aggregate,
        gauge=definition.gauge, reads=definition.reads, micro=definition.micro,
        parameters=parameters, sql=sql, **functions,
    )  # fmt: skip


def parse(text: str) -> Catalogue:
    """A catalogue from YAML.

    Raises:
        ValueError: for a row or an expression that is not valid.
    """
    rows = YAML(typ="safe", pure=True).load(text)
    return Catalogue(tuple(Definition.model_validate(row) for row in rows["kpis"]))


@cache
def load() -> Catalogue:
    """The catalogue of the product."""
    return parse((resources.files("pipeline.kpi") / "catalogue.yaml").read_text("utf-8"))


def check_exhibit(exhibit: Exhibit, catalogue: Catalogue) -> tuple[CompiledKpi, ...]:
    """Compile the KPIs of an exhibit, in its order.

    Raises:
        ExhibitError: with every unknown KPI, parameter and value, by line and column.
    """
    compiled, problems = [], []
    for i, entry in enumerate(exhibit.kpis):
        try:
            compiled.append(catalogue.compile(entry.kpi, entry.parameters))
        except DefinitionError as error:
            where: tuple[str | int, ...] = ("kpis", i, "kpi")
            if error.parameter is not None:
                where = ("kpis", i, "parameters", error.parameter)
            problems.append(Problem(*exhibit.source.place(where), str(error)))
    if problems:
        raise ExhibitError(exhibit.source.name, problems)
    return tuple(compiled)
