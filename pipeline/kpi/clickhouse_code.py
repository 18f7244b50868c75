"""ClickHouse SQL for a bound expression, written by sqlglot so that literals are quoted by it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import reduce
from typing import Final

from sqlglot import exp

from pipeline.kpi.bins import BINS
from pipeline.kpi.nodes import LARGEST_EXPONENT, LARGEST_ROUNDED, Term, Value

_BINARY: Final[dict[str, type[exp.Binary]]] = {
    "=": exp.EQ, "<>": exp.NEQ, "<": exp.LT, "<=": exp.LTE, ">": exp.GT, ">=": exp.GTE,
    "+": exp.Add, "-": exp.Sub, "*": exp.Mul, "AND": exp.And, "OR": exp.Or,
}  # fmt: skip
_SMALL_INTEGER: Final = 2**31


def clickhouse_sql(term: Term, as_of: str) -> str:
    """SQL of a term; ``as_of`` is the SQL that gives the clock."""
    return _sql(term, as_of).sql(dialect="clickhouse")


def population_sql(where: Mapping[str, tuple[str, ...]]) -> str:
    """SQL condition of an exhibit's population over the columns of any fact.

    ``where`` is ``Exhibit.effective_where``: dimensions are ANDed, patterns ORed, ``*`` is a glob.
    """
    conditions = [
        exp.or_(*(_like(exp.column(dimension), pattern) for pattern in patterns))
        for dimension, patterns in where.items()
    ]
    return exp.and_(*(conditions or [exp.true()])).sql(dialect="clickhouse")


def _like(column: exp.Expr, pattern: str) -> exp.Expr:
    if "*" not in pattern:
        return exp.EQ(this=column, expression=exp.Literal.string(pattern))
    escaped = re.sub(r"([\\%_])", r"\\\1", pattern).replace("*", "%")
    return exp.Like(this=column, expression=exp.Literal.string(escaped))


def _function(name: str, *args: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=list(args))


_CONDITION: Final = (exp.Predicate, exp.Connector, exp.Not)
_SUM: Final = (exp.Add, exp.Sub)


def _operand(tree: exp.Expr, *wrapped: type[exp.Expr]) -> exp.Expr:
    """The tree in parentheses, if it is a condition or one of ``wrapped``."""
    return exp.Paren(this=tree) if isinstance(tree, (*_CONDITION, *wrapped)) else tree


def _clamp(tree: exp.Expr, limit: int) -> exp.Expr:
    """The tree held within a limit; null stays null, which least and greatest would skip."""
    largest = _literal(float(limit))
    return _function("clamp", _function("toFloat64", tree), exp.Neg(this=largest), largest)


def _literal(value: Value) -> exp.Expr:
    match value:
        case None:
            return exp.Null()
        case bool():
            return exp.Boolean(this=value)
        case int() if abs(value) < _SMALL_INTEGER:
            return exp.Literal.number(value)
        case int():
            # A plain literal of this size is UInt64, which has no type in common with Int64.
            return _function("toInt64", exp.Literal.number(value))
        case float():
            return exp.Literal.number(repr(value))
        case _:
            return exp.Literal.string(value)


def _sql(term: Term, as_of: str) -> exp.Expr:
    match term.op:
        case "constant":
            return _literal(term.value)
        case "column":
            return exp.column(str(term.value))
        case "as_of":
            return exp.var(as_of)
    args = [_sql(arg, as_of) for arg in term.args]
    match term.op:
        case "CASE":
            pairs = zip(args[:-1:2], args[1:-1:2], strict=True)
            branches = [exp.If(this=when, true=value) for when, value in pairs]
            return exp.Case(ifs=branches, default=args[-1])
        case "NOT" if term.args[0].op == "IS NULL":
            return exp.Is(this=args[0].this, expression=exp.Not(this=exp.Null()))
        case "NOT":
            return exp.Not(this=_operand(args[0]))
        case "NEG":
            return exp.Neg(this=exp.Paren(this=args[0]))
        case "IS NULL":
            return exp.Is(this=_operand(args[0]), expression=exp.Null())
        case "IN":
            return exp.In(this=_operand(args[0]), expressions=args[1:])
        case "COALESCE" | "LEAST" | "GREATEST":
            return _function(term.op.lower(), *args)
        case "intDiv":
            return _function("intDiv", *args)
        case "/":
            real = term.args[0].type == "real"
            return _function(
                "divide", args[0] if real else _function("toFloat64", args[0]), args[1]
            )
        case "ABS":
            return _function("toInt64", _function("abs", *args))
        case "EXP":
            return _function("exp", _clamp(args[0], LARGEST_EXPONENT))
        case "ROUND":
            return _function("toInt64", _function("round", _clamp(args[0], LARGEST_ROUNDED)))
        case "BIN":
            return _function(
                "roundDown", args[0], exp.Array(expressions=[_literal(b) for b in BINS])
            )
        case "AND" | "OR":
            operands = [
                exp.Paren(this=arg) if isinstance(arg, exp.Connector) else arg for arg in args
            ]
        case "*":
            operands = [_operand(args[0], *_SUM), _operand(args[1], exp.Binary)]
        case "+" | "-":
            operands = [_operand(args[0]), _operand(args[1], *_SUM)]
        case _:
            operands = [_operand(arg) for arg in args]
    return reduce(lambda a, b: _BINARY[term.op](this=a, expression=b), operands)
