"""The catalogue of KPIs: definitions as data, compiled for both engines.

``load()`` reads ``definitions/``; :meth:`Catalogue.compile` turns one KPI and its parameters into
Python functions for the stream and SQL for the warehouse, both from the same text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Final

from ruamel.yaml import YAML

from pipeline.kpi.clickhouse_code import clickhouse_sql
from pipeline.kpi.definition import (
    Aggregate,
    Counting,
    Definition,
    Direction,
    Grid,
    Reads,
)
from pipeline.kpi.expression import (
    AS_OF_PARAMETER,
    bind,
    bind_parts,
    parts_function,
    python_function,
    python_source,
)
from pipeline.kpi.horizon import too_short
from pipeline.kpi.nodes import FALSE, TRUE, Term, Value, constant
from pipeline.kpi.parameters import DefinitionError, Parameter
from pipeline.kpi.presets import asked, preset_of
from pipeline.kpi.stats import Unit
from schemas.exhibit import Attribution, Exhibit, ExhibitError, Problem, TumblingSize
from schemas.facts import Fact
from schemas.words import listed, meant

__all__ = [
    "GROUPS", "Aggregate", "Attribution", "Catalogue", "CompiledKpi", "CompiledPart", "Definition",
    "DefinitionError", "Direction", "Parameter", "Unit", "check_exhibit", "load", "parse",
]  # fmt: skip

GROUPS: Final = {
    "service": "Accessibility and service",
    "handling": "Handling and efficiency",
    "resolution": "Resolution",
    "quality": "Quality",
    "experience": "Customer experience",
    "automation": "Automation",
    "governance": "AI governance",
    "journey": "Service journeys",
    "workforce": "Workforce",
    "planning": "Forecasts and staffing",
    "people": "People",
    "cost": "Cost",
}
"""Groups of the catalogue in their order, each one file of ``definitions/``."""

ABBREVIATIONS: Final = {
    "sl": "service_level",
    "sla": "service_level",
    "tsf": "service_level",
    "acw": "wrap_time",
    "ata": "mean_time_to_abandon",
    "frt": "first_reply_time",
    "jes": "journey_effort",
    "oct": "one_contact_one_channel",
    "ocr": "one_contact_one_channel",
}
"""What people call KPIs whose ids are other words; for hints alone."""


@dataclass(frozen=True, eq=False)
class CompiledPart:
    """What a KPI counts of one kind of fact, ready to run.

    Functions take a fact of kind ``fact`` and the clock in epoch milliseconds. A row counts when
    ``of`` is true and ``time`` is not None; then ``numerator`` and ``denominator`` are aggregated.

    Attributes:
        name: name in its KPI; empty where it is the only one.
        time: epoch ms that decides the window, None while the row does not count.
        until: of what is clipped, the end: numerator and denominator count for each millisecond
            from ``time`` to it, and on to the clock while it is None.
        exists: whether the row makes a count of 0 a count rather than undefined.
        numerator: an integer; None only where ``aggregate`` is max or min.
        matures: epoch ms from which the row is final; the row is mature at ``as_of_ms >= matures``.
        due: epoch ms from which the row contributes differently though no event came.
        key: of a map, the name under which numerator and denominator are summed.
        columns: columns of the fact that any of them reads.
        sql: the same expressions as ClickHouse text, by name; the clock is ``{as_of_ms:Int64}``.
        python: the same as Python source over a fact ``f`` and the clock ``as_of_ms``.
    """

    name: str
    fact: str
    aggregate: Aggregate
    time: Callable[[Fact, int], int | None]
    until: Callable[[Fact, int], int | None] | None
    of: Callable[[Fact, int], bool]
    exists: Callable[[Fact, int], bool]
    numerator: Callable[[Fact, int], int | None]
    denominator: Callable[[Fact, int], int]
    matures: Callable[[Fact, int], int | None] | None
    due: Callable[[Fact, int], int | None] | None
    key: Callable[[Fact, int], int | str | None] | None
    columns: frozenset[str]
    sql: dict[str, str] = field(repr=False)
    python: dict[str, str] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Combination:
    """How the sums of parts become numerator, denominator and n; ``sql`` names parts as columns."""

    numerator: Callable[[tuple[int, ...]], int]
    denominator: Callable[[tuple[int, ...]], int]
    n: Callable[[tuple[int, ...]], int]
    sql: dict[str, str] = field(repr=False)


@dataclass(frozen=True, eq=False)
class CompiledKpi:
    """One KPI under given parameters and attribution.

    Attributes:
        parameters: every parameter in use, defaults filled in.
        parts: what is counted; one, unless the KPI is a composite.
        combination: of a composite, what its parts' sums make; taken on each interval of ``grid``.
        reads: how the sums are read; ``age``: the clock minus the aggregate.
        proportion: a ratio whose numerator is part of its denominator, so it has an interval.
        total: there is no denominator: the numerator is the value.
        micro: numerators are in millionths.
    """

    id: str
    version: int
    group: str
    title: str
    unit: Unit
    direction: Direction
    attribution: Attribution
    gauge: bool
    reads: Reads
    proportion: bool
    total: bool
    micro: bool
    grid: Grid
    parameters: dict[str, Parameter]
    parts: tuple[CompiledPart, ...]
    combination: Combination | None

    @property
    def part(self) -> CompiledPart:
        """The only part of a KPI that is no composite.

        Raises:
            ValueError: for a composite.
        """
        (part,) = self.parts
        return part

    @property
    def cohort(self) -> bool:
        """Whether rows are provisional until they mature."""
        return self.attribution == "cohort-final"

    @property
    def needs(self) -> frozenset[TumblingSize]:
        """Lengths of buckets that it is combined on or compared with, whatever an exhibit shows."""
        found: set[TumblingSize] = {"day"} if self.reads == "psi" else set()
        if self.combination is not None and self.grid != "window":
            found.add(self.grid)
        return frozenset(found)

    @property
    def key(self) -> str:
        """The definition in one line: id, version and parameters, equal for equal definitions."""
        chosen = json.dumps(self.parameters, sort_keys=True)
        return f"{self.id}@{self.version}/{self.attribution}{chosen}"


def _shaped(name: str, place: str, counting: Counting, term: Term) -> Term:
    """The term with null and type as the expression's role has them.

    Raises:
        DefinitionError: if the expression has the wrong type for its role.
    """
    condition = place in ("of", "exists")
    types: tuple[str, ...] = ("int",)
    if condition:
        types = ("bool",)
    elif place.endswith("ator"):
        types = ("int", "bool")
    elif place == "key":
        types = ("int", "str")
    if term.type not in types:
        raise DefinitionError(f"{name}.{place} is {term.type}, not {' or '.join(types)}")
    if term.type == "bool":
        if condition and not term.nullable:
            return term
        yes, no = (TRUE, FALSE) if condition else (constant(1), constant(0))
        if term.is_constant:
            return yes if term.value else no
        return Term("CASE", (term, yes, no), None, yes.type, nullable=False)
    if term.nullable and (
        place == "denominator"
        or (place == "numerator" and counting.aggregate in ("sum", "map"))
    ):  # fmt: skip
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
            raise DefinitionError(f"unknown KPI {kpi_id}; {self._hint(kpi_id)}")
        return found

    def _hint(self, wanted: str) -> str:
        """What is meant by an id that is not known, as far as it can be told."""
        text = wanted.lower()
        if text in ABBREVIATIONS:
            return f"did you mean {ABBREVIATIONS[text]}?"
        holding = [name for name in self._definitions if text in name.split("_")]
        found = [name for name in holding if name == text] or holding
        if found:
            return f"did you mean {listed(found)}?"
        if like := meant(wanted, self._definitions):
            return f"did you mean {like}?"
        return f"`cxstream exhibit kpis` lists all {len(self._definitions)}"

    def compile(
        self,
        kpi_id: str,
        parameters: Mapping[str, object] | None = None,
        attribution: Attribution | None = None,
    ) -> CompiledKpi:
        """Compile one KPI; the same object for the same definition.

        Raises:
            DefinitionError: for an unknown KPI, parameter, value, or an attribution it cannot have.
        """
        definition = self.definition(kpi_id)
        filled = definition.fill(parameters or {})
        key = (kpi_id, json.dumps([filled, attribution], sort_keys=True))
        if key not in self._compiled:
            chosen = definition.of_parameters(filled)
            if attribution is not None:
                chosen = chosen.attributed(attribution)
            self._compiled[key] = _compile(chosen, filled)
        return self._compiled[key]


def _compile(definition: Definition, parameters: dict[str, Parameter]) -> CompiledKpi:
    values: dict[str, Value] = {}
    for name, value in parameters.items():
        if isinstance(value, dict):
            values.update({f"{name}_{entry}": number for entry, number in value.items()})
        else:
            values[name] = value
    names = definition.parameter_names()
    parts = tuple(
        _part(f"{definition.id}.{name}".rstrip("."), name, counting, names, values)
        for name, counting in definition.countings().items()
    )
    grid = str(parameters["interval"]) if "interval" in parameters else definition.grid
    return CompiledKpi(
        id=definition.id, version=definition.version, group=definition.group,
        title=definition.title, unit=definition.unit, direction=definition.direction,
        attribution=definition.attribution, gauge=definition.gauge, reads=definition.reads,
        proportion=definition.proportion, total=definition.denominator is None,
        micro=definition.micro, grid=grid, parameters=parameters, parts=parts,  # type: ignore[arg-type]
        combination=_combination(definition, values) if definition.parts else None,
    )  # fmt: skip


def _part(
    full_name: str, name: str, counting: Counting, names: set[str], values: dict[str, Value]
) -> CompiledPart:
    functions: dict[str, Any] = dict.fromkeys(("until", "matures", "due", "key"))
    columns: set[str] = set()
    sql, python = {}, {}
    for place, expression in counting.expressions(full_name, names).items():
        term = _shaped(full_name, place, counting, bind(expression, counting.fact, values))
        functions[place] = python_function(term, counting.fact)
        python[place] = python_source(term, counting.fact)
        sql[place] = clickhouse_sql(term, AS_OF_PARAMETER)
        columns.update(term.columns())
    return CompiledPart(
        name=name, fact=counting.fact, aggregate=counting.aggregate,
        columns=frozenset(columns), sql=sql, python=python, **functions,
    )  # fmt: skip


def _combination(definition: Definition, values: dict[str, Value]) -> Combination:
    parts = tuple(definition.parts)
    functions: dict[str, Any] = {}
    sql = {}
    for place, expression in definition.combination().items():
        term = bind_parts(expression, parts, values)
        if term.type == "bool":
            term = Term("CASE", (term, constant(1), constant(0)), None, "int", nullable=False)
        functions[place] = parts_function(term, parts)
        sql[place] = clickhouse_sql(term, AS_OF_PARAMETER)
    return Combination(sql=sql, **functions)


_DEFINITIONS: Final = resources.files("pipeline.kpi") / "definitions"


def parse(text: str, group: str = "service", shared: str = "") -> tuple[Definition, ...]:
    """Definitions of one group from YAML; ``shared`` is YAML whose anchors they may use.

    Raises:
        ValueError: for a row or an expression that is not valid.
    """
    lines = text.replace("\n", "\n  ")
    rows = YAML(typ="safe", pure=True).load(f"{shared}\nkpis:\n  {lines}\n")["kpis"] or ()
    return tuple(Definition.model_validate({**row, "group": group}) for row in rows)


@cache
def load() -> Catalogue:
    """The catalogue of the product."""
    shared = (_DEFINITIONS / "_shared.yaml").read_text("utf-8")
    found: list[Definition] = []
    for group in GROUPS:
        found += parse((_DEFINITIONS / f"{group}.yaml").read_text("utf-8"), group, shared)
    return Catalogue(tuple(found))


def check_exhibit(exhibit: Exhibit, catalogue: Catalogue) -> tuple[CompiledKpi, ...]:
    """Compile the KPIs of an exhibit, in its order.

    Raises:
        ExhibitError: with every unknown KPI, parameter and value, by line and column.
    """
    compiled, problems = [], []
    preset = preset_of(exhibit)
    for i, entry in enumerate(exhibit.kpis):
        try:
            chosen = asked(catalogue.definition(entry.kpi), entry, preset)
            compiled.append(catalogue.compile(entry.kpi, *chosen))
        except DefinitionError as error:
            where: tuple[str | int, ...] = ("kpis", i, "kpi")
            if error.parameter == "attribution":
                where = ("kpis", i, "attribution")
            elif error.parameter is not None:
                where = ("kpis", i, "parameters", error.parameter)
            problems.append(Problem(*exhibit.source.place(where), str(error)))
    if not problems and (reason := too_short(exhibit, compiled)):
        problems.append(Problem(*exhibit.source.place(("horizon_days",)), reason))
    if problems:
        raise ExhibitError(exhibit.source.name, problems)
    return tuple(compiled)
