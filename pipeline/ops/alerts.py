"""What an alert and a recording rule are, and how long things are in PromQL."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["critical", "warning", "info"]

RUNBOOK = "docs/runbook.md"


@dataclass(frozen=True)
class Scale:
    """All windows of the rules, longer or shorter by one factor.

    Attributes:
        factor: 1 as written; 0.1 makes five minutes thirty seconds.
    """

    factor: float = 1.0

    def of(self, seconds: float) -> str:
        """A duration in PromQL, never less than a second."""
        left = max(round(seconds * self.factor), 1)
        told = ""
        for letter, length in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
            count, left = divmod(left, length)
            told += f"{count}{letter}" if count else ""
        return told

    def bound(self, seconds: float, least: float = 10) -> str:
        """A bound on seconds, scaled too, but never below what a healthy pipeline needs."""
        return f"{max(seconds * self.factor, least):g}"


@dataclass(frozen=True)
class Condition:
    """A measure with the bound that makes it bad; ``measure`` alone always has a value."""

    measure: str
    bound: str

    @property
    def text(self) -> str:
        """The condition in PromQL."""
        return f"{self.measure} {self.bound}"


@dataclass(frozen=True)
class Alert:
    """One alerting rule: all conditions hold for ``for_seconds``.

    Attributes:
        matching: How labels of the first condition meet those of the others, as ``on (stage)``.
        summary: One line for people; may use Prometheus' templates.
    """

    name: str
    conditions: tuple[Condition, ...]
    for_seconds: float
    severity: Severity
    summary: str
    matching: str = ""
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def expression(self) -> str:
        """The whole condition in PromQL."""
        joint = f"\nand {self.matching}".rstrip() + " "
        return joint.join(condition.text for condition in self.conditions)

    def rule(self, scale: Scale) -> dict[str, Any]:
        """The rule as Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": scale.of(self.for_seconds),
            "labels": {"severity": self.severity, **self.labels},
            "annotations": {
                "summary": self.summary,
                "runbook": f"{RUNBOOK}#{self.name.lower()}",
            },
        }


@dataclass(frozen=True)
class Recording:
    """A measure that is computed once for alerts and dashboards."""

    name: str
    expression: str

    def rule(self) -> dict[str, Any]:
        """The rule as Prometheus reads it."""
        return {"record": self.name, "expr": self.expression}
