"""Whether an exhibit makes sense: mistakes that every part of it alone does not show.

Each problem is told by line and column and with what to write instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import combinations
from typing import Final, NamedTuple, get_args

from pipeline.kpi.calendar import DAY_MS, SIZES_MS
from pipeline.kpi.catalogue import CompiledKpi
from schemas.exhibit import (
    Exhibit,
    ExhibitError,
    KpiEntry,
    Path_,
    Problem,
    Sliding,
    Target,
    Tumbling,
    Window,
)
from schemas.interaction import Channel, Direction, Employment, Location, PerformerKind
from schemas.words import listed, meant

MOST_RATIO: Final = 10.0
"""Above this a target of a ratio that may exceed 1, as forecast over actual, is taken for percent.
"""


WORDS: Final = {
    "channel": get_args(Channel),
    "direction": get_args(Direction),
    "performer_kind": get_args(PerformerKind),
    "location": get_args(Location),
    "employment": get_args(Employment),
}
"""Dimensions whose values are words of the event schema; all may be empty, too."""


class _Entry(NamedTuple):
    """One entry with its place in the list and what it compiles to."""

    number: int
    entry: KpiEntry
    kpi: CompiledKpi

    def at(self, *keys: str) -> Path_:
        return ("kpis", self.number, *keys)


def check_sense(exhibit: Exhibit, kpis: Sequence[CompiledKpi]) -> None:
    """Refuse an exhibit that cannot mean what it says; ``kpis`` are its entries, compiled.

    Raises:
        ExhibitError: with every such mistake.
    """
    entries = [_Entry(i, *pair) for i, pair in enumerate(zip(exhibit.kpis, kpis, strict=True))]
    found: list[tuple[Path_, str]] = [*_population(exhibit)]
    for one in entries:
        found += _target(one)
        found += _min_n(one)
        found += _alert(one, exhibit.windows)
        found += _windows(one, exhibit.windows)
        found += _parameters(one)
    found += _conflicts(exhibit, entries)
    if found:
        problems = [Problem(*exhibit.source.place(path), text) for path, text in found]
        raise ExhibitError(exhibit.source.name, problems)


def _population(exhibit: Exhibit) -> Iterator[tuple[Path_, str]]:
    """Patterns that nothing can ever match, since the dimension has only certain words."""
    for name, words in WORDS.items():
        for place, pattern in enumerate(exhibit.where.get(name, ())):
            if not any(fnmatchcase(word, _plain(pattern)) for word in ("", *words)):
                like = meant(pattern, words)
                hint = f"did you mean {like}?" if like else f"write {listed(words)}"
                yield ("where", name, place), f"no {name} is {pattern}; {hint}"


def _plain(glob: str) -> str:
    """A glob whose only special character is ``*``, as :mod:`fnmatch` reads it."""
    return "".join(f"[{c}]" if c in "?[" else c for c in glob)


# --- targets --------------------------------------------------------------------------------------


def value_range(kpi: CompiledKpi) -> tuple[float, float]:
    """The least and the greatest value a KPI can have."""
    match kpi.unit:
        case "ratio" if kpi.reads == "difference":
            return -1.0, 1.0
        case "ratio":
            return (0.0, 1.0) if kpi.proportion else (-MOST_RATIO, MOST_RATIO)
        case "points":
            return -100.0, 100.0
        case "score":
            scale = kpi.parameters.get("scale")
            return 0.0, float(scale) if isinstance(scale, int | float) else math.inf
        case _:
            # What parts make may be a difference, as staff there less staff needed.
            return -math.inf if kpi.combination is not None else 0.0, math.inf


def _target(one: _Entry) -> Iterator[tuple[Path_, str]]:
    entry, kpi = one.entry, one.kpi
    target = entry.target
    if target is None:
        for name in ("target_source", "alert"):
            if getattr(entry, name) is not None:
                yield one.at(name), f"{name} without a target; add a target or leave {name} out"
        return
    low, high = value_range(kpi)
    given = [bound for bound in (target.low, target.high) if bound is not None]
    if any(not low <= bound <= high for bound in given):
        yield one.at("target"), _out_of_range(kpi, target, (low, high))
    elif _is_backwards(kpi, target):
        sign = ">=" if kpi.direction == "higher" else "<="
        yield (
            one.at("target"),
            f"{entry.name} is better the {kpi.direction}, so {target.text} rewards worse values; "
            f'write "{sign} {given[0]:g}", or a range such as "x..y"',
        )


def _out_of_range(kpi: CompiledKpi, target: Target, limits: tuple[float, float]) -> str:
    bound = next(b for b in (target.low, target.high) if b is not None and not _lies_in(b, limits))
    if kpi.unit == "ratio" and 1 < bound <= 100:
        return (
            f"{kpi.id} is a ratio, and {bound:g} is no value of it; "
            f'{bound:g} % is written "{_percent_as_ratio(target)}"'
        )
    low, high = limits
    limit = f"{low:g} or more" if math.isinf(high) else f"{low:g} to {high:g}"
    return f"{kpi.id} ({kpi.unit}) is {limit}, so {target.text} is no target; write a bound in it"


def _lies_in(bound: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= bound <= limits[1]


def _percent_as_ratio(target: Target) -> str:
    if target.low is None:
        return f"<= {(target.high or 0) / 100:g}"
    if target.high is None:
        return f">= {target.low / 100:g}"
    return f"{target.low / 100:g}..{target.high / 100:g}"


def _is_backwards(kpi: CompiledKpi, target: Target) -> bool:
    one_sided = (target.low is None) != (target.high is None)
    wanted = {"higher": target.low, "lower": target.high}
    return one_sided and kpi.direction in wanted and wanted[kpi.direction] is None


def _conflicts(exhibit: Exhibit, entries: Sequence[_Entry]) -> Iterator[tuple[Path_, str]]:
    """Two targets of one number that no value can meet."""
    for first, second in combinations(entries, 2):
        if first.kpi.key != second.kpi.key:
            continue
        one, other = first.entry.target, second.entry.target
        if one is not None and other is not None and not _both_can_be_met(one, other):
            line, _ = exhibit.source.place(first.at("target"))
            yield (
                second.at("target"),
                f"{second.entry.name} is the number of {first.entry.name} in line {line}, and no "
                f"value meets both {one.text} and {other.text}; change one of them",
            )


def _both_can_be_met(one: Target, other: Target) -> bool:
    low = max(t.low if t.low is not None else -math.inf for t in (one, other))
    high = min(t.high if t.high is not None else math.inf for t in (one, other))
    return low <= high


# --- counts, alerts and windows -------------------------------------------------------------------


def _min_n(one: _Entry) -> Iterator[tuple[Path_, str]]:
    kpi = one.kpi
    if not one.entry.min_n:
        return
    if kpi.gauge:
        yield one.at("min_n"), f"{kpi.id} is a gauge and has no n; leave min_n out"
    elif kpi.unit == "count" or kpi.total:
        yield one.at("min_n"), f"{kpi.id} is a total and rests on no sample; leave min_n out"


def _alert(one: _Entry, windows: Sequence[Window]) -> Iterator[tuple[Path_, str]]:
    closed_only = all(window.kind in ("tumbling", "all") for window in windows)
    if one.entry.alert is not None and closed_only:
        yield (
            one.at("alert"),
            "an alert needs a window that moves with the clock; add 5m, 15m, 30m, 1h or today",
        )


def _windows(one: _Entry, windows: Sequence[Window]) -> Iterator[tuple[Path_, str]]:
    kpi = one.kpi
    if kpi.gauge and all(isinstance(window, Tumbling) for window in windows):
        yield (
            one.at("kpi"),
            f"{kpi.id} is a gauge, which a closed bucket does not have; add 5m, today or all",
        )
    if kpi.reads in _NEEDS_A_LENGTH and all(window.kind == "all" for window in windows):
        yield (
            one.at("kpi"),
            f"{kpi.id} {_NEEDS_A_LENGTH[kpi.reads]}, and `all` has none; "
            "add today or {tumbling: day}",
        )
    if kpi.combination is None or kpi.grid == "window":
        return
    short = [_told(window) for window in windows if _length_ms(window) < _grid_ms(kpi.grid)]
    if short:
        yield (
            one.at("kpi"),
            f"{kpi.id} is combined in whole intervals of {kpi.grid}, and {', '.join(short)} "
            f"{'is' if len(short) == 1 else 'are'} shorter; put it into an exhibit of its own "
            f"with windows of {kpi.grid} or more",
        )


_NEEDS_A_LENGTH: Final = {
    "psi": "is compared with the days before the window",
    "time_average": "is a mean over the length of the window",
}


def _grid_ms(size: str) -> int:
    return DAY_MS if size == "day" else SIZES_MS[size]


def _length_ms(window: Window) -> float:
    if isinstance(window, Sliding):
        return window.size_ms
    if isinstance(window, Tumbling):
        return _grid_ms(window.size)
    return DAY_MS if window.kind == "today" else math.inf


def _told(window: Window) -> str:
    if isinstance(window, Tumbling):
        return f"{{tumbling: {window.size}}}"
    return window.size or window.kind


# --- parameters -----------------------------------------------------------------------------------


def _parameters(one: _Entry) -> Iterator[tuple[Path_, str]]:
    """Parameters that are good each by itself, and together count nothing or everything."""
    told = one.kpi.parameters
    number = {name: value for name, value in told.items() if isinstance(value, int | float)}

    def problem(name: str, text: str) -> tuple[Path_, str]:
        return one.at("parameters", name), text

    if "top" in number and number["top"] > number["scale"]:
        yield problem(
            "top", f"the top {number['top']} of {number['scale']} are all answers; {_BOX}"
        )
    if "bottom" in number and number["bottom"] >= number["scale"]:
        yield problem(
            "bottom", f"the bottom {number['bottom']} of {number['scale']} are all answers; {_BOX}"
        )
    for low, high in _BANDS:
        if number.get(high) and number.get(low, 0) >= number[high]:
            yield problem(
                low,
                f"nobody is between {number[low]} and {number[high]} days; "
                f"write {low} below {high}",
            )
    if one.kpi.reads == "difference":
        baseline, candidate = told["baseline"], told["candidate"]
        if not baseline or not candidate:
            yield problem("baseline", f"{one.kpi.id} compares two versions; name {_VERSIONS}")
        elif baseline == candidate:
            yield problem("candidate", f"{candidate} is compared with itself; name {_VERSIONS}")


_BOX: Final = "write fewer boxes than the scale has"
_BANDS: Final = (("tenure_from_days", "tenure_to_days"), ("from_days", "days"))
_VERSIONS: Final = "parameters: {baseline: one version, candidate: another}"
