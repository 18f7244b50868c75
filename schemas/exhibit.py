"""An exhibit: which KPIs an organisation chose, for whom, over which windows and targets.

``schemas/exhibit_file.py`` reads one from YAML.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Annotated, Any, Final, Literal, NamedTuple, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, field_validator
from pydantic_core import PydanticCustomError

from schemas.facts import DIMENSIONS, Header
from schemas.hours import BusinessHours, parse_hours
from schemas.presets import preset_names
from schemas.words import nearest

MINUTE_MS: Final = 60_000
SLIDING_MS: Final = {
    "5m": 5 * MINUTE_MS, "15m": 15 * MINUTE_MS, "30m": 30 * MINUTE_MS, "1h": 60 * MINUTE_MS,
}  # fmt: skip
TumblingSize = Literal["15m", "30m", "1h", "day"]
TUMBLING_SIZES: Final[tuple[TumblingSize, ...]] = get_args(TumblingSize)

Attribution = Literal["arrival", "event", "close", "clip", "cohort-final", "gauge"]
"""Which instant of a fact decides the window that it counts in."""

Owner = Literal["VMO", "OSP", "client"]
TargetSource = Literal["client", "benchmark", "statute"]
Method = Literal["census", "random_sample", "survey"]
Frequency = Literal["interval", "daily", "weekly", "monthly", "quarterly", "yearly"]

MAX_NAME_CHARS: Final = 100
"""Longest name of an exhibit, or of one of its rows."""

MAX_DIMENSIONS: Final = 6
"""Most dimensions an exhibit is split by: each fact counts in every sum over some of them."""

_ID: Final = rf"^[A-Za-z0-9][A-Za-z0-9_.-]{{0,{MAX_NAME_CHARS - 1}}}$"
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


def _as_written(told: object) -> str:
    """A window or a dimension as an exhibit has it."""
    if isinstance(told, Tumbling):
        return f"{{tumbling: {told.size}}}"
    return str(getattr(told, "size", told) or getattr(told, "kind", told))


def _dimension(raw: object) -> str:
    if isinstance(raw, str) and raw in DIMENSIONS:
        return raw
    raise _error(f"unknown dimension {raw}; {nearest(raw, DIMENSIONS)}")


def _patterns(raw: object) -> object:
    return [raw] if isinstance(raw, str) else raw


def _optional_target(raw: object) -> Target | None:
    return None if raw is None else parse_target(raw)


def _business_hours(raw: object) -> BusinessHours | None:
    try:
        return None if raw is None else parse_hours(raw)
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


class Alert(_Model):
    """When somebody is told that a target is missed."""

    after_minutes: Annotated[
        int, Field(ge=0, strict=True, description="how long it must be missed without a break")
    ] = 5
    severity: Annotated[Literal["page", "ticket"], Field(description="who is told")] = "ticket"


class KpiEntry(_Model):
    """One KPI of an exhibit; only the first three fields decide its numbers."""

    kpi: Annotated[str, Field(min_length=1, description="id of the KPI")]
    parameters: Annotated[
        dict[str, Any], Field(description="parameters; those left out have the KPI's defaults")
    ] = Field(default_factory=dict)
    attribution: Annotated[
        Attribution | None, Field(description="which instant of a fact decides its window")
    ] = None
    min_n: Annotated[
        int, Field(ge=0, strict=True, description="below this n a value meets and misses nothing")
    ] = 0
    name: Annotated[Id, Field(alias="as", description="name of its rows; else the id of the KPI")]
    title: Annotated[str | None, Field(description="name for people")] = None
    target: Annotated[
        Target | None,
        BeforeValidator(_optional_target),
        Field(description='range to lie in, as ">= 0.80", "<= 300" or "0.10..0.25"'),
    ] = None
    target_source: Annotated[
        TargetSource | None, Field(description="where the target comes from")
    ] = None
    alert: Annotated[
        Alert | None, Field(description="who is told of a missed target, and after how long")
    ] = None
    owner: Annotated[Owner | None, Field(description="who answers for the value")] = None
    kcr_task: Annotated[str | None, Field(description="key customer-related task it is about")] = (
        None
    )
    capability: Annotated[
        str | None, Field(description="capability, of people or technology, it is about")
    ] = None
    item_ref: Annotated[
        str | None, Field(description="item of a contract or standard that asks for it")
    ] = None
    intent: Annotated[str | None, Field(description="what it must prove")] = None
    method: Annotated[Method | None, Field(description="what the value rests on")] = None
    frequency: Annotated[Frequency | None, Field(description="how often it is reviewed")] = None
    equivalence_note: Annotated[
        str | None, Field(description="why it proves the intent, where another metric was named")
    ] = None


class Exhibit(_Model):
    """One exhibit, checked but for KPI ids and parameters, which the catalogue knows."""

    exhibit: Annotated[Id, Field(description="name of the exhibit")]
    version: Annotated[
        int, Field(ge=1, strict=True, description="raised with every change of meaning")
    ] = 1
    title: Annotated[str | None, Field(description="name for people")] = None
    preset: Annotated[
        str | None, Field(description="whose definitions are the defaults; see presets.md")
    ] = None
    time_zone: Annotated[str, Field(description="zone of days and buckets")] = "UTC"
    business_hours: Annotated[
        BusinessHours | None,
        BeforeValidator(_business_hours),
        Field(description="opening times; nothing outside of them counts"),
    ] = None
    where: Annotated[
        dict[Dimension, Patterns],
        Field(description="population: patterns by dimension; inbound only unless it says"),
    ] = Field(default_factory=dict)
    by: Annotated[
        tuple[Dimension, ...], Field(description="dimensions to split by; totals come with them")
    ] = ()
    windows: Annotated[
        tuple[Annotated[Window, BeforeValidator(parse_window)], ...],
        Field(min_length=1, description=f"5m to 1h slide; {_WINDOW_HELP}"),
    ] = (Sliding("15m"), Sliding("1h"), Today(), All())
    horizon_days: Annotated[
        int | None,
        Field(
            ge=8,
            le=800,
            strict=True,
            description="events that tell of what is older are late; the KPIs' own horizon else",
        ),
    ] = None
    kpis: Annotated[tuple[KpiEntry, ...], Field(min_length=1, description="entries, fields below")]
    _source: Source = PrivateAttr(default_factory=Source)

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        if zone not in zones():
            raise _error(f"unknown time zone {zone}; {_zone_hint(zone)}")
        return zone

    @field_validator("by", "windows")
    @classmethod
    def _each_once(cls, told: tuple[Any, ...]) -> tuple[Any, ...]:
        twice = [one for place, one in enumerate(told) if one in told[:place]]
        if twice:
            raise _error(f"{_as_written(twice[0])} stands here twice; write it once")
        return told

    @field_validator("by")
    @classmethod
    def _few_dimensions(cls, by: tuple[str, ...]) -> tuple[str, ...]:
        if len(by) > MAX_DIMENSIONS:
            raise _error(
                f"{len(by)} dimensions make {2 ** len(by):,} sums of every fact; split by at most "
                f"{MAX_DIMENSIONS}, and make another exhibit for the others"
            )
        return by

    @field_validator("preset")
    @classmethod
    def _known_preset(cls, preset: str | None) -> str | None:
        if preset is not None and preset not in preset_names():
            raise _error(f"unknown preset {preset}; {nearest(preset, preset_names())}")
        return preset

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
