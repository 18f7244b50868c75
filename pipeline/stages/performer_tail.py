"""From where on a performer's history is folded: what lies before a cut stays as it was told.

A cut is the beginning of a stretch of working time, or an instant at which no time is told. No
contact lies across it, nor the time between an implied login and the end that tells of it; whatever
is scheduled may. So no stretch, no shared time and no login crosses it, and what is told of later
instants changes nothing before it. Cuts are kept in memory alone: a whole fold finds them again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Protocol

from pipeline.folds.event import Event
from pipeline.folds.performances import Performance, ShiftRow, StintRow
from pipeline.folds.rows import Row
from pipeline.folds.standing import implied_logins, moments
from pipeline.kpi.ledger import Ledger
from pipeline.kpi.plan import Plan
from pipeline.stages.performer_cut import events_after
from pipeline.stages.performer_record import bytes_of
from pipeline.stages.wire import PerformanceMessage
from schemas.facts import PerformerStateInterval, PerformerTime, Session

NEVER_MS: Final = 2**62
"""After every instant."""

LAG_MS: Final = 300_000
"""A cut lies so far before the newest instant, so that usual disorder comes after it."""
LEAST_ROWS: Final = 40
"""So many rows must be folded for a cut to be looked for."""


class Part(NamedTuple):
    """What was folded as of ``clock_ms``, and the rows it gave."""

    events: Sequence[Event]
    performances: Mapping[str, Performance]
    rows: Sequence[Row]
    clock_ms: int


@dataclass(frozen=True)
class Tail:
    """What is known of a history before ``cut_ms``, UTC epoch milliseconds, counted by ``rules``.

    ``standing`` are the state events in force at the cut. The first ``entries`` of the ledger,
    ``size`` bytes, are of what lies before; time alone changes those at ``due_ms``. ``passed``
    counts instants of the schedule before the cut. When a cut was looked for last, ``looked`` rows
    came after it.
    """

    rules: int
    cut_ms: int = -NEVER_MS
    standing: tuple[Event, ...] = ()
    entries: int = 0
    size: int = 0
    due_ms: int | None = None
    passed: int = 0
    looked: int = 0

    @property
    def from_ms(self) -> int | None:
        """From where on working time is told; None for a whole history."""
        return self.cut_ms if self.entries else None

    def serves(self, rules: int, touched_ms: int, clock_ms: int) -> bool:
        """Whether what lies before the cut is as it was, if ``touched_ms`` is changed first."""
        due = self.due_ms is not None and clock_ms >= self.due_ms
        return rules == self.rules and touched_ms > self.cut_ms and not due

    def events(self, events: Iterable[Event]) -> list[Event] | None:
        """The state events to fold; None if one of them tells of a login before the cut."""
        later = [event for event in events if event.occurred_ms >= self.cut_ms]
        found = [*self.standing, *later]
        # Only these are worth working out who was logged in.
        if any(e.session_ms and e.occurred_ms - e.session_ms <= self.cut_ms for e in later):
            for began_ms, ended_ms in implied_logins(moments(found)):
                if began_ms <= self.cut_ms < ended_ms:
                    return None
        return found

    def performances(self, rows: Mapping[str, Performance]) -> dict[str, Performance]:
        """Stints that begin at the cut or later, and what is scheduled until then or later."""
        return {name: row for name, row in rows.items() if self._is_after(row)}

    def _is_after(self, row: Performance) -> bool:
        if isinstance(row, StintRow):
            return row.accepted_ms >= self.cut_ms
        return row.ends_ms >= self.cut_ms

    def looked_after(self, part: Part, ledger: Ledger, plan: Plan) -> tuple[Tail, bytes]:
        """With the last cut there is in ``part``, and the entries that lie before that one only.

        They are taken out of ``ledger``, which is that of ``part``. Looking is put off until twice
        as many rows come after the cut as when it was done last.
        """
        if len(part.rows) < max(2 * self.looked, LEAST_ROWS):
            return self, b""
        cut_ms = _last_cut(part, self.cut_ms)
        if cut_ms is None:
            return replace(self, looked=len(part.rows)), b""
        before = [row for row in part.rows if _lies_before(row, cut_ms)]
        entries = bytes_of({row.fact_id: ledger.pop(row.fact_id) for row in before})
        dues = [self.due_ms]
        dues += [plan.due_ms(row.kind, row.fact, part.clock_ms) for row in before]
        planned = {
            at
            for row in part.performances.values()
            if isinstance(row, ShiftRow)
            for at in (row.starts_ms, row.ends_ms)
            if self.cut_ms <= at < cut_ms
        }
        told = [event for event in part.events if event.occurred_ms < cut_ms]
        tail = Tail(
            rules=self.rules,
            cut_ms=cut_ms,
            standing=tuple(events_after(told, cut_ms)),
            entries=self.entries + len(before),
            size=self.size + len(entries),
            due_ms=min((due for due in dues if due is not None), default=None),
            passed=self.passed + len(planned),
            looked=len(ledger),
        )
        return tail, entries


def _last_cut(part: Part, after_ms: int) -> int | None:
    """The last instant after ``after_ms`` at which a history can be cut, if there is one."""
    spans = [_span(row) for row in part.performances.values() if isinstance(row, StintRow)]
    told = [at for bounds in spans for at in bounds if at < NEVER_MS]
    told += [event.occurred_ms for event in part.events]
    if not told:
        return None
    last_ms = min(max(told), part.clock_ms) - LAG_MS
    # A login is told of by its end alone: it may not lie at the cut either.
    logins = implied_logins(moments(part.events))
    spans = sorted([*spans, *((began - 1, ended) for began, ended in logins)])
    times = [row.fact for row in part.rows if isinstance(row.fact, PerformerTime)]
    places = {at for time in times for at in (time.entered_ms, time.left_ms) if at is not None}
    found, reach_ms, opened = None, after_ms, 0
    for at_ms in sorted(at for at in places if after_ms < at <= last_ms):
        while opened < len(spans) and spans[opened][0] < at_ms:
            reach_ms = max(reach_ms, spans[opened][1])
            opened += 1
        if reach_ms <= at_ms:
            found = at_ms
    return found


def _lies_before(row: Row, cut_ms: int) -> bool:
    """Whether a row is of what lies before a cut: nothing at the cut or after it makes it."""
    fact = row.fact
    if isinstance(fact, PerformerStateInterval):
        # An event at the cut is told of after it, and so is what it ends.
        return fact.left_ms is not None and fact.left_ms < cut_ms
    if isinstance(fact, PerformerTime):
        return fact.entered_ms < cut_ms
    return isinstance(fact, Session) and fact.accepted_ms < cut_ms


def _span(row: Performance) -> tuple[int, int]:
    """First and last instant that a row tells of, in whatever order it names them.

    The last one is :data:`NEVER_MS` while a stint has no end.
    """
    if isinstance(row, ShiftRow):
        return min(row.starts_ms, row.ends_ms), max(row.starts_ms, row.ends_ms)
    told = [at for at in (row.accepted_ms, row.left_ms, row.closed_ms) if at is not None]
    return min(told), NEVER_MS if row.left_ms is None or row.closed_ms is None else max(told)


class _Word(Protocol):
    """The newest word on a row."""

    @property
    def version(self) -> int: ...

    @property
    def row(self) -> Performance | None: ...


def first_changed(
    events: Iterable[Event], rows: Mapping[str, _Word], messages: Iterable[PerformanceMessage]
) -> int:
    """The first instant at which ``messages`` change what is known; NEVER_MS if they do nowhere."""
    messages = list(messages)
    found = [NEVER_MS]
    names = {m.state.event_id for m in messages if m.state is not None}
    known = {event.event_id: event for event in events if event.event_id in names}
    for message in messages:
        state, row = message.state, message.row
        if state is not None:
            old = known.get(state.event_id)
            if old is None or old.content_hash != state.content_hash:
                found += [event.occurred_ms for event in (old, state) if event is not None]
        elif not message.frozen:
            word = rows.get(message.name)
            before = word.row if word is not None else None
            newest = word is None or message.version >= word.version
            if newest and before != row:
                found += [_span(one)[0] for one in (before, row) if one is not None]
    return min(found)
