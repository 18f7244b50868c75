"""From merged windows to published values: state, interval, target and status."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from msgspec.structs import replace

from pipeline.kpi.merge import Cell, Merge, Slot
from pipeline.kpi.plan import EXISTS, LATE, NUMERATOR, Group, Series, settles_ms
from pipeline.kpi.stats import value as value_of
from pipeline.kpi.stats import wilson
from schemas.values import ExhibitValue, State, Status, WindowRef, rfc3339

Previous = Callable[[bytes], ExhibitValue | None]


def read(
    merge: Merge,
    cell: Cell,
    slot: Slot,
    previous: Previous,
    *,
    complete: bool,
    everything: bool = False,
) -> Iterator[tuple[bytes, ExhibitValue | None]]:
    """Values of all KPIs of an exhibit in one cell and window, each with its key.

    Args:
        merge: Shares and windows of the exhibit.
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
    gone = not (merge.has_facts(cell, slot) if bucket else merge.is_alive(cell))
    for group in merge.plan.groups:
        vector = merge.vector(group, cell, slot)
        for index, series in enumerate(group.series):
            numbers = group.numbers(vector, index)
            row = _row(merge, cell, slot, group, series, numbers, complete=complete)
            before = previous(row.key)
            if gone:
                if before is not None:
                    yield row.key, None
                continue
            settled_ms = _settled_from_ms(series, slot, merge.bounds(slot)[1])
            if settled_ms is not None and row.state == "final":
                row = _restated(row, before, settled_ms, _told_late(merge, slot, numbers))
            if everything or before is None or not _same(row, before, settled_ms):
                yield row.key, row


def _row(
    merge: Merge,
    cell: Cell,
    slot: Slot,
    group: Group,
    series: Series,
    numbers: Sequence[int],
    *,
    complete: bool,
) -> ExhibitValue:
    exhibit, entry, kpi = merge.plan.exhibit, series.entry, series.kpi
    start_ms, end_ms = merge.bounds(slot)
    numerator: int | None = numbers[0]
    denominator: int | None = numbers[1]
    if group.gauge:
        # A bucket that is over has no present: what it held at its end depends on when one asks.
        bucket = slot.window.kind == "tumbling"
        now = not bucket or (start_ms or 0) <= merge.clock_ms < (end_ms or 0)
        numerator = _gauge(merge, series, numbers) if now else None
        denominator = None
        value = None if numerator is None else value_of(kpi.unit, numerator, None, micro=kpi.micro)
    elif kpi.unit == "count":
        # A count of none among facts is 0; where a bucket holds no such fact, nothing was counted.
        nothing = slot.window.kind == "tumbling" and not numbers[EXISTS]
        numerator = denominator = numbers[NUMERATOR]
        value = None if nothing else numbers[NUMERATOR]
    else:
        value = value_of(kpi.unit, numbers[0], numbers[1], micro=kpi.micro)
    ratio = kpi.unit == "ratio" and not group.gauge
    interval = wilson(numbers[0], numbers[1]) if ratio else None
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
        state=_state(merge, slot, series, end_ms, complete=complete),
        revision=0,
        as_of=rfc3339(merge.clock_ms),
        numerator=numerator,
        denominator=denominator,
        value=value,
        unit=kpi.unit,
        n=denominator,
        low=interval[0] if interval else None,
        high=interval[1] if interval else None,
        target=entry.target.text if entry.target else None,
        status=_status(series, value, denominator),
    )


def _gauge(merge: Merge, series: Series, numbers: Sequence[int]) -> int | None:
    if series.kpi.reads == "value":
        return numbers[0]
    return merge.clock_ms - numbers[0] if numbers[1] else None


def _state(
    merge: Merge, slot: Slot, series: Series, end_ms: int | None, *, complete: bool
) -> State:
    if series.cohort != "all":
        return series.cohort
    if complete:
        return "final"
    settled_ms = _settled_from_ms(series, slot, end_ms)
    return "final" if settled_ms is not None and settled_ms <= merge.clock_ms else "provisional"


def _status(series: Series, value: float | None, n: int | None) -> Status:
    entry = series.entry
    if entry.target is None:
        return "no_target"
    if value is None:
        return "undefined"
    if n is not None and n < entry.min_n:
        return "n_below_min"
    return "met" if entry.target.met(value) else "missed"


def _settled_from_ms(series: Series, slot: Slot, end_ms: int | None) -> int | None:
    """The clock from which a bucket's value is final; None where it never is."""
    if slot.window.kind != "tumbling" or end_ms is None or series.cohort == "provisional":
        return None
    return end_ms + settles_ms(series.kpi)


def _told_late(merge: Merge, slot: Slot, numbers: Sequence[int]) -> int:
    """Rows of a bucket that were told only after it had settled."""
    size = slot.window.size
    for place, known in enumerate(merge.plan.sizes):
        if known == size:
            return numbers[LATE + place]
    return 0


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
        same = (before.numerator, before.denominator) == (row.numerator, row.denominator)
        revision = before.revision + (not same)
    return replace(row, state="restated", revision=revision) if revision else row


def _same(row: ExhibitValue, before: ExhibitValue, settled_ms: int | None) -> bool:
    """Whether publishing ``row`` would tell nothing new."""
    if settled_ms is not None and _clock_ms(before) < settled_ms <= _clock_ms(row):
        return False
    window = row.window if row.window.kind == "tumbling" else before.window
    return replace(row, as_of=before.as_of, window=window) == before


def _clock_ms(row: ExhibitValue) -> int:
    return round(datetime.fromisoformat(row.as_of).timestamp() * 1000)
