"""The fold of one performer: intervals of states, by queue where states are kept by queue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from pipeline.folds.event import Event
from pipeline.folds.rows import Folded, Row
from schemas.facts import Header, PerformerStateInterval

CODE_VERSION = 1
"""Version of the rules of this fold."""


def fold(performer_id: str, events: Iterable[Event]) -> Folded:
    """State intervals of ``performer_id``; the last one of each queue is open.

    A repeated report of the same state and reason goes on with the interval it repeats.
    """
    by_queue: defaultdict[str, list[Event]] = defaultdict(list)
    for event in sorted(events, key=lambda e: e.order):
        states = by_queue[event.queue]
        if not states or (states[-1].state, states[-1].reason) != (event.state, event.reason):
            states.append(event)
    rows = []
    for queue, states in sorted(by_queue.items()):
        ends: list[int | None] = [event.occurred_ms for event in states[1:]]
        for event, left_ms in zip(states, [*ends, None], strict=True):
            rows.append(
                Row(
                    f"performer/{performer_id}/{queue}/{event.event_id}",
                    "performer_state",
                    PerformerStateInterval(
                        header=_header(event),
                        state=event.state,
                        reason=event.reason,
                        entered_ms=event.occurred_ms,
                        left_ms=left_ms,
                    ),
                )
            )
    return Folded(tuple(rows), (), None)


def _header(event: Event) -> Header:
    return Header(
        channel=event.channel,
        queue=event.queue,
        performer_kind=event.performer_kind or "human",
        performer_id=event.performer_id,
        model_version=event.model_version,
        kcr_task=event.kcr_task,
        capability=event.capability,
        client=event.client,
        vendor=event.vendor,
        site=event.site,
        location=event.location,
        employment=event.employment,
        language=event.language,
        source=event.source,
    )
