"""Python for what a fact adds to a group: all series of the group in one function.

A group may hold dozens of series, and most ask the same of a fact; each question is asked once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from pipeline.kpi.python_code import NAMES
from schemas.facts import Fact

CountFunction = Callable[[Fact, tuple[str, ...], int], Any]
"""What a fact adds, of the fact, its cell and the clock; None where it adds nothing."""

_NOTHING: Final = "0"


class Counted(NamedTuple):
    """One series: its expressions by name as Python source, and how long it is waited for.

    ``final`` counts only rows that are mature.
    """

    python: Mapping[str, str]
    final: bool
    settles_ms: int


class Counting(NamedTuple):
    """What written code calls, besides the series' expressions.

    Attributes:
        made: makes a contribution of group, cell, time in epoch ms and integers.
        group: key of the group.
        no_time: time of a contribution to a gauge.
        told_ms: when a fact was told, epoch ms.
        late: whether a row was told after a bucket size (by its place) had settled for so long
            (ms), of the time it counts at and of how much later it was told.
        is_open: whether the site is open at an instant; None where it always is.
    """

    made: Callable[[int, tuple[str, ...], int, tuple[int, ...]], Any]
    group: int
    no_time: int
    told_ms: Callable[[Fact], int]
    late: Callable[[int, int, int, int], bool]
    is_open: Callable[[int], bool] | None


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


def count_source(
    series: Sequence[Counted], *, extreme: bool, sizes: int, gauge: bool, hours: bool
) -> str:
    """Source of a :data:`CountFunction`; see :class:`pipeline.kpi.group.Group` for the places."""
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
            asked = f"late({place}, {counted.settles_ms}, time_ms, late_ms)"
            late.append(f"1 if {counts} and {asked} else 0")
    lines = [
        "def count(f, cell, as_of_ms):",
        f"time_ms = {series[0].python['time']}",
        "if time_ms is None:",
        "    return None",
    ]
    if hours and not gauge:
        lines += ["if not is_open(time_ms):", "    return None"]
    lines += body.lines
    vector = f"({', '.join(told)},)"
    if gauge:
        lines += [
            f"if {' or '.join(told[1:])}:",
            f"    return made(group, cell, no_time, {vector})",
            "return None",
        ]
        return "\n    ".join(lines)
    least_ms = min((counted.settles_ms for counted in series), default=0)
    lines += [
        "late_ms = told_ms(f) - time_ms",
        f"if late_ms <= {least_ms}:",
        f"    return made(group, cell, time_ms, {vector})",
        f"return made(group, cell, time_ms, ({', '.join(late)},))",
    ]
    return "\n    ".join(lines)


def _condition(body: _Body, counted: Counted) -> str:
    counts = body.keep(counted.python["of"])
    if not counted.final or "matures" not in counted.python:
        return counts
    matures = body.keep(counted.python["matures"])
    return body.keep(f"{counts} and {matures} is not None and {matures} <= as_of_ms")


def count_function(
    series: Sequence[Counted], counting: Counting, *, extreme: bool, sizes: int, gauge: bool
) -> CountFunction:
    """The function itself, compiled once."""
    names = {**NAMES, **counting._asdict()}
    source = count_source(
        series, extreme=extreme, sizes=sizes, gauge=gauge, hours=counting.is_open is not None
    )
    # The source is made of compiled expressions; no text of a user is in it but their literals.
    exec(source, names)  # noqa: S102
    function: CountFunction = names["count"]
    return function
