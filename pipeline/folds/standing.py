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
    told: list[Moment] = []
    implied: list[Moment] = []
    for event in effective(events):
        if event.state == OFFLINE and event.session_ms:
            implied.extend(_login(event, event.session_ms, told))
        heard.hear(event)
        now = heard.in_force() or event
        told.append(Moment(event.occurred_ms, now.state, now.reason, now))
    return sorted([*told, *implied], key=lambda moment: moment.at_ms)


def implied_logins(moments: Iterable[Moment]) -> Iterator[tuple[int, int]]:
    """Logins that only the end of their session tells of, each with that end."""
    for moment in moments:
        if moment.event.occurred_ms > moment.at_ms:
            yield moment.at_ms, moment.event.occurred_ms


def _login(event: Event, session_ms: int, told: list[Moment]) -> Iterator[Moment]:
    """The login that began the session which ``event`` ends, if the session was not told of."""
    before = next((m for m in reversed(told) if m.at_ms < event.occurred_ms), None)
    if before is not None and before.state != OFFLINE:
        return
    began_ms = event.occurred_ms - session_ms
    if before is not None:
        began_ms = max(began_ms, before.at_ms)
    yield Moment(began_ms, "available", "", event)
