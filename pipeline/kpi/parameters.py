"""Parameters of KPIs: what may be chosen, its default and its limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.kpi.nodes import nearest

MAX_TEXT_CHARS: Final = 256

Parameter = int | float | str | bool | dict[str, int | float]


class DefinitionError(ValueError):
    """A KPI, parameter or value that the catalogue does not know.

    Attributes:
        parameter: name of the parameter at fault, None where the KPI itself is.
    """

    def __init__(self, message: str, parameter: str | None = None) -> None:
        super().__init__(message)
        self.parameter = parameter


class Row(BaseModel):
    """A row of data that allows no field it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ParameterSpec(Row):
    """Type, default and limits of one parameter.

    A ``mapping`` has numbers by name; its entry ``k`` stands in expressions as ``:parameter_k``.
    ``used_when`` names values of other parameters without which this one means nothing.
    """

    type: Literal["int", "number", "boolean", "enum", "text", "mapping"]
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
            case "text":
                if isinstance(value, str) and len(value) <= MAX_TEXT_CHARS:
                    return value
                allowed = f"a text of at most {MAX_TEXT_CHARS} characters"
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
