"""The agenda of the simulation: planned events and pending decisions in order of time."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

Event = dict[str, Any]
Action = Callable[..., None]
Entry = tuple[int, int, "str | Action", tuple[Any, ...]]
"""Time, order of planning, then kind and fields of an event, or a decision and its arguments."""

SPAN_MS: Final = 1024


def rfc3339(at_ms: int) -> str:
    """UTC text of epoch milliseconds, always with three decimals."""
    second, millisecond = divmod(at_ms, 1000)
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}.{millisecond:03d}Z"


class Timeline:
    """What is still to come.

    Two things of one millisecond come in the order in which they were put in, so the order of the
    events of an interaction is the order in which its story was told. Entries lie in spans of about
    a second and only the present span is kept in order: most of what is planned lies ahead, and a
    single heap of all of it would be several times slower in a large center.
    """

    __slots__ = ("_order", "_present", "_present_span", "_spans", "_spans_ahead")

    def __init__(self) -> None:
        self._order = 0
        self._present: list[Entry] = []
        self._present_span = -1
        self._spans: dict[int, list[Entry]] = {}
        self._spans_ahead: list[int] = []

    def emit(self, at_ms: int, kind: str, *fields: Event) -> None:
        """Plan an event; its fields are merged when it comes, and must not be changed until then.

        Like decisions, events are planned for now or later, never for the past.
        """
        self._put(at_ms, kind, fields)

    def call(self, at_ms: int, action: Action, *args: Any) -> None:
        """Plan a decision: ``action(at_ms, *args)`` is called when its time has come."""
        self._put(at_ms, action, args)

    def peek(self, until_ms: int | None = None) -> int | None:
        """Time of the next event, once every decision before it is made.

        Returns None when nothing is left, or no event at or before ``until_ms``.
        """
        while self._present or self._advance():
            at_ms, _, what, args = self._present[0]
            if until_ms is not None and at_ms > until_ms:
                return None
            if isinstance(what, str):
                return at_ms
            heapq.heappop(self._present)
            what(at_ms, *args)
        return None

    def pop(self) -> Entry:
        """Take the event that ``peek`` found."""
        return heapq.heappop(self._present)

    def _put(self, at_ms: int, what: str | Action, args: tuple[Any, ...]) -> None:
        self._order += 1
        entry = (at_ms, self._order, what, args)
        span = at_ms // SPAN_MS
        if span <= self._present_span:
            heapq.heappush(self._present, entry)
            return
        entries = self._spans.get(span)
        if entries is None:
            self._spans[span] = [entry]
            heapq.heappush(self._spans_ahead, span)
        else:
            entries.append(entry)

    def _advance(self) -> bool:
        """Make the next span the present one; False when nothing is left."""
        if not self._spans_ahead:
            return False
        self._present_span = heapq.heappop(self._spans_ahead)
        self._present = self._spans.pop(self._present_span)
        heapq.heapify(self._present)
        return True
