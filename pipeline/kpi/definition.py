"""A definition: one row of the catalogue, its parameters and its expressions, checked as read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.kpi.expression import Expression
from pipeline.kpi.nodes import nearest
from pipeline.kpi.stats import Unit
from schemas.facts import FACT_KINDS, columns

Direction = Literal["higher", "lower", "none"]
Attribution = Literal["arrival", "event", "close", "cohort-final", "gauge"]
Aggregate = Literal["sum", "max", "min"]
Parameter = int | float | str | bool | dict[str, int | float]

EXPRESSIONS: Final = ("time", "of", "exists", "numerator", "denominator", "matures", "due")
"""Names of the expressions of a definition, in ``CompiledKpi.sql`` too."""


class DefinitionError(ValueError):
    """A KPI, parameter or value that the catalogue does not know.

    Attributes:
        parameter: name of the parameter at fault, None where the KPI itself is.
    """

    def __init__(self, message: str, parameter: str | None = None) -> None:
        super().__init__(message)
        self.parameter = parameter


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ParameterSpec(_Row):
    """Type, default and limits of one parameter.

    A ``mapping`` has numbers by name; its entry ``k`` stands in expressions as ``:parameter_k``.
    ``used_when`` names values of other parameters without which this one means nothing.
    """

    type: Literal["int", "number", "boolean", "enum", "mapping"]
    default: Any
    help: str
    allowed: tuple[str, ...] = ()
    minimum: float = -math.inf
    maximum: float = math.inf
    used_when: dict[str, tuple[str | bool | int, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _default_fits(self) -> Self:
        self.check("default", self.default)
        return self

    def check(self, name: str, value: object) -> Parameter:
        """The value, a mapping completed by defaults.

        Raises:
            DefinitionError: saying what is allowed.
        """
        match self.type:
            case "boolean":
                if isinstance(value, bool):
                    return value
                allowed = "true or false"
            case "enum":
                if isinstance(value, str) and value in self.allowed:
                    return value
                allowed = "one of " + ", ".join(self.allowed)
            case "mapping":
                return self._mapping(name, value)
            case _:
                kinds = (int,) if self.type == "int" else (int, float)
                number = isinstance(value, kinds) and not isinstance(value, bool)
                if number and self.minimum <= cast("float", value) <= self.maximum:
                    return cast("int | float", value)
                what = "a whole number" if self.type == "int" else "a number"
                allowed = f"{what} from {self.minimum:g} to {self.maximum:.15g}"
        raise DefinitionError(f"{name} must be {allowed}, not {value!r}", name)

    def _mapping(self, name: str, value: object) -> dict[str, int | float]:
        if not isinstance(value, Mapping):
            raise DefinitionError(f"{name} must be numbers by name, not {value!r}", name)
        merged: dict[str, int | float] = dict(self.default)
        for key, number in value.items():
            if key not in merged:
                hint = nearest(str(key), merged)
                raise DefinitionError(f"unknown entry {key} of {name}; {hint}", name)
            usual = isinstance(number, int | float) and not isinstance(number, bool)
            if not (usual and self.minimum <= number <= self.maximum):
                limits = f"from {self.minimum:g} to {self.maximum:g}"
                raise DefinitionError(
                    f"{name}.{key} must be a number {limits}, not {number!r}", name
                )
            merged[key] = number
        return merged


class Variant(_Row):
    """Fields of a definition that some values of parameters replace."""

    when: dict[str, str | bool | int]
    fact: str | None = None
    attribution: Attribution | None = None
    time: str | None = None
    of: str | None = None
    numerator: str | None = None
    denominator: str | None = None


class Definition(_Row):
    """One row of the catalogue; ``catalogue.yaml`` says what each field means."""

    id: str
    version: int = Field(ge=1)
    title: str
    unit: Unit
    direction: Direction
    fact: str
    attribution: Attribution
    time: str
    of: str = "TRUE"
    exists: str = "TRUE"
    numerator: str = "1"
    denominator: str = "1"
    matures: str | None = None
    due: str | None = None
    aggregate: Aggregate = "sum"
    gauge: bool = False
    reads: Literal["value", "age"] = "value"
    micro: bool = False
    let: dict[str, str] = Field(default_factory=dict)
    variants: tuple[Variant, ...] = ()
    parameters: dict[str, ParameterSpec] = Field(default_factory=dict)
    source: tuple[str, ...]
    traps: str

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.gauge != (self.attribution == "gauge"):
            raise ValueError(f"{self.id}: a gauge has the attribution gauge, nothing else has")
        if (self.matures is None) != (self.attribution != "cohort-final"):
            raise ValueError(f"{self.id}: a cohort says when it matures, nothing else does")
        names = {name for variant in self.variants for name in variant.when}
        names |= {name for spec in self.parameters.values() for name in spec.used_when}
        for name in sorted(names - self.parameters.keys()):
            raise ValueError(f"{self.id}: a condition on {name}, which is no parameter")
        self.expressions()
        for variant in self.variants:
            self._with(variant).expressions()
        return self

    def expressions(self) -> dict[str, Expression]:
        """The parsed expressions by name, those that are absent left out.

        Raises:
            ValueError: for an expression that is not in the language, an unknown fact, column or
                parameter.
        """
        if self.fact not in FACT_KINDS:
            raise ValueError(
                f"{self.id}: unknown fact {self.fact}; {nearest(self.fact, FACT_KINDS)}"
            )
        known = {column.name for column in columns(self.fact)}
        names: dict[str, Expression] = {}
        for name, text in self.let.items():
            if name in known:
                raise ValueError(f"{self.id}: {name} is a column, not free for a name of a part")
            names[name] = Expression.parse(text, names)
        found = {}
        for name in EXPRESSIONS:
            text = getattr(self, name)
            if text is not None:
                found[name] = expression = Expression.parse(text, names)
                for column in expression.columns - known:
                    raise ValueError(f"{self.id}.{name}: no column {column} in {self.fact}")
                for parameter in expression.parameters - self._parameter_names():
                    raise ValueError(f"{self.id}.{name}: no parameter {parameter}")
        return found

    def _parameter_names(self) -> set[str]:
        names = set()
        for name, spec in self.parameters.items():
            entries = spec.default if spec.type == "mapping" else ()
            names.update({f"{name}_{entry}" for entry in entries} or {name})
        return names

    def _with(self, variant: Variant) -> Definition:
        changed = variant.model_dump(exclude={"when"}, exclude_none=True)
        return self.model_copy(update={**changed, "variants": ()})

    def of_parameters(self, parameters: Mapping[str, Parameter]) -> Definition:
        """The definition as it is for these parameters: itself, or the first variant that fits."""
        for variant in self.variants:
            if variant.when.items() <= parameters.items():
                return self._with(variant)
        return self

    def fill(self, given: Mapping[str, object]) -> dict[str, Parameter]:
        """All parameters that are in use, checked, with defaults filled in.

        Raises:
            DefinitionError: for an unknown or unused parameter, or a bad value.
        """
        for name in given:
            if name not in self.parameters:
                hint = nearest(name, self.parameters)
                raise DefinitionError(f"{self.id} has no parameter {name}; {hint}", name)
        filled = {
            name: spec.check(name, given.get(name, spec.default))
            for name, spec in self.parameters.items()
        }
        for name, spec in self.parameters.items():
            for other, values in spec.used_when.items():
                if filled.get(other) in values:
                    continue
                if name in given:
                    wanted = " or ".join(str(value) for value in values)
                    raise DefinitionError(
                        f"{name} is used only when {other} is {wanted}, not {filled.get(other)}; "
                        f"leave it out or change {other}",
                        name,
                    )
                del filled[name]
        return filled
