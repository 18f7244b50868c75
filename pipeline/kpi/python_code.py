"""Python for a bound expression: one lambda over a fact and the clock.

Conditions are written with two-valued code. ``_true`` writes "is it true", ``_false`` writes "is it
false"; a null is neither. So SQL's three-valued logic costs nothing where a condition only selects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pipeline.kpi.bins import bin_floor
from pipeline.kpi.nodes import Term, divide_integers, exp_real, round_real
from schemas.facts import Fact

PythonFunction = Callable[[Fact, int], int | str | bool | None]

_OPERATORS: Final = {"=": "==", "<>": "!="}


def _least(*values: int | None) -> int | None:
    return min((value for value in values if value is not None), default=None)


def _greatest(*values: int | None) -> int | None:
    return max((value for value in values if value is not None), default=None)


NAMES: Final[dict[str, Any]] = {
    "__builtins__": {},
    "least": _least, "greatest": _greatest, "min": min, "max": max, "abs": abs, "float": float,
    "int_div": divide_integers, "round_real": round_real, "exp_real": exp_real,
    "bin_floor": bin_floor, "int": int,
}  # fmt: skip
"""What written code may name, and nothing else."""


class PythonCode:
    """Writes Python source; ``places`` gives the source of each column, as ``f[3]``."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places
        self._names = 0

    def expression(self, term: Term) -> str:
        """Source of an expression over ``f`` and ``as_of_ms``."""
        return self._value(term)

    def source(self, term: Term) -> str:
        """Source of a lambda ``(f, as_of_ms)``."""
        return f"lambda f, as_of_ms: {self._value(term)}"

    def compile(self, term: Term) -> PythonFunction:
        """The function itself, compiled once."""
        code = compile(self.source(term), "<kpi expression>", "eval")
        # The source is written by this class from a checked tree; no text of a user is in it but
        # literals, which pass through repr.
        function: PythonFunction = eval(code, dict(NAMES))  # noqa: S307
        return function

    def _value(self, term: Term) -> str:
        match term.op:
            case "constant":
                return repr(term.value)
            case "column":
                return self._places[str(term.value)]
            case "as_of":
                return "as_of_ms"
            case "CASE":
                return self._case(term, self._value)
            case "COALESCE":
                return self._coalesce(term)
            case "LEAST" | "GREATEST":
                skips_null = any(arg.nullable for arg in term.args)
                names = ("least", "greatest") if skips_null else ("min", "max")
                values = ", ".join(self._value(arg) for arg in term.args)
                return f"{names[term.op == 'GREATEST']}({values})"
        if term.type == "bool":
            if not term.nullable:
                return self._true(term)
            return f"(True if {self._true(term)} else False if {self._false(term)} else None)"
        guards, args = self._guarded(term)
        call = self._call(term.op, args)
        return f"(None if not ({' and '.join(guards)}) else {call})" if guards else call

    def _true(self, term: Term) -> str:
        match term.op:
            case "constant":
                return repr(term.value is True)
            case "column":
                place = self._places[str(term.value)]
                return f"({place} is True)" if term.nullable else place
            case "CASE":
                return self._case(term, self._true)
            case "COALESCE":
                return f"({self._value(term)} is True)"
            case "NOT":
                return self._false(term.args[0])
            case "AND" | "OR":
                return self._joined(term, self._true, term.op.lower())
            case "IS NULL":
                return f"({self._value(term.args[0])} is None)"
            case "IN":
                return f"({self._value(term.args[0])} in {self._members(term)})"
            case "=" if not all(arg.nullable for arg in term.args):
                left, right = (self._value(arg) for arg in term.args)
                return f"({left} == {right})"  # None equals no value, so no guard is needed
        return self._comparison(term, "{}")

    def _false(self, term: Term) -> str:
        match term.op:
            case "constant":
                return repr(term.value is False)
            case "column":
                place = self._places[str(term.value)]
                return f"({place} is False)" if term.nullable else f"(not {place})"
            case "CASE":
                return self._case(term, self._false)
            case "COALESCE":
                return f"({self._value(term)} is False)"
            case "NOT":
                return self._true(term.args[0])
            case "AND":
                return self._joined(term, self._false, "or")
            case "OR":
                return self._joined(term, self._false, "and")
            case "IS NULL":
                return f"({self._value(term.args[0])} is not None)"
            case "IN":
                guards, args = self._guarded(term, count=1)
                return self._all(guards, f"{args[0]} not in {self._members(term)}")
        return self._comparison(term, "not ({})")

    def _comparison(self, term: Term, form: str) -> str:
        guards, (left, right) = self._guarded(term)
        sign = _OPERATORS.get(term.op, term.op)
        return self._all(guards, form.format(f"{left} {sign} {right}"))

    def _guarded(self, term: Term, count: int | None = None) -> tuple[list[str], list[str]]:
        """Source of the arguments, and the tests that none of the nullable ones is null."""
        guards, args = [], []
        for arg in term.args[:count]:
            code = self._value(arg)
            if arg.nullable:
                name = f"v{self._names}"
                self._names += 1
                guards.append(f"({name} := {code}) is not None")
                code = name
            args.append(code)
        return guards, args

    def _case(self, term: Term, write: Callable[[Term], str]) -> str:
        pairs = zip(term.args[:-1:2], term.args[1:-1:2], strict=True)
        branches = [f"{write(value)} if {self._true(when)} else " for when, value in pairs]
        return f"({''.join(branches)}{write(term.args[-1])})"

    def _coalesce(self, term: Term) -> str:
        code = self._value(term.args[-1])
        for arg in reversed(term.args[:-1]):
            name = f"v{self._names}"
            self._names += 1
            code = f"({name} if ({name} := {self._value(arg)}) is not None else {code})"
        return code

    def _joined(self, term: Term, write: Callable[[Term], str], word: str) -> str:
        return "(" + f" {word} ".join(write(arg) for arg in term.args) + ")"

    @staticmethod
    def _all(guards: list[str], test: str) -> str:
        return f"({' and '.join([*guards, test])})"

    @staticmethod
    def _members(term: Term) -> str:
        return "(" + "".join(f"{member.value!r}, " for member in term.args[1:]) + ")"

    @staticmethod
    def _call(op: str, args: list[str]) -> str:
        match op:
            case "NEG":
                return f"(-{args[0]})"
            case "ABS":
                return f"abs({args[0]})"
            case "ROUND":
                return f"round_real({args[0]})"
            case "EXP":
                return f"exp_real({args[0]})"
            case "BIN":
                return f"bin_floor({args[0]})"
            case "intDiv":
                return f"int_div({args[0]}, {args[1]})"
            case "/":
                return f"(float({args[0]}) / float({args[1]}))"
        return f"({args[0]} {op} {args[1]})"
