"""Where a performer's history can be cut: what lies before has no part in what comes after.

At a cut the performer is offline, or was never told of, and neither a contact nor anything
scheduled reaches over it. So no stretch of time, no shared time and no login crosses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from pipeline.folds.event import Event
from pipeline.folds.performances import Performance, StintRow
from pipeline.folds.standing import OFFLINE, effective, moments

_TRIED: Final = 500
"""Places at which a cut is tried: many more than a performer's day has."""


def last_cut(
    events: Sequence[Event],
    rows: Mapping[str, Performance],
    open_rows: Iterable[str],
    floor_ms: int,
) -> int | None:
    """The last instant not after ``floor_ms`` at which a history can be cut.

    ``open_rows`` are those that may still change.
    """
    told = [moment for moment in moments(events) if moment.at_ms < floor_ms]
    spans = [_span(row) for row in rows.values()]
    first_open_ms = min((_span(rows[name])[0] for name in open_rows), default=floor_ms)
    places = {floor_ms, *(at for span in spans for at in span), *(m.at_ms for m in told)}
    tried = sorted((at for at in places if at <= min(floor_ms, first_open_ms)), reverse=True)
    for at_ms in tried[:_TRIED]:
        before = [moment for moment in told if moment.at_ms < at_ms]
        offline = not before or before[-1].state == OFFLINE
        if offline and not any(begin < at_ms < end for begin, end in spans):
            return at_ms if before or any(end <= at_ms for _, end in spans) else None
    return None


def events_after(events: Iterable[Event], cut_ms: int) -> list[Event]:
    """State events from a cut on, and those that say what stands at it on each queue.

    What stands does so whatever was told in between, so it is kept as what logs in.
    """
    standing: dict[str, list[Event]] = {}
    for event in effective(event for event in events if event.occurred_ms < cut_ms):
        known = standing.get(event.queue)
        if known and (known[0].state, known[0].reason) == (event.state, event.reason):
            # An interval goes on with a repeated report: its first and its last word are kept.
            standing[event.queue] = [known[0], event]
        else:
            standing[event.queue] = [event]
    kept = [replace(event, logs_in=True) for words in standing.values() for event in words]
    return kept + [event for event in events if event.occurred_ms >= cut_ms]


def rows_after(rows: Mapping[str, Performance], cut_ms: int) -> set[str]:
    """Stints and schedule entries that begin at a cut or later."""
    return {name for name, row in rows.items() if _span(row)[0] >= cut_ms}


def _span(row: Performance) -> tuple[int, int]:
    """First instant of a stint or schedule entry, and its end; for ever while it has none."""
    if isinstance(row, StintRow):
        ends = (row.left_ms, row.closed_ms)
        return row.accepted_ms, max(2**62 if end is None else end for end in ends)
    return row.starts_ms, row.ends_ms
