"""Trees of the KPI language: as parsed, and bound to a fact kind with all parameters filled in.

Binding resolves columns, replaces parameters by their values, checks types and folds constants, so
that ``CASE WHEN :mode = 'A' THEN x ELSE y END`` is just ``x`` by the time code is generated.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pipeline.kpi.bins import bin_floor
from schemas import words
from schemas.facts import Column

Value = int | float | str | bool | None
Type = Literal["int", "real", "str", "bool", "null"]

COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq, "<>": operator.ne,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip

LARGEST_ROUNDED: Final = 2**53
"""``ROUND`` stays within this: beyond it a real number has no integer of its own."""
LARGEST_EXPONENT: Final = 700
"""``EXP`` holds its exponent within this, so that it is finite in every engine."""
LARGEST_INTEGER: Final = 2**63 - 1


class ExpressionError(ValueError):
    """An expression that is not in the language, with the place and what is allowed there."""

    def __init__(self, message: str, text: str, offset: int) -> None:
        before = text[:offset]
        self.message = message
        self.line = before.count("\n") + 1
        self.column = offset - (before.rfind("\n") + 1) + 1
        super().__init__(f"line {self.line}, column {self.column}: {message} (in: {text.strip()})")


@dataclass(frozen=True, slots=True)
class Node:
    """One node as parsed.

    ``op`` is ``constant``, ``column``, ``parameter``, ``as_of``, ``CASE`` or an operator's name;
    ``value`` is the constant, or the name of the column or parameter. Arguments of ``CASE`` are
    condition, value, condition, value, ..., default.
    """

    op: str
    args: tuple[Node, ...] = ()
    value: Value = None
    text: str = field(default="", compare=False, repr=False)
    offset: int = field(default=0, compare=False, repr=False)

    def walk(self) -> Iterator[Node]:
        """This node and all below it."""
        yield self
        for arg in self.args:
            yield from arg.walk()

    def error(self, message: str) -> ExpressionError:
        """The error to raise about this node."""
        return ExpressionError(message, self.text, self.offset)


@dataclass(frozen=True, slots=True)
class Term:
    """One bound node: no parameters, constants folded, type and nullability known."""

    op: str
    args: tuple[Term, ...]
    value: Value
    type: Type
    nullable: bool

    @property
    def is_constant(self) -> bool:
        """Whether the term is a literal."""
        return self.op == "constant"

    def columns(self) -> Iterator[str]:
        """Columns it reads."""
        if self.op == "column":
            yield str(self.value)
        for arg in self.args:
            yield from arg.columns()


def round_real(x: float) -> int:
    """``ROUND``: the nearest integer, halves to even, as ClickHouse rounds floats."""
    return round(max(-LARGEST_ROUNDED, min(LARGEST_ROUNDED, x)))


def exp_real(x: float) -> float:
    """``EXP``, finite for every argument."""
    return math.exp(max(-LARGEST_EXPONENT, min(LARGEST_EXPONENT, x)))


def divide_integers(a: int, b: int) -> int:
    """``intDiv``: integer division that truncates toward zero, as ClickHouse does."""
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


_ARITHMETIC: Final[dict[str, Callable[..., Value]]] = {
    **COMPARISONS,
    "+": operator.add, "-": operator.sub, "*": operator.mul, "NEG": operator.neg, "ABS": abs,
    "/": lambda a, b: float(a) / float(b), "intDiv": divide_integers,
    "ROUND": round_real, "EXP": exp_real, "BIN": bin_floor,
}  # fmt: skip
_SAME_TYPE: Final = frozenset({"CASE", "COALESCE", "LEAST", "GREATEST"})


def constant(value: Value) -> Term:
    """The term of a literal."""
    type_: Type
    match value:
        case None:
            type_ = "null"
        case bool():
            type_ = "bool"
        case int():
            type_ = "int"
        case float():
            type_ = "real"
        case _:
            type_ = "str"
    return Term("constant", (), value, type_, nullable=value is None)


NULL: Final = constant(None)
TRUE: Final = constant(value=True)
FALSE: Final = constant(value=False)


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of an error message: the known name most like ``word``, else all of them."""
    return words.nearest(word, sorted(known))


