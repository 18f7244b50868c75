"""From merged windows to published values: state, interval, target and status."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from msgspec.structs import replace

from pipeline.kpi.held import TRENDING_PERIODS, Cell, Held, Slot
from pipeline.kpi.plan import Reading
from pipeline.kpi.settling import settles_ms
from pipeline.kpi.sums import Sums, read_sums
from schemas.values import ExhibitValue, State, Status, WindowRef, rfc3339

Previous = Callable[[bytes], ExhibitValue | None]


def read(
    held: Held,
    cell: Cell,
    slot: Slot,
    previous: Previous,
    *,
    complete: bool,
    everything: bool = False,
) -> Iterator[tuple[bytes, ExhibitValue | None]]:
    """Values of all KPIs of an exhibit in one cell and window, each with its key.

    Args:
        held: Shares and windows of the exhibit.
        cell: Values of the ``by`` dimensions, totals as ``*``.
        slot: The window.
        previous: What was published last under a key.
        complete: Nothing more will come, so every window is closed.
        everything: Tell what has not changed, too.

    Yields:
        Key and value of what changed; None where there is nothing to be published under that key
        any more.
    """
    bucket = slot.window.kind == "tumbling"
    gone = not (held.has_facts(cell, slot) if bucket else held.is_alive(cell))
    for reading in held.plan.readings:
        sums = read_sums(held, reading, cell, slot)
        row = _row(held, cell, slot, reading, sums, complete=complete)
        before = previous(row.key)
        if gone:
            if before is not None:
                yield row.key, None
            continue
        settled_ms = _settled_from_ms(reading, slot, held.bounds(slot)[1])
        if settled_ms is not None and row.state == "final":
            row = _restated(row, before, settled_ms, sums.told_late)
        if everything or before is None or not _same(row, before, settled_ms):
            yield row.key, row


def _row(
    held: Held, cell: Cell, slot: Slot, reading: Reading, sums: Sums, *, complete: bool
) -> ExhibitValue:
    exhibit, entry, kpi = held.plan.exhibit, reading.entry, reading.kpi
    start_ms, end_ms = held.bounds(slot)
    return ExhibitValue(
        exhibit=exhibit.exhibit,
        exhibit_version=exhibit.version,
        kpi=kpi.id,
        kpi_version=kpi.version,
        name=entry.name,
        parameters=kpi.parameters,
        attribution=kpi.attribution,
        window=WindowRef(
            slot.window.kind,
            slot.window.size,
            None if start_ms is None else rfc3339(start_ms),
            None if end_ms is None else rfc3339(end_ms),
        ),
        dimensions=dict(zip(exhibit.by, cell, strict=True)),
        state=_state(held, slot, reading, end_ms, complete=complete),
        revision=0,
        as_of=rfc3339(held.clock_ms),
        numerator=sums.numerator,
        denominator=sums.denominator,
        value=sums.value,
        unit=kpi.unit,
        n=sums.n,
        low=sums.low,
        high=sums.high,
        target=entry.target.text if entry.target else None,
        status=_status(held, cell, slot, reading, sums),
    )


def _state(
    held: Held, slot: Slot, reading: Reading, end_ms: int | None, *, complete: bool
) -> State:
    if reading.cohort != "all":
        return reading.cohort
    if complete:
        return "final"
    settled_ms = _settled_from_ms(reading, slot, end_ms)
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
    return end_ms + settles_ms(reading.kpi)


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
    window = row.window if row.window.kind == "tumbling" else before.window
    return replace(row, as_of=before.as_of, window=window) == before


def _clock_ms(row: ExhibitValue) -> int:
    return round(datetime.fromisoformat(row.as_of).timestamp() * 1000)
