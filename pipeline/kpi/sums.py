"""Reading merged sums as one KPI: numerator, denominator, value, n and interval of a window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pipeline.kpi import bins
from pipeline.kpi.group import DENOMINATOR, EXISTS, LATE, LATE_ROWS, NUMERATOR, Group
from pipeline.kpi.held import Cell, Held, Slot
from pipeline.kpi.plan import Reading
from pipeline.kpi.stats import (
    Grouped,
    covered,
    difference,
    least_ratio,
    median_survival,
    psi,
    wilson,
)
from pipeline.kpi.stats import value as value_of


class Sums(NamedTuple):
    """What a KPI comes to; ``told_late`` counts rows told after their bucket had settled."""

    numerator: int | None
    denominator: int | None
    value: float | int | None
    n: int | None
    low: float | None = None
    high: float | None = None
    told_late: int = 0


def read_sums(held: Held, reading: Reading, cell: Cell, slot: Slot) -> Sums:
    """What the KPI of ``reading`` comes to in a cell and window."""
    kpi = reading.kpi
    if kpi.combination is not None:
        return _combined(held, reading, cell, slot)
    group, index = reading.places[0]
    if group.shape == "map" and group.gauge and not _is_present(held, slot):
        return Sums(None, None, None, None)
    if group.shape == "map":
        return _mapped(held, reading, group, cell, slot)
    numbers = group.numbers(held.vector(group, cell, slot), index)
    late = 0 if group.gauge else _told_late(held, slot, numbers)
    bucket = slot.window.kind == "tumbling"
    if kpi.gauge:
        told = _gauge(held, reading, numbers) if _is_present(held, slot) else None
        value = None if told is None else value_of(kpi.unit, told, None, micro=kpi.micro)
        return Sums(told, None, value, None)
    numerator = numbers[NUMERATOR]
    if kpi.unit == "count":
        # A count of none among facts is 0; where a bucket holds no such fact, nothing was counted.
        nothing = bucket and not numbers[EXISTS]
        return Sums(numerator, numerator, None if nothing else numerator, numerator, told_late=late)
    if kpi.reads == "time_average":
        return _time_average(held, reading, slot, numerator)
    if kpi.total:
        nothing = bucket and not numbers[EXISTS]
        value = None if nothing else value_of(kpi.unit, numerator, None, micro=kpi.micro)
        return Sums(numerator, None, value, None, told_late=late)
    denominator = numbers[DENOMINATOR]
    return _fraction(reading, numerator, denominator, denominator, late)


def _fraction(reading: Reading, numerator: int, denominator: int, n: int, late: int) -> Sums:
    kpi = reading.kpi
    value = value_of(kpi.unit, numerator, denominator, micro=kpi.micro)
    low = high = None
    # Clipped time is no sample, so it has no interval.
    if kpi.unit == "ratio" and kpi.proportion and kpi.attribution != "clip":
        low, high = wilson(numerator, denominator) or (None, None)
    return Sums(numerator, denominator, value, n, low, high, late)


def _time_average(held: Held, reading: Reading, slot: Slot, numerator: int) -> Sums:
    """What is clipped, over the part of the window that has passed; all time has no length."""
    start_ms, end_ms = held.bounds(slot)
    if start_ms is None or end_ms is None:
        return Sums(numerator, None, None, None)
    until_ms = min(end_ms, held.span_ms)
    hours = held.plan.hours
    spans = [(start_ms, until_ms)] if hours is None else hours.open_spans(
        start_ms, until_ms, until_ms
    )  # fmt: skip
    length_ms = sum(max((end or until_ms) - begin, 0) for begin, end in spans)
    return Sums(numerator, length_ms, value_of(reading.kpi.unit, numerator, length_ms), length_ms)


def _is_present(held: Held, slot: Slot) -> bool:
    """Whether a gauge holds in a window.

    A bucket that is over has no present: what it held at its end depends on when one asks.
    """
    if slot.window.kind != "tumbling":
        return True
    start_ms, end_ms = held.bounds(slot)
    return (start_ms or 0) <= held.clock_ms < (end_ms or 0)


def _gauge(held: Held, reading: Reading, numbers: Sequence[int]) -> int | None:
    first, known = numbers[0], numbers[1]
    if reading.kpi.reads == "value":
        return first
    if not known:
        return None
    if reading.kpi.reads == "mean_age":
        return (known * held.clock_ms - first) // known
    return held.clock_ms - first


def _told_late(held: Held, slot: Slot, numbers: Sequence[int]) -> int:
    """Rows of a bucket that were told only after it had settled."""
    for place, known in enumerate(held.plan.sizes):
        if known == slot.window.size and slot.window.kind == "tumbling":
            return numbers[LATE + place]
    return 0


def _combined(held: Held, reading: Reading, cell: Cell, slot: Slot) -> Sums:
    """A composite: combined on each interval of its grid, then summed over the intervals."""
    kpi, combination = reading.kpi, reading.kpi.combination
    if combination is None:
        raise TypeError("the KPI has one part")
    numerator = denominator = n = late = 0
    for interval in _grid(held, reading, cell, slot):
        sums, told_late = [], [0]
        for group, index in reading.places:
            numbers = group.numbers(held.vector(group, cell, interval), index)
            sums.append(numbers[NUMERATOR])
            if not group.gauge:
                told_late.append(_told_late(held, slot, numbers))
        # A row that several parts count was told late once.
        late += max(told_late)
        numerator += combination.numerator(tuple(sums))
        denominator += combination.denominator(tuple(sums))
        n += combination.n(tuple(sums))
    if kpi.total or kpi.unit == "count":
        value = value_of(kpi.unit, numerator, None, micro=kpi.micro)
        return Sums(numerator, None, value, None, told_late=late)
    return _fraction(reading, numerator, denominator, n, late)


def _grid(held: Held, reading: Reading, cell: Cell, slot: Slot) -> Iterator[Slot]:
    grid = reading.kpi.grid
    if grid == "window":
        yield slot
    else:
        yield from held.intervals((group for group, _ in reading.places), cell, slot, grid)


# --- maps -----------------------------------------------------------------------------------------


def _mapped(held: Held, reading: Reading, group: Group, cell: Cell, slot: Slot) -> Sums:
    sums = _map_sums(held, reading, group, cell, slot)
    bucket = slot.window.kind == "tumbling"
    late = held.named(group, cell, slot).get(f"{LATE_ROWS}{slot.window.size}", 0) if bucket else 0
    return sums._replace(told_late=late)


def _map_sums(held: Held, reading: Reading, group: Group, cell: Cell, slot: Slot) -> Sums:
    kpi = reading.kpi
    found = grouped(held.named(group, cell, slot))
    n = sum(denominator for _, denominator in found.values())
    if kpi.reads == "percentile":
        counts = {int(key): denominator for key, (_, denominator) in found.items()}
        percent = kpi.parameters["percentile"]
        told = bins.percentile(counts, float(percent)) if isinstance(percent, int | float) else None
        return Sums(told, 1, value_of(kpi.unit, told, 1), n)
    if kpi.reads == "median_survival":
        told = median_survival({int(key): pair for key, pair in found.items()})
        told = None if told is None else bins.bin_middle(told)
        return Sums(told, 1, value_of(kpi.unit, told, 1), n)
    if kpi.reads == "covered":
        numerator, denominator = covered(found)
        return _fraction(reading, numerator, denominator, denominator, 0)
    if kpi.reads == "least_ratio":
        low_n = kpi.parameters.get("min_n", 1)
        pair = least_ratio(found, int(low_n) if isinstance(low_n, int | float) else 1)
        return _pair(reading, pair, n)
    if kpi.reads == "difference":
        names = (str(kpi.parameters[name]) for name in ("baseline", "candidate"))
        old, new = (found.get(name, (0, 0)) for name in names)
        told_ = difference(old, new)
        n = old[1] + new[1]
        if told_ is None:
            return Sums(0, 0, None, n)
        return Sums(told_.numerator, told_.denominator, told_.value, n, told_.low, told_.high)
    if kpi.reads == "psi":
        return Sums(None, None, psi(_before(held, reading, group, cell, slot), found), n)
    raise ValueError(f"{kpi.id}: a map is not read as {kpi.reads}")


def _pair(reading: Reading, pair: tuple[int, int] | None, n: int) -> Sums:
    if pair is None:
        return Sums(0, 0, None, n)
    return Sums(*pair, value_of(reading.kpi.unit, *pair), n)


def _before(held: Held, reading: Reading, group: Group, cell: Cell, slot: Slot) -> Grouped:
    """The same map over the whole days before the window."""
    days = reading.kpi.parameters["baseline_days"]
    total: dict[str, tuple[int, int]] = {}
    for day in held.days_before(slot, int(days) if isinstance(days, int | float) else 0):
        for name, (numerator, denominator) in grouped(held.named(group, cell, day)).items():
            known = total.get(name, (0, 0))
            total[name] = (known[0] + numerator, known[1] + denominator)
    return total


def grouped(named: dict[str, int]) -> Grouped:
    """Numerator and denominator by key, of the sums of a map."""
    keys = {name[1:] for name in named if name[0] in "+/"}
    return {key: (named.get(f"+{key}", 0), named.get(f"/{key}", 0)) for key in keys}
