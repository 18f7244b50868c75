"""From merged windows to published values: state, interval, target and status."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import lru_cache
from operator import attrgetter

from msgspec.structs import replace

from pipeline.kpi.held import TRENDING_PERIODS, Cell, Held, Slot
from pipeline.kpi.marks import Due
from pipeline.kpi.plan import Reading
from pipeline.kpi.sums import Sums, read_sums
from schemas.values import (
    ExhibitValue,
    State,
    Status,
    WindowRef,
    key_of,
    key_of_cell,
    key_of_window,
    rfc3339,
)

Previous = Callable[[bytes], ExhibitValue | None]

_instant = lru_cache(maxsize=10_000)(rfc3339)


def read(
    held: Held, due: Due, previous: Previous, *, complete: bool, everything: bool = False
) -> Iterator[tuple[bytes, ExhibitValue | None]]:
    """Values of KPIs of an exhibit in one cell and window, each with its key.

    Args:
        held: Shares and windows of the exhibit.
        due: The cell, the window and what is to be read.
        previous: What was published last under a key.
        complete: Nothing more will come, so every window is closed.
        everything: Tell what has not changed, too.

    Yields:
        Key and value of what changed; None where there is nothing to be published under that key
        any more.
    """
    window = _Window(held, due.cell, due.slot)
    for reading in due.readings:
        settled_ms = _settled_from_ms(reading, due.slot, window.end_ms)
        state = _state(held, reading, settled_ms, complete=complete)
        key = window.key(reading, state)
        before = previous(key)
        if due.gone:
            if before is not None:
                yield key, None
            continue
        sums = read_sums(held, reading, due.cell, due.slot)
        row = window.row(reading, state, sums, _status(held, due.cell, due.slot, reading, sums))
        if settled_ms is not None and row.state == "final":
            row = _restated(row, before, settled_ms, sums.told_late)
        if everything or before is None or not _same(row, before, settled_ms):
            yield key, row


class _Window:
    """What all values of one cell and window have in common."""

    def __init__(self, held: Held, cell: Cell, slot: Slot) -> None:
        start_ms, self.end_ms = held.bounds(slot)
        self._exhibit = held.plan.exhibit
        self._ref = WindowRef(
            slot.window.kind,
            slot.window.size,
            None if start_ms is None else _instant(start_ms),
            None if self.end_ms is None else _instant(self.end_ms),
        )
        self._dimensions = dict(zip(self._exhibit.by, cell, strict=True))
        self._as_of = _instant(held.clock_ms)
        self._parts = key_of_window(self._ref), key_of_cell(cell)

    def key(self, reading: Reading, state: State) -> bytes:
        """Key of a value."""
        beside = state == "provisional" and reading.kpi.attribution == "cohort-final"
        return key_of(reading.key_of_name, *self._parts, beside=beside)

    def row(self, reading: Reading, state: State, sums: Sums, status: Status) -> ExhibitValue:
        """A value that nothing was published of before."""
        entry, kpi = reading.entry, reading.kpi
        return ExhibitValue(
            exhibit=self._exhibit.exhibit,
            exhibit_version=self._exhibit.version,
            kpi=kpi.id,
            kpi_version=kpi.version,
            name=entry.name,
            parameters=kpi.parameters,
            attribution=kpi.attribution,
            window=self._ref,
            dimensions=self._dimensions,
            state=state,
            revision=0,
            as_of=self._as_of,
            numerator=sums.numerator,
            denominator=sums.denominator,
            value=sums.value,
            unit=kpi.unit,
            n=sums.n,
            low=sums.low,
            high=sums.high,
            target=entry.target.text if entry.target else None,
            status=status,
        )


def _state(held: Held, reading: Reading, settled_ms: int | None, *, complete: bool) -> State:
    if reading.cohort != "all":
        return reading.cohort
    if complete:
        return "final"
    return "final" if settled_ms is not None and settled_ms <= held.clock_ms else "provisional"


def _status(held: Held, cell: Cell, slot: Slot, reading: Reading, sums: Sums) -> Status:
    entry = reading.entry
    if entry.target is None:
        return "no_target"
    if sums.value is None:
        return "undefined"
    if sums.n is not None and sums.n < entry.min_n:
        return "n_below_min"
    if entry.target.met(sums.value):
        return "met"
    return "trending" if _trends(held, cell, slot, reading, sums.value) else "missed"


def _trends(held: Held, cell: Cell, slot: Slot, reading: Reading, value: float) -> bool:
    """Whether each of the last periods came nearer to the target than the one before it."""
    target = reading.entry.target
    if target is None:
        return False
    later = target.distance(value)
    periods = list(held.periods_before(slot, TRENDING_PERIODS))
    for earlier in periods:
        before = read_sums(held, reading, cell, earlier).value
        if before is None or target.distance(before) <= later:
            return False
        later = target.distance(before)
    return bool(periods)


def _settled_from_ms(reading: Reading, slot: Slot, end_ms: int | None) -> int | None:
    """The clock from which a bucket's value is final; None where it never is."""
    if slot.window.kind != "tumbling" or end_ms is None or reading.cohort == "provisional":
        return None
    return end_ms + reading.settles_ms


def _restated(
    row: ExhibitValue, before: ExhibitValue | None, settled_ms: int, told_late: int
) -> ExhibitValue:
    """A value that changed after it was final is a restatement, and so is every one after it.

    Where no final value was published before, as in a replay, event time tells what would have
    changed it.
    """
    if before is None or _clock_ms(before) < settled_ms:
        revision = told_late
    else:
        told = (before.numerator, before.denominator, before.value)
        revision = before.revision + (told != (row.numerator, row.denominator, row.value))
    return replace(row, state="restated", revision=revision) if revision else row


def _same(row: ExhibitValue, before: ExhibitValue, settled_ms: int | None) -> bool:
    """Whether publishing ``row`` would tell nothing new."""
    if settled_ms is not None and _clock_ms(before) < settled_ms <= _clock_ms(row):
        return False
    if row.numerator != before.numerator or row.value != before.value:
        return False
    moves = row.window.kind != "tumbling"
    return (moves or row.window == before.window) and _content(row) == _content(before)


_content = attrgetter(*(set(ExhibitValue.__struct_fields__) - {"as_of", "window"}))
"""All that a value says but when: a window that moves is not told again when it does."""


def _clock_ms(row: ExhibitValue) -> int:
    return round(datetime.fromisoformat(row.as_of).timestamp() * 1000)