class Binder:
    """Binds parsed nodes to the columns of one fact kind and the values of parameters."""

    def __init__(self, columns: tuple[Column, ...], parameters: Mapping[str, Value]) -> None:
        self._columns = {column.name: column for column in columns}
        self._parameters = parameters

    def bind(self, node: Node) -> Term:
        """Resolve, check and fold one tree.

        Raises:
            ExpressionError: for an unknown column or parameter, or types that do not fit.
        """
        match node.op:
            case "constant":
                return self._constant(node, node.value)
            case "parameter":
                name = str(node.value)
                if name not in self._parameters:
                    hint = nearest(name, dict(self._parameters))
                    raise node.error(f"unknown parameter :{name}; {hint}")
                return self._constant(node, self._parameters[name])
            case "as_of":
                return Term("as_of", (), None, "int", nullable=False)
            case "column":
                return self._column(node)
            case "CASE":
                return self._case(node)
            case "AND" | "OR":
                return self._connective(node)
            case "COALESCE":
                return self._coalesce(node)
            case "IN":
                return self._membership(node)
            case "IS NULL":
                arg = self.bind(node.args[0])
                if arg.is_constant or not arg.nullable:
                    return constant(arg.is_constant and arg.value is None)
                return Term("IS NULL", (arg,), None, "bool", nullable=False)
            case "NOT":
                arg = self._typed(node.args[0], "bool")
                if arg.is_constant:
                    return NULL if arg.value is None else constant(not arg.value)
                return Term("NOT", (arg,), None, "bool", arg.nullable)
            case "LEAST" | "GREATEST":
                return self._extreme(node)
            case _:
                return self._strict(node)

    def _constant(self, node: Node, value: Value) -> Term:
        if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
            raise node.error("an integer must fit into 64 bits")
        if isinstance(value, float) and not math.isfinite(value):
            raise node.error("a number must be finite")
        return constant(value)

    def _column(self, node: Node) -> Term:
        name = str(node.value)
        column = self._columns.get(name)
        if column is None:
            raise node.error(f"unknown column {name}; {nearest(name, self._columns)}")
        types: dict[type, Type] = {int: "int", str: "str", bool: "bool"}
        return Term("column", (), name, types[column.type], column.nullable)

    def _typed(self, node: Node, *allowed: Type) -> Term:
        term = self.bind(node)
        if term.type not in (*allowed, "null"):
            raise node.error(f"{' or '.join(allowed)} is needed here, this is {term.type}")
        return term

    def _same_type(self, node: Node, terms: list[Term]) -> Type:
        types = {term.type for term in terms} - {"null"}
        if len(types) > 1:
            raise node.error(f"values of {node.op} must have one type, not {sorted(types)}")
        return types.pop() if types else "null"

    def _case(self, node: Node) -> Term:
        live: list[Term] = []
        default = NULL
        for when, then in zip(node.args[:-1:2], node.args[1:-1:2], strict=True):
            condition = self._typed(when, "bool")
            if condition.is_constant and not condition.value:
                continue  # a dead branch may name parameters that this mode does not have
            value = self.bind(then)
            if condition.is_constant:
                default = value
                break
            live += (condition, value)
        else:
            default = self.bind(node.args[-1])
        if not live:
            return default
        values = [*live[1::2], default]
        type_ = self._same_type(node, values)
        if type_ == "null":
            return NULL
        return Term("CASE", (*live, default), None, type_, any(v.nullable for v in values))

    def _connective(self, node: Node) -> Term:
        absorbing = node.op == "OR"
        terms: list[Term] = []
        for arg in node.args:
            term = self._typed(arg, "bool")
            if term.is_constant and term.value is not None:
                if term.value is absorbing:
                    return constant(absorbing)
                continue
            terms.extend(term.args if term.op == node.op else (term,))
        if not terms:
            return constant(not absorbing)
        if len(terms) == 1 or all(term.is_constant for term in terms):
            return terms[0]
        return Term(node.op, tuple(terms), None, "bool", any(t.nullable for t in terms))

    def _coalesce(self, node: Node) -> Term:
        terms: list[Term] = []
        for arg in node.args:
            term = self.bind(arg)
            if term.type != "null":
                terms.append(term)
        type_ = self._same_type(node, terms)
        for i, term in enumerate(terms):
            if not term.nullable:
                terms = terms[: i + 1]
                break
        if len(terms) <= 1:
            return terms[0] if terms else NULL
        return Term("COALESCE", tuple(terms), None, type_, terms[-1].nullable)

    def _membership(self, node: Node) -> Term:
        subject, *members = (self.bind(arg) for arg in node.args)
        for arg, member in zip(node.args[1:], members, strict=True):
            if not member.is_constant or member.value is None:
                raise arg.error("IN takes literals and parameters, without NULL")
            if subject.type not in (member.type, "null") or member.type not in ("int", "str"):
                raise arg.error(f"{subject.type} cannot be one of {member.type}")
        if subject.is_constant:
            if subject.value is None:
                return NULL
            return constant(any(subject.value == member.value for member in members))
        return Term("IN", (subject, *members), None, "bool", subject.nullable)

    def _extreme(self, node: Node) -> Term:
        args = [self._typed(arg, "int") for arg in node.args]
        terms = [term for term in args if term != NULL]
        if len(terms) <= 1:
            return terms[0] if terms else NULL
        if all(term.is_constant for term in terms):
            pick = min if node.op == "LEAST" else max
            return pick(terms, key=lambda term: int(str(term.value)))
        nullable = all(term.nullable for term in terms)
        return Term(node.op, tuple(terms), None, "int", nullable)

    def _strict(self, node: Node) -> Term:
        """Operators whose result is null as soon as one argument is."""
        op = node.op
        if op in COMPARISONS:
            terms = [self.bind(arg) for arg in node.args]
            self._comparable(node, terms)
            type_: Type = "bool"
        else:
            integers_only = op in ("intDiv", "ABS", "BIN")
            allowed: tuple[Type, ...] = ("int",) if integers_only else ("int", "real")
            terms = [self._typed(arg, *allowed) for arg in node.args]
            real = any(term.type == "real" for term in terms)
            type_ = "real" if op in ("/", "EXP") or (real and op != "ROUND") else "int"
        if op in ("/", "intDiv") and not _never_zero(terms[1]):
            raise node.args[1].error(
                "the divisor must be a literal or parameter, and not 0, or GREATEST(x, 1)"
            )
        if any(term == NULL for term in terms):
            return NULL
        if op == "ROUND" and terms[0].type == "int":
            return terms[0]
        if all(term.is_constant for term in terms):
            return self._constant(node, _ARITHMETIC[op](*(term.value for term in terms)))
        if op in ("+", "-") and terms[1] == constant(0):
            return terms[0]
        nullable = any(term.nullable for term in terms)
        return Term(op, tuple(terms), None, type_, nullable)

    def _comparable(self, node: Node, terms: list[Term]) -> None:
        types = {"int" if term.type == "real" else term.type for term in terms} - {"null"}
        if len(types) > 1:
            raise node.error(f"cannot compare {terms[0].type} with {terms[1].type}")
        if types & {"str", "bool"} and node.op not in ("=", "<>"):
            raise node.error(f"{node.op} compares numbers only")


def _never_zero(divisor: Term) -> bool:
    """Whether a divisor is a constant other than 0, or at least a positive constant."""
    if divisor.is_constant:
        return bool(divisor.value)
    return divisor.op == "GREATEST" and any(
        isinstance(term.value, int) and term.value > 0 for term in divisor.args if term.is_constant
    )
