"""Python for what a fact adds to a group: all series of the group in one function.

A group may hold dozens of series, and most ask the same of a fact; each question is asked once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from pipeline.kpi.python_code import NAMES
from schemas.facts import Fact

Late = Callable[[int, int], bool]
"""Whether a row was told after a bucket size (by its place) had settled for so long (ms)."""

VectorFunction = Callable[[Fact, int, int, Late], tuple[int, ...]]
"""Integers a fact adds: of the fact, the clock, how late it was told in ms, and for which sizes."""

_NOTHING: Final = "0"


class Counted(NamedTuple):
    """One series: its expressions by name as Python source, and how long it is waited for.

    ``final`` counts only rows that are mature.
    """

    python: Mapping[str, str]
    final: bool
    settles_ms: int


class _Body:
    """Statements of a function; what is asked twice is kept in a variable."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._kept: dict[str, str] = {}

    def keep(self, source: str) -> str:
        """The name that holds the value of ``source``."""
        if source.isdecimal():
            return source
        if source not in self._kept:
            name = self._kept[source] = f"k{len(self._kept)}"
            self.lines.append(f"{name} = {source}")
        return self._kept[source]


def vector_source(series: Sequence[Counted], *, extreme: bool, sizes: int) -> str:
    """Source of a :data:`VectorFunction`; see :class:`pipeline.kpi.plan.Group` for the places."""
    body = _Body()
    told: list[str] = ["1"]
    late: list[str] = ["1"]
    for counted in series:
        counts = _condition(body, counted)
        numerator, denominator = counted.python["numerator"], counted.python["denominator"]
        if extreme:
            # Of an extreme the denominator says whether there is a value.
            denominator = f"({denominator}) if ({numerator}) is not None else 0"
        exists = f"1 if {counted.python['exists']} else 0"
        numbers = [
            body.keep(f"int({numerator} or 0) if {counts} else 0"),
            body.keep(f"int({denominator}) if {counts} else 0"),
            body.keep(exists),
        ]
        told += [*numbers, *[_NOTHING] * sizes]
        late += numbers
        for place in range(sizes):
            late.append(f"1 if {counts} and late({place}, {counted.settles_ms}) else 0")
    least_ms = min((counted.settles_ms for counted in series), default=0)
    return "\n    ".join(
        (
            "def vector(f, as_of_ms, late_ms, late):",
            *body.lines,
            f"if late_ms <= {least_ms}:",
            f"    return ({', '.join(told)},)",
            f"return ({', '.join(late)},)",
        )
    )


def _condition(body: _Body, counted: Counted) -> str:
    counts = body.keep(counted.python["of"])
    if not counted.final or "matures" not in counted.python:
        return counts
    matures = body.keep(counted.python["matures"])
    return body.keep(f"{counts} and {matures} is not None and {matures} <= as_of_ms")


def vector_function(series: Sequence[Counted], *, extreme: bool, sizes: int) -> VectorFunction:
    """The function itself, compiled once."""
    names = dict(NAMES)
    # The source is made of compiled expressions; no text of a user is in it but their literals.
    exec(vector_source(series, extreme=extreme, sizes=sizes), names)  # noqa: S102
    function: VectorFunction = names["vector"]
    return function
