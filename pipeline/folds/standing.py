"""Which state of a performer stands at each moment, as told by queue or for all queues at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from pipeline.folds.event import Event

OFFLINE: Final = "offline"
_RANK: Final = {
    state: rank for rank, state in enumerate(("busy", "wrap", "available", "away", OFFLINE))
}


class Moment(NamedTuple):
    """From ``at_ms`` on, ``event`` says the state of the performer; ``state`` may be implied."""

    at_ms: int
    state: str
    reason: str
    event: Event


class _ByQueue:
    """The last word on each queue. What names no queue replaces the word on all of them."""

    def __init__(self) -> None:
        self._said: dict[str, Event] = {}

    def word_on(self, queue: str) -> Event | None:
        return self._said.get(queue) or self._said.get("")

    def hear(self, event: Event) -> None:
        if event.queue:
            self._said[event.queue] = event
        else:
            self._said = {"": event}

    def in_force(self) -> Event | None:
        """Of the queues that were named, the one with most activity, told last, decides."""
        named = [event for queue, event in self._said.items() if queue] or [*self._said.values()]
        return min(named, key=lambda e: (_RANK[e.state], -e.occurred_ms, e.event_id), default=None)


def effective(events: Iterable[Event]) -> Iterator[Event]:
    """State events in order, without pauses and ends of pauses of whoever is offline."""
    heard = _ByQueue()
    for event in sorted(events, key=lambda e: e.order):
        before = heard.word_on(event.queue)
        if event.logs_in or before is None or before.state != OFFLINE:
            heard.hear(event)
            yield event


def moments(events: Iterable[Event]) -> list[Moment]:
    """The states of a performer over all queues, each from its beginning on, in order.

    An end of a session that tells its length tells its beginning too, where nothing else did.
    """
    heard = _ByQueue()
    found: list[Moment] = []
    for event in effective(events):
        if event.state == OFFLINE and event.session_ms:
            last = found[-1] if found else None
            began_ms = event.occurred_ms - event.session_ms
            if last is not None:
                began_ms = max(began_ms, last.at_ms)
            if (last is None or last.state == OFFLINE) and began_ms < event.occurred_ms:
                found.append(Moment(began_ms, "available", "", event))
        heard.hear(event)
        now = heard.in_force() or event
        found.append(Moment(event.occurred_ms, now.state, now.reason, now))
    return found
