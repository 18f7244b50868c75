"""The exhibit file: which KPIs an organisation chose, for whom, over which windows and targets.

Every mistake in a file is reported with its line and column and with what to write instead; all
mistakes of a file are reported at once.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, Self, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
)  # fmt: skip
from pydantic_core import ErrorDetails, PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from schemas.facts import DIMENSIONS, Header
from schemas.hours import BusinessHours, parse_hours

MINUTE_MS: Final = 60_000
SLIDING_MS: Final = {
    "5m": 5 * MINUTE_MS, "15m": 15 * MINUTE_MS, "30m": 30 * MINUTE_MS, "1h": 60 * MINUTE_MS,
}  # fmt: skip
TumblingSize = Literal["15m", "30m", "1h", "day"]
TUMBLING_SIZES: Final[tuple[TumblingSize, ...]] = get_args(TumblingSize)

Attribution = Literal["arrival", "event", "close", "clip", "cohort-final", "gauge"]
"""Which instant of a fact decides the window that it counts in."""

_ID: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"
_NUMBER: Final = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)"
_WINDOW_HELP: Final = "write 5m, 15m, 30m, 1h, today, all or {tumbling: 15m | 30m | 1h | day}"
_TARGET_HELP: Final = 'write ">= 0.80", "<= 300" or "0.10..0.25"'

Path_ = tuple[str | int, ...]
"""Where something stands in a file: keys and indices from the top."""


class Problem(NamedTuple):
    """One mistake in a file; line and column count from 1."""

    line: int
    column: int
    message: str


class ExhibitError(ValueError):
    """Everything that is wrong with an exhibit file, one line a mistake."""

    def __init__(self, name: str, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__(
            "\n".join(f"{name}:{line}:{column}: {text}" for line, column, text in self.problems)
        )


@dataclass(frozen=True)
class Source:
    """The file an exhibit was read from, and where in it everything stands.

    Sources are all equal, so that exhibits compare by what they say.
    """

    name: str = field(default="<exhibit>", compare=False)
    places: Mapping[Path_, tuple[int, int]] = field(default_factory=dict, compare=False, repr=False)

    def place(self, path: Path_) -> tuple[int, int]:
        """Line and column of a path, or of the nearest thing around it that is in the file."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, (1, 1))


@dataclass(frozen=True, slots=True)
class Sliding:
    """The last ``size_ms`` up to the clock."""

    size: str
    kind: Literal["sliding"] = "sliding"

    @property
    def size_ms(self) -> int:
        """Length in milliseconds."""
        return SLIDING_MS[self.size]


@dataclass(frozen=True, slots=True)
class Tumbling:
    """Every bucket of this size in site time in which a fact lies."""

    size: TumblingSize
    kind: Literal["tumbling"] = "tumbling"


@dataclass(frozen=True, slots=True)
class Today:
    """From the beginning of the site's day to its end."""

    size: None = None
    kind: Literal["today"] = "today"


@dataclass(frozen=True, slots=True)
class All:
    """Everything, without start and end."""

    size: None = None
    kind: Literal["all"] = "all"


Window = Sliding | Tumbling | Today | All


@dataclass(frozen=True, slots=True)
class Target:
    """A range a value should lie in, both ends included; None is open."""

    low: float | None
    high: float | None
    text: str = field(compare=False)

    def met(self, value: float) -> bool:
        """Whether a value lies in the range."""
        return self.distance(value) == 0

    def distance(self, value: float) -> float:
        """How far a value lies outside of the range; 0 inside."""
        below = 0.0 if self.low is None else self.low - value
        above = 0.0 if self.high is None else value - self.high
        return max(below, above, 0.0)


def _error(message: str) -> PydanticCustomError:
    return PydanticCustomError("exhibit", "{message}", {"message": message})


def parse_window(raw: object) -> Window:
    """A window as written in an exhibit."""
    if isinstance(raw, Sliding | Tumbling | Today | All):
        return raw
    match raw:
        case "today":
            return Today()
        case "all":
            return All()
        case str() if raw in SLIDING_MS:
            return Sliding(raw)
        case {"tumbling": str(size), **rest} if not rest and size in TUMBLING_SIZES:
            return Tumbling(size)
    raise _error(f"{raw} is not a window; {_WINDOW_HELP}")


def parse_target(raw: object) -> Target:
    """A target as written in an exhibit: ``>= x``, ``<= x`` or ``x..y``."""
    if isinstance(raw, Target):
        return raw
    text = raw.strip() if isinstance(raw, str) else ""
    if found := re.fullmatch(rf"(>=|<=)\s*({_NUMBER})", text):
        number = float(found[2])
        return Target(number, None, text) if found[1] == ">=" else Target(None, number, text)
    if found := re.fullmatch(rf"({_NUMBER})\s*\.\.\s*({_NUMBER})", text):
        low, high = float(found[1]), float(found[2])
        if low > high:
            raise _error(f'the target {text} is empty; write "{found[2]}..{found[1]}"')
        return Target(low, high, text)
    raise _error(f"{raw} is not a target; {_TARGET_HELP}")


