"""The fold of one performer: intervals of states, stretches of working time, and sessions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from pipeline.folds.event import Event
from pipeline.folds.performances import (
    Performance,
    ShiftRow,
    StintRow,
    header_of_performer,
)
from pipeline.folds.rows import Folded, Row
from pipeline.folds.sessions import sessions
from pipeline.folds.standing import effective, moments
from pipeline.folds.working_time import working_time
from schemas.facts import PerformerStateInterval

CODE_VERSION = 4
"""Version of the rules of this fold."""


def fold(
    performer_id: str,
    events: Iterable[Event],
    performances: Mapping[str, Performance],
    as_of_ms: int,
    from_ms: int | None = None,
) -> Folded:
    """All rows of ``performer_id`` as of ``as_of_ms`` (UTC epoch milliseconds).

    ``events`` are state events, ``performances`` stints and schedule entries by id. Neither order
    matters. With ``from_ms`` working time is told, and instants of the schedule are counted, from
    there on.
    """
    events = list(events)
    stints = {name: p for name, p in performances.items() if isinstance(p, StintRow)}
    shifts = [p for p in performances.values() if isinstance(p, ShiftRow)]
    rows = list(_intervals(performer_id, events))
    stretches, due_ms, passed = working_time(
        moments(events), stints.values(), shifts, as_of_ms, from_ms
    )
    rows += (
        Row(f"performer/{performer_id}/time/{time.entered_ms}", "performer_time", time)
        for time in stretches
    )
    rows += (Row(session_id(name), "session", session) for name, session in sessions(stints))
    return Folded(tuple(rows), (), due_ms, passed=passed)


def session_id(stint_id: str) -> str:
    """Id of the session of a stint."""
    return f"{stint_id}/session"


def _intervals(performer_id: str, events: Iterable[Event]) -> Iterator[Row]:
    """State intervals by queue; the last one of each queue is open.

    A repeated report of the same state and reason goes on with the interval it repeats.
    """
    by_queue: defaultdict[str, list[Event]] = defaultdict(list)
    for event in effective(events):
        states = by_queue[event.queue]
        if not states or (states[-1].state, states[-1].reason) != (event.state, event.reason):
            states.append(event)
    for queue, states in sorted(by_queue.items()):
        ends: list[int | None] = [event.occurred_ms for event in states[1:]]
        for event, left_ms in zip(states, [*ends, None], strict=True):
            yield Row(
                f"performer/{performer_id}/{queue}/{event.event_id}",
                "performer_state",
                PerformerStateInterval(
                    header=header_of_performer(event),
                    state=event.state,
                    reason=event.reason,
                    entered_ms=event.occurred_ms,
                    left_ms=left_ms,
                ),
            )
