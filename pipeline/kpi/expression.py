"""The KPI language: scalar SQL over the columns of one fact kind, the same text in both engines.

An expression is parsed once and compiled twice: to a Python function for the stream and to
ClickHouse SQL for the warehouse. Allowed are column names, integers, strings, ``TRUE``, ``FALSE``,
``NULL``, ``:parameter`` and ``:as_of_ms`` (the clock T, epoch milliseconds), comparisons,
``IS [NOT] NULL``, ``[NOT] IN (...)``, ``AND``, ``OR``, ``NOT``, ``+ - *``, ``CASE WHEN``,
``COALESCE``, ``LEAST``, ``GREATEST``, ``ABS`` and:

* ``intDiv(a, b)``: integer division, truncated toward zero.
* ``a / b``, ``EXP(x)`` and literals with a point: real numbers, which must end in ``ROUND(x)``,
  the nearest integer, halves to even. Results are integers, strings or booleans, never reals.
* ``BIN(x)``: the beginning of the logarithmic bin of ``pipeline/kpi/bins.py`` that ``x`` lies in.
* A divisor is a literal or parameter other than 0, or ``GREATEST(x, 1)``, so nothing ever divides
  by zero.
* Logic is three-valued as in SQL; ``LEAST`` and ``GREATEST`` leave nulls out; ``IN`` takes no null.
* Integers are 64 bits wide: results beyond that are undefined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

from pipeline.kpi.clickhouse_code import clickhouse_sql
from pipeline.kpi.nodes import Binder, ExpressionError, Node, Term, Value
from pipeline.kpi.parser import parse
from pipeline.kpi.python_code import PythonCode, PythonFunction
from schemas.facts import HEADER_COLUMNS, Column, columns

__all__ = [
    "Expression", "ExpressionError", "PythonFunction", "Value", "bind", "bind_parts",
    "compile_python", "parts_function", "python_function",
    "python_source", "to_clickhouse",
]  # fmt: skip

AS_OF_PARAMETER = "{as_of_ms:Int64}"
"""How ClickHouse is given the clock: a query parameter."""


@dataclass(frozen=True)
class Expression:
    """One parsed expression.

    Attributes:
        text: what was written.
        root: its tree.
        columns: columns it reads.
        parameters: names it takes as ``:name``, the clock apart.
    """

    text: str
    root: Node = field(repr=False)
    columns: frozenset[str]
    parameters: frozenset[str]

    @classmethod
    def parse(cls, text: str, names: Mapping[str, Expression] | None = None) -> Expression:
        """Parse ``text``; ``names`` are expressions that may be used in it like columns.

        Raises:
            ExpressionError: with line, column and what is allowed.
        """
        return cls.of(text, _inline(parse(text), names or {}))

    @classmethod
    def of(cls, text: str, root: Node) -> Expression:
        """The expression of a tree."""
        nodes = list(root.walk())
        return cls(
            text,
            root,
            frozenset(str(node.value) for node in nodes if node.op == "column"),
            frozenset(str(node.value) for node in nodes if node.op == "parameter"),
        )


def _inline(node: Node, names: Mapping[str, Expression]) -> Node:
    if node.op == "column" and node.value in names:
        return names[str(node.value)].root
    args = tuple(_inline(arg, names) for arg in node.args)
    return Node(node.op, args, node.value, node.text, node.offset)


@cache
def _columns(kind: str) -> tuple[Column, ...]:
    return columns(kind)


@cache
def _places(kind: str) -> dict[str, str]:
    """Python source that reads each column of a fact ``f``, whose first field is its header."""
    header = len(HEADER_COLUMNS)
    return {
        column.name: f"f[0][{i}]" if i < header else f"f[{i - header + 1}]"
        for i, column in enumerate(_columns(kind))
    }


def bind(expression: Expression, kind: str, parameters: Mapping[str, Value]) -> Term:
    """Resolve columns and parameters, check types, fold constants.

    Raises:
        ExpressionError: for an unknown column or parameter, types that do not fit, or a result
            that is a real number.
    """
    term = Binder(_columns(kind), parameters).bind(expression.root)
    if term.type == "real":
        raise expression.root.error("the result is a real number; end it in ROUND(...)")
    return term


def python_function(term: Term, kind: str) -> PythonFunction:
    """The Python function of a bound expression of a fact kind."""
    return PythonCode(_places(kind)).compile(term)


def python_source(term: Term, kind: str) -> str:
    """Python source of a bound expression over a fact ``f`` and the clock ``as_of_ms``."""
    return PythonCode(_places(kind)).expression(term)


def bind_parts(
    expression: Expression, parts: Sequence[str], parameters: Mapping[str, Value]
) -> Term:
    """Bind an expression over the integer sums of ``parts``.

    Raises:
        ExpressionError: for an unknown part or parameter, or types that do not fit.
    """
    named = tuple(Column(name, int, nullable=False, comment="") for name in parts)
    return Binder(named, parameters).bind(expression.root)


def parts_function(term: Term, parts: Sequence[str]) -> Callable[[Sequence[int]], int]:
    """The function of a bound expression over sums, given in the order of ``parts``."""
    places = {name: f"f[{i}]" for i, name in enumerate(parts)}
    function = cast("Callable[[Any, int], int]", PythonCode(places).compile(term))
    return lambda sums: function(sums, 0)


def compile_python(
    expression: Expression, kind: str, parameters: Mapping[str, Value]
) -> PythonFunction:
    """A function ``(fact, as_of_ms) -> int | str | bool | None`` of facts of ``kind``."""
    return python_function(bind(expression, kind, parameters), kind)


def to_clickhouse(
    expression: Expression,
    kind: str,
    parameters: Mapping[str, Value],
    as_of: str = AS_OF_PARAMETER,
) -> str:
    """The same expression as ClickHouse SQL; ``as_of`` is trusted SQL that gives the clock."""
    return clickhouse_sql(bind(expression, kind, parameters), as_of)