def _nearest(word: object, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(str(word), names, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else "known: " + ", ".join(names)


def _dimension(raw: object) -> str:
    if isinstance(raw, str) and raw in DIMENSIONS:
        return raw
    raise _error(f"unknown dimension {raw}; {_nearest(raw, DIMENSIONS)}")


def _patterns(raw: object) -> object:
    return [raw] if isinstance(raw, str) else raw


def _business_hours(raw: object) -> BusinessHours:
    try:
        return parse_hours(raw)
    except ValueError as error:
        raise _error(str(error)) from error


@cache
def zones() -> frozenset[str]:
    """Names of time zones, as the pinned tzdata package has them."""
    return frozenset((resources.files("tzdata") / "zones").read_text("utf-8").split())


Id = Annotated[str, Field(pattern=_ID)]
Dimension = Annotated[str, BeforeValidator(_dimension)]
Patterns = Annotated[tuple[str, ...], Field(min_length=1), BeforeValidator(_patterns)]


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, populate_by_name=True
    )


class KpiEntry(_Model):
    """One KPI of an exhibit. ``name`` (in the file: ``as``) is what its rows are called."""

    kpi: Annotated[str, Field(min_length=1)]
    name: Annotated[Id, Field(alias="as")]
    parameters: dict[str, Any] = Field(default_factory=dict)
    attribution: Attribution | None = None
    target: Annotated[Target, BeforeValidator(parse_target)] | None = None
    min_n: Annotated[int, Field(ge=0, strict=True)] = 0
    title: str | None = None


class Exhibit(_Model):
    """One exhibit, checked but for KPI ids and parameters, which the catalogue knows."""

    exhibit: Id
    version: Annotated[int, Field(ge=1, strict=True)] = 1
    time_zone: str = "UTC"
    where: dict[Dimension, Patterns] = Field(default_factory=dict)
    by: tuple[Dimension, ...] = ()
    windows: Annotated[
        tuple[Annotated[Window, BeforeValidator(parse_window)], ...], Field(min_length=1)
    ] = (Sliding("15m"), Sliding("1h"), Today(), All())
    kpis: Annotated[tuple[KpiEntry, ...], Field(min_length=1)]
    business_hours: Annotated[BusinessHours, BeforeValidator(_business_hours)] | None = None
    _source: Source = PrivateAttr(default_factory=Source)

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        if zone not in zones():
            raise _error(f"unknown time zone {zone}; {_zone_hint(zone)}")
        return zone

    @property
    def source(self) -> Source:
        """Where the exhibit was read from."""
        return self._source

    @property
    def effective_where(self) -> dict[str, tuple[str, ...]]:
        """``where``, with inbound contacts only unless it says a direction."""
        if "direction" in self.where:
            return dict(self.where)
        return {**self.where, "direction": ("inbound",)}

    def matcher(self) -> Callable[[Header], bool]:
        """A test whether a fact's header belongs to the exhibit's population."""
        tests = [
            (Header._fields.index(name), _glob(patterns))
            for name, patterns in self.effective_where.items()
        ]

        def matches(header: Header) -> bool:
            return all(test(header[index]) for index, test in tests)

        return matches

    def with_source(self, source: Source) -> Self:
        """The same exhibit, knowing where it was read from."""
        copy = self.model_copy()
        copy._source = source
        return copy


def glob_pattern(glob: str) -> str:
    """The regular expression of a glob, whose only special character is ``*``."""
    return ".*".join(re.escape(part) for part in glob.split("*"))


def _glob(patterns: tuple[str, ...]) -> Callable[[str], object]:
    plain = frozenset(pattern for pattern in patterns if "*" not in pattern)
    if len(plain) == len(patterns):
        return plain.__contains__
    return re.compile("|".join(glob_pattern(p) for p in patterns), re.DOTALL).fullmatch


def _zone_hint(zone: str) -> str:
    close = difflib.get_close_matches(zone, sorted(zones()), n=1, cutoff=0.5)
    close += [name for name in sorted(zones()) if name.rpartition("/")[2] == zone.title()]
    return f"did you mean {close[-1]}?" if close else "write a name such as Europe/Berlin"


def load_exhibit(source: Path | str, name: str | None = None) -> Exhibit:
    """Read an exhibit: a ``Path`` is a file, a ``str`` is YAML; ``name`` stands in messages.

    Raises:
        ExhibitError: with all mistakes, by file, line and column.
        OSError: if the file cannot be read.
    """
    if isinstance(source, Path):
        name = name or str(source)
        try:
            text = source.read_text("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ExhibitError(name, [Problem(1, 1, "the file is not UTF-8 text")]) from error
    else:
        name, text = name or "<exhibit>", source
    tree = _yaml(text, name)
    places: dict[Path_, tuple[int, int]] = {}
    raw = _plain(tree, (), (1, 1), places)
    where = Source(name, places)
    if not isinstance(raw, dict):
        raise ExhibitError(
            name, [Problem(1, 1, "an exhibit is a mapping that begins with `exhibit: name`")]
        )
    problems = []
    for i, entry in _entries(raw):
        entry.setdefault("as", entry.get("kpi"))
        first = next(j for j, other in _entries(raw) if other.get("as") == entry["as"])
        if first != i and entry["as"] is not None:
            key = "as" if ("kpis", i, "as") in places else "kpi"
            line, _ = where.place(("kpis", first))
            text = f"{entry['as']} is used in line {line} already; give this one another `as`"
            problems.append(Problem(*where.place(("kpis", i, key)), text))
    try:
        exhibit = Exhibit.model_validate(raw)
    except ValidationError as error:
        problems += [
            _problem(details, where)
            for details in error.errors()
            # A list whose items are all wrong is not an empty list as well.
            if details["type"] != "too_short" or not details["input"]
        ]
        raise ExhibitError(name, problems) from error
    if problems:
        raise ExhibitError(name, problems)
    return exhibit.with_source(where)


def _yaml(text: str, name: str) -> object:
    try:
        return YAML(typ="rt", pure=True).load(StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = str(error.problem or error.context)
        if "duplicate key" in what:
            what = f"{what.partition(' with ')[0]}; write each key once"
        raise ExhibitError(name, [Problem(line, column, what)]) from error
    except YAMLError as error:
        raise ExhibitError(name, [Problem(1, 1, f"not YAML: {error}")]) from error


def _entries(raw: Mapping[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """The entries of ``kpis`` that are mappings, with their index."""
    kpis = raw.get("kpis")
    if not isinstance(kpis, list):
        return []
    return [(i, entry) for i, entry in enumerate(kpis) if isinstance(entry, dict)]


def _plain(
    node: object, path: Path_, place: tuple[int, int], places: dict[Path_, tuple[int, int]]
) -> Any:
    """Plain Python of a YAML tree; notes where each key and item stands."""
    places[path] = place
    if isinstance(node, CommentedMap):
        found: dict[Hashable, Any] = {}
        for key, value in node.items():
            try:
                line, column = node.lc.key(key)
                below = (line + 1, column + 1)
            except KeyError:  # came in by a merge key
                below = place
            found[key] = _plain(value, (*path, key), below, places)
        return found
    if isinstance(node, CommentedSeq):
        items = []
        for i, item in enumerate(node):
            line, column = node.lc.item(i)
            items.append(_plain(item, (*path, i), (line + 1, column + 1), places))
        return items
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def _problem(details: ErrorDetails, source: Source) -> Problem:
    """One mistake as pydantic found it, said in words of the file."""
    path = tuple(part for part in details["loc"] if part != "[key]")
    place = source.place(path)
    key = next((part for part in reversed(path) if isinstance(part, str)), "")
    given = details["input"]
    inside = KpiEntry if len(path) > 1 and path[0] == "kpis" else Exhibit
    known = [info.alias or name for name, info in inside.model_fields.items()]
    match details["type"]:
        case "exhibit":
            text = details["msg"]
        case "extra_forbidden":
            text = f"unknown key {key}; {_nearest(key, known)}"
        case "missing":
            text = f"the key {'kpi' if key == 'as' else key} is missing"
        case "model_type" | "model_attributes_type":
            text = f"write {{kpi: id}} with optional {', '.join(known[1:])}, not {given}"
        case "string_pattern_mismatch":
            text = f"{key}: {given} is not a name; use letters, digits, _ . and -"
        case "string_type":
            text = f'{key}: a text is needed, write "{given}" in quotes'
        case "too_short" | "string_too_short":
            text = f"{key} must not be empty"
        case "int_type" | "greater_than_equal":
            low = details.get("ctx", {}).get("ge")
            limit = "" if low is None else f", {low} or more"
            text = f"{key}: a whole number is needed{limit}, not {given}"
        case "tuple_type":
            text = f"{key}: a list is needed, write [{given}]"
        case "dict_type":
            text = f"{key}: a mapping is needed, not {given}"
        case _:
            text = f"{key}: {details['msg']}"
    return Problem(*place, text)
