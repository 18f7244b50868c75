"""From text to tree: the part of SQL that the KPI language takes, everything else refused."""

from __future__ import annotations

import re
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from pipeline.kpi.nodes import ExpressionError, Node

AS_OF: Final = "as_of_ms"

ALLOWED: Final = (
    "columns, integers, 'strings', TRUE, FALSE, NULL, :parameters, :as_of_ms, = <> < <= > >=, "
    "IS [NOT] NULL, [NOT] IN (...), AND, OR, NOT, + - * /, intDiv, CASE WHEN, COALESCE, LEAST, "
    "GREATEST, ROUND, EXP, ABS, BIN"
)

_BINARY: Final[dict[type[exp.Expr], str]] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
    exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.And: "AND", exp.Or: "OR",
}  # fmt: skip
_UNARY: Final[dict[type[exp.Expr], str]] = {
    exp.Not: "NOT", exp.Neg: "NEG", exp.Abs: "ABS", exp.Round: "ROUND", exp.Exp: "EXP",
}  # fmt: skip
_VARIADIC: Final[dict[type[exp.Expr], str]] = {
    exp.Coalesce: "COALESCE", exp.Least: "LEAST", exp.Greatest: "GREATEST",
}  # fmt: skip


def parse(text: str) -> Node:
    """Parse one expression.

    Raises:
        ExpressionError: with line and column, when the text is not in the language.
    """
    try:
        trees = sqlglot.parse(text)
    except ParseError as error:
        first = error.errors[0]
        offset = _offset(text, int(first["line"] or 1), int(first["col"] or 1))
        message = f"this cannot be read at {first['highlight']!r}; allowed: {ALLOWED}"
        raise ExpressionError(message, text, offset) from error
    except TokenError as error:
        raise ExpressionError("a string is not closed, or a character is unknown", text, 0) from (
            error
        )
    if not trees or trees[0] is None:
        raise ExpressionError("an expression is needed", text, 0)
    if len(trees) > 1:
        raise ExpressionError("one expression is allowed, without ';'", text, text.find(";"))
    return _Parser(text).node(trees[0])


def _offset(text: str, line: int, column: int) -> int:
    """Character offset of a one-based line and a column that names the end of a token."""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    return starts[min(line, len(starts)) - 1] + max(column - 1, 0)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text

    def node(self, tree: exp.Expr) -> Node:
        kind = type(tree)
        if kind is exp.Paren:
            return self.node(tree.this)
        if kind in _BINARY:
            return self._make(tree, _BINARY[kind], tree.this, tree.expression)
        if kind in _UNARY:
            if tree.args.get("decimals") or tree.args.get("truncate"):
                raise self._error(tree, "ROUND takes one argument")
            return self._make(tree, _UNARY[kind], tree.this)
        if kind in _VARIADIC:
            return self._make(tree, _VARIADIC[kind], tree.this, *tree.expressions)
        return self._other(tree)

    def _other(self, tree: exp.Expr) -> Node:
        match tree:
            case exp.Column() if tree.table == "" and not tree.this.args.get("quoted"):
                return self._leaf(tree, "column", tree.name)
            case exp.Literal() if tree.is_string:
                return self._leaf(tree, "constant", tree.name)
            case exp.Literal():
                number = float(tree.name) if re.search("[.eE]", tree.name) else int(tree.name)
                return self._leaf(tree, "constant", number)
            case exp.Boolean():
                return self._leaf(tree, "constant", bool(tree.this))
            case exp.Null():
                return self._leaf(tree, "constant", None)
            case exp.Placeholder() if tree.name == AS_OF:
                return self._leaf(tree, "as_of", None)
            case exp.Placeholder() if tree.name:
                return self._leaf(tree, "parameter", tree.name)
            case exp.Is() if isinstance(tree.expression, exp.Null):
                return self._make(tree, "IS NULL", tree.this)
            case exp.In() if tree.expressions:
                return self._make(tree, "IN", tree.this, *tree.expressions)
            case exp.Anonymous() if tree.name.lower() == "intdiv":
                if len(tree.expressions) != 2:
                    raise self._error(tree, "intDiv takes two arguments")
                return self._make(tree, "intDiv", *tree.expressions)
            case exp.Anonymous() if tree.name.upper() == "BIN" and len(tree.expressions) == 1:
                return self._make(tree, "BIN", *tree.expressions)
            case exp.Case() if tree.this is None:
                parts: list[exp.Expr] = []
                for branch in tree.args["ifs"]:
                    parts += (branch.this, branch.args["true"])
                return self._make(tree, "CASE", *parts, tree.args.get("default") or exp.Null())
            case exp.Anonymous():
                what = f"function {tree.name}"
            case exp.Column():
                what = "a quoted or qualified column"
            case _:
                what = tree.key
        raise self._error(tree, f"{what} is not in the language")

    def _make(self, tree: exp.Expr, op: str, *args: exp.Expr) -> Node:
        return Node(op, tuple(self.node(arg) for arg in args), None, self._text, self._place(tree))

    def _leaf(self, tree: exp.Expr, op: str, value: int | float | str | bool | None) -> Node:
        return Node(op, (), value, self._text, self._place(tree))

    def _place(self, tree: exp.Expr) -> int:
        """Offset of the first token of a tree; keywords and signs carry none of their own."""
        places = [node.meta["start"] for node in tree.walk() if "start" in node.meta]
        if places:
            return int(min(places))
        return max(self._text.upper().find(tree.sql().upper()), 0)

    def _error(self, tree: exp.Expr, message: str) -> ExpressionError:
        return ExpressionError(f"{message}; allowed: {ALLOWED}", self._text, self._place(tree))
