"""A definition: one row of the catalogue and its expressions, checked as read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from pipeline.kpi.expression import Expression
from pipeline.kpi.nodes import nearest
from pipeline.kpi.parameters import DefinitionError, Parameter, ParameterSpec, Row
from pipeline.kpi.stats import Unit
from schemas.exhibit import Attribution
from schemas.facts import FACT_KINDS, columns

Direction = Literal["higher", "lower", "none"]
Aggregate = Literal["sum", "max", "min", "map"]
Reads = Literal[
    "value", "age", "mean_age", "percentile", "psi", "least_ratio", "difference", "median_survival",
    "time_average", "covered",
]  # fmt: skip
Grid = Literal["window", "15m", "30m", "1h", "day"]

EXPRESSIONS: Final = (
    "time", "until", "of", "exists", "numerator", "denominator", "matures", "due", "key",
)  # fmt: skip
"""Names of the expressions of a definition, in ``CompiledPart.sql`` too."""

_CONDITIONS_OF_USE: Final = "attribution"
"""What a variant may depend on beside parameters."""


class Counting(Row):
    """What is counted of one kind of fact; see ``definitions/README.md`` for each field."""

    fact: str
    time: str
    until: str | None = None
    of: str = "TRUE"
    exists: str = "TRUE"
    numerator: str = "1"
    denominator: str = "1"
    matures: str | None = None
    due: str | None = None
    key: str | None = None
    aggregate: Aggregate = "sum"
    let: dict[str, str] = Field(default_factory=dict)

    def expressions(self, name: str, parameters: Iterable[str]) -> dict[str, Expression]:
        """The parsed expressions by name, those that are absent left out.

        Raises:
            ValueError: for an expression that is not in the language, an unknown fact, column or
                parameter.
        """
        if self.fact not in FACT_KINDS:
            raise ValueError(f"{name}: unknown fact {self.fact}; {nearest(self.fact, FACT_KINDS)}")
        if (self.key is None) != (self.aggregate != "map"):
            raise ValueError(f"{name}: a map has a key, nothing else has")
        known = {column.name for column in columns(self.fact)}
        names: dict[str, Expression] = {}
        for part, text in self.let.items():
            if part in known:
                raise ValueError(f"{name}: {part} is a column, not free for a name of a part")
            names[part] = Expression.parse(text, names)
        found = {}
        for place in EXPRESSIONS:
            text = getattr(self, place)
            if text is not None:
                found[place] = Expression.parse(text, names)
                check_names(f"{name}.{place}", found[place], known, parameters, self.fact)
        return found


def check_names(
    place: str, expression: Expression, known: Iterable[str], parameters: Iterable[str], of: str
) -> None:
    """Refuse columns and parameters that are not there.

    Raises:
        ValueError: naming the first of them.
    """
    for column in sorted(expression.columns.difference(known)):
        raise ValueError(f"{place}: no column {column} in {of}")
    for parameter in sorted(expression.parameters.difference(parameters)):
        raise ValueError(f"{place}: no parameter {parameter}")


class Variant(Row):
    """Fields of a definition that some values of parameters, or an attribution, replace."""

    when: dict[str, str | bool | int]
    fact: str | None = None
    attribution: Attribution | None = None
    time: str | None = None
    times: dict[Attribution, str] | None = None
    until: str | None = None
    of: str | None = None
    numerator: str | None = None
    denominator: str | None = None


class Definition(Row):
    """One row of the catalogue; ``definitions/README.md`` says what each field means."""

    id: str
    version: int = Field(ge=1)
    group: str
    title: str
    means: str = ""
    unit: Unit
    direction: Direction
    attribution: Attribution
    times: dict[Attribution, str] = Field(default_factory=dict)
    fact: str | None = None
    time: str | None = None
    until: str | None = None
    of: str = "TRUE"
    exists: str = "TRUE"
    numerator: str = "1"
    denominator: str | None = "1"
    matures: str | None = None
    due: str | None = None
    key: str | None = None
    aggregate: Aggregate = "sum"
    let: dict[str, str] = Field(default_factory=dict)
    parts: dict[str, Counting] = Field(default_factory=dict)
    n: str | None = None
    grid: Grid = "window"
    gauge: bool = False
    proportion: bool = True
    reads: Reads = "value"
    micro: bool = False
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
        if (self.fact is None) == (not self.parts):
            raise ValueError(f"{self.id}: a KPI has a fact, or parts that have")
        if self.n is not None and not self.parts:
            raise ValueError(f"{self.id}: only a composite says its n, else it is the denominator")
        known = {*self.parameters, _CONDITIONS_OF_USE}
        names = {name for variant in self.variants for name in variant.when}
        names |= {name for spec in self.parameters.values() for name in spec.used_when}
        for name in sorted(names - known):
            raise ValueError(f"{self.id}: a condition on {name}, which is no parameter")
        for attribution in self.attributions:
            self.attributed(attribution).check()
        for variant in self.variants:
            chosen = self._with(variant)
            for attribution in chosen.attributions:
                chosen.attributed(attribution).check()
        return self

    @property
    def attributions(self) -> tuple[Attribution, ...]:
        """Attributions that may be chosen, the default first."""
        others = [*self.times]
        others += [v.attribution for v in self.variants if v.attribution and v.when == {
            "attribution": v.attribution}]  # fmt: skip
        return tuple(dict.fromkeys([self.attribution, *others]))

    def countings(self) -> dict[str, Counting]:
        """What is counted, by name of the part; the only one of a plain KPI has no name."""
        if self.parts:
            return self.parts
        own = self.model_dump(include=set(Counting.model_fields), exclude_none=True)
        if self.denominator is None:
            own["denominator"] = "0"
        return {"": Counting.model_validate(own)}

    def check(self) -> None:
        """Parse everything.

        Raises:
            ValueError: for an expression that cannot be.
        """
        names = self.parameter_names()
        spans = set()
        for name, counting in self.countings().items():
            counting.expressions(f"{self.id}.{name}".rstrip("."), names)
            spans.add(counting.until is not None)
        if not self.parts and spans != {self.attribution == "clip"}:
            raise ValueError(f"{self.id}: what is clipped has an end, nothing else has")
        if self.parts:
            self.combination()

    def combination(self) -> dict[str, Expression]:
        """Numerator, denominator and n of a composite, over the sums of its parts.

        Raises:
            ValueError: for an expression that is not in the language or names no part.
        """
        found = {}
        for place in ("numerator", "denominator", "n"):
            text = getattr(self, place) or self.denominator or "0"
            found[place] = Expression.parse(text)
            check_names(
                f"{self.id}.{place}", found[place], self.parts, self.parameter_names(), "its parts"
            )
        return found

    def parameter_names(self) -> set[str]:
        """Names that stand in expressions as ``:name``."""
        names = set()
        for name, spec in self.parameters.items():
            entries = spec.default if spec.type == "mapping" else ()
            names.update({f"{name}_{entry}" for entry in entries} or {name})
        return names

    def _with(self, variant: Variant) -> Definition:
        changed = variant.model_dump(exclude={"when"}, exclude_none=True)
        if variant.until is None and variant.time is not None:
            changed["until"] = None
        if variant.times is None and variant.time is not None:
            # Other instants were those of the fact that the variant leaves.
            changed["times"] = {}
        return self.model_copy(update={**changed, "variants": ()})

    def attributed(self, attribution: Attribution) -> Definition:
        """The definition under one of its attributions.

        Raises:
            DefinitionError: for an attribution that the KPI cannot have.
        """
        if attribution == self.attribution:
            return self
        for variant in self.variants:
            if variant.when == {"attribution": attribution}:
                return self._with(variant)
        if attribution not in self.times:
            allowed = " or ".join(self.attributions)
            raise DefinitionError(
                f"{self.id} cannot be attributed by {attribution}; write {allowed}", "attribution"
            )
        changed = {"attribution": attribution, "time": self.times[attribution], "times": {}}
        return self.model_copy(update=changed)

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
