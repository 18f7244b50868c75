"""The performers stage: stints, schedules and states of performers into their time and panes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from pipeline.folds import performer
from pipeline.folds.event import Event
from pipeline.folds.performances import Performance, ShiftRow, StintRow
from pipeline.kpi.ledger import Changes, Entry
from pipeline.stages.admission import admit
from pipeline.stages.configuration import Configuration
from pipeline.stages.folding import Following
from pipeline.stages.late import LateRecords
from pipeline.stages.performer_cut import events_after, last_cut, rows_after
from pipeline.stages.performer_record import join, split
from pipeline.stages.performer_tail import NEVER_MS, Part, Tail, first_changed
from pipeline.stages.publisher import Publisher
from pipeline.stages.travelling import generation_of, history_version, told, version_of
from pipeline.stages.wire import Out, PerformanceMessage


class Known(msgspec.Struct, frozen=True, array_like=True):
    """The newest word on one stint or schedule entry; ``row`` is None once it is another's.

    ``frozen``: it was the last word.
    """

    version: int
    row: StintRow | ShiftRow | None
    frozen: bool = False


class PerformerState(msgspec.Struct, array_like=True):
    """Everything durable of one performer: what was told, and what was published of it.

    ``seen`` holds content hashes of state events that were replaced; ``dues`` counts moments at
    which time alone changed something. ``told_ms``: the end of the latest day told of. What lies
    before ``cut_ms`` is frozen; ``gone``: how much was known of it, so that versions go on rising.
    ``generation`` of the log: the newest in which anything was told.
    """

    events: list[Event]
    seen: list[int]
    rows: dict[str, Known]
    ledger: dict[str, Entry]
    dues: int = 0
    counted_by: int = 0
    due_ms: int | None = None
    told_ms: int = 0
    cut_ms: int = 0
    gone: int = 0
    generation: int = 0

    @property
    def life_ms(self) -> int:
        """Until when nothing is left of it: from then on it may be cut."""
        return self.cut_ms

    @property
    def performances(self) -> dict[str, Performance]:
        """Stints and schedule entries, by id; what lies before the cut is left out."""
        known = {name: one.row for name, one in self.rows.items() if one.row is not None}
        return {name: known[name] for name in rows_after(known, self.cut_ms)}

    @property
    def history(self) -> int:
        """How much is known."""
        rows = sum(told(one.version) + 1 for one in self.rows.values())
        return self.gone + rows + len(self.events) + len(self.seen) + self.dues


encode_state = msgspec.msgpack.Encoder().encode
decode_state = msgspec.msgpack.Decoder(PerformerState).decode


class Performers(Following[PerformanceMessage, PerformerState]):
    """State derived from one partition of ``cx.performances``."""

    def __init__(
        self,
        exhibits: Configuration,
        publisher: Publisher,
        state: Mapping[bytes, bytes],
        sources: Iterable[str],
    ) -> None:
        self.duplicates = 0
        self._late = LateRecords(publisher)
        self._tails: dict[bytes, Tail] = {}
        super().__init__(exhibits, publisher, state, sources)

    @property
    def _code_version(self) -> int:
        return performer.CODE_VERSION

    def _kept(self, key: bytes, value: bytes) -> PerformerState:  # noqa: ARG002 - it needs no key
        return decode_state(value)

    @property
    def late(self) -> Counter[tuple[str, str]]:
        """Late records by kind and age, since this was last emptied."""
        return self._late.counts

    def _fold(self, key: bytes, messages: list[PerformanceMessage], out: Out) -> None:
        stored = out.get(key)
        known = self._tails.pop(key, None)
        tail = known or Tail(self._rules)
        state, before = _opened(stored, tail)
        frozen_ms = self._publisher.floor_ms if stored is None else state.cut_ms
        late, messages = _apart(messages, frozen_ms)
        self._late.tell(key.decode(), late, out)
        changed_ms = first_changed(state.events, state.rows, messages)
        self.duplicates += _learn(state, messages)
        if not (state.events or state.rows):
            return
        before_ms, state.told_ms = state.told_ms, _end_of_day(state, messages)
        if state.told_ms != before_ms:
            self._ages.note(key, state.told_ms)
        # Until then each entry is what its row adds, if it was counted here while time went on.
        stands_until_ms = (state.due_ms or NEVER_MS) if known is not None else None
        serves = tail.serves(self._rules, changed_ms, self._publisher.tick_ms)
        events = tail.events(state.events) if serves else None
        if events is None:
            tail, events, before = Tail(self._rules), state.events, b""
            state.ledger = {} if stored is None else decode_state(stored).ledger
        part, changes = self._count(key, state, tail, events, stands_until_ms)
        if changes.rows or changes.deleted:
            self._publisher.publish_facts(changes, _Versions(state), out)
        if self._publisher.span_ms == self._publisher.tick_ms:
            tail, moved = tail.looked_after(part, state.ledger, self._publisher.plan)
            self._tails[key] = tail
            before += moved
        encoded = join(encode_state(state), before, tail.entries)
        if encoded != stored:
            out.put(key, encoded)

    def _count(
        self,
        key: bytes,
        state: PerformerState,
        tail: Tail,
        events: list[Event],
        stands_until_ms: int | None,
    ) -> tuple[Part, Changes]:
        """Fold a history from a cut on, and bring its ledger to it."""
        publisher = self._publisher
        performances = tail.performances(state.performances)
        # What a schedule says of the time to come is not told; nor is it once time stands still.
        folded = performer.fold(key.decode(), events, performances, publisher.span_ms, tail.from_ms)
        state.dues = tail.passed + folded.passed
        changes, due_ms = self._settle(state, folded.rows, stands_until_ms)
        self._due(key, state, folded.due_ms, due_ms, tail.due_ms)
        return Part(events, performances, folded.rows, publisher.tick_ms), changes

    def _freeze(self, key: bytes, out: Out) -> None:
        """Let go of the part of a history that has no part in what comes after."""
        stored = out.get(key)
        if stored is None:
            return
        state = decode_state(stored)
        rows = state.performances
        if rows:
            # What is not the last word yet is looked at again a day later.
            self._ages.note(key, self._publisher.floor_ms + _DAY_MS)
        changing = [name for name in rows if not state.rows[name].frozen]
        cut_ms = last_cut(state.events, rows, changing, self._publisher.floor_ms)
        if cut_ms is None or cut_ms <= state.cut_ms:
            return
        self._tails.pop(key, None)
        known = state.history
        state.cut_ms = cut_ms
        state.events = events_after(state.events, cut_ms)
        kept = rows_after(rows, cut_ms)
        state.rows = {name: one for name, one in state.rows.items() if name in kept}
        folded = performer.fold(
            key.decode(), state.events, state.performances, self._publisher.span_ms
        )
        state.dues = folded.passed
        state.gone += known - state.history
        told = {row.fact_id for row in folded.rows}
        for fact_id in [fact_id for fact_id in state.ledger if fact_id not in told]:
            self._publisher.freeze(state.ledger.pop(fact_id).contributions)
        out.put(key, encode_state(state))


def _opened(stored: bytes | None, tail: Tail) -> tuple[PerformerState, bytes]:
    """What is stored of a performer, but for the ledger of before a cut, and the bytes of that."""
    if stored is None:
        return PerformerState([], [], {}, {}), b""
    rest, before = split(stored, tail.size, tail.entries)
    return decode_state(rest), before


def _apart(
    messages: Iterable[PerformanceMessage], frozen_ms: int
) -> tuple[list[Event], list[PerformanceMessage]]:
    """State events from before what is frozen, and everything else."""
    late, others = [], []
    for message in messages:
        if message.state is not None and message.state.occurred_ms < frozen_ms:
            late.append(message.state)
        else:
            others.append(message)
    return late, others


_DAY_MS: Final = 86_400_000


def _end_of_day(state: PerformerState, messages: Iterable[PerformanceMessage]) -> int:
    """The end of the latest day that is told of: a history is looked at once for each day."""
    told = [state.told_ms]
    for message in messages:
        if message.state is not None:
            told.append(message.state.occurred_ms)
        elif isinstance(message.row, StintRow):
            told.append(message.row.closed_ms or message.row.accepted_ms)
        elif isinstance(message.row, ShiftRow):
            told.append(message.row.ends_ms)
    return (max(told) // _DAY_MS + 1) * _DAY_MS - 1


def _learn(state: PerformerState, messages: Iterable[PerformanceMessage]) -> int:
    """Take over what was told; the count of events that were known already."""
    events = []
    for message in messages:
        state.generation = max(state.generation, generation_of(message.version))
        if message.state is not None:
            events.append(message.state)
            continue
        known = state.rows.get(message.name)
        if message.frozen:
            if known is not None:
                state.rows[message.name] = replace(known, frozen=True)
        elif known is None or message.version >= known.version:
            state.rows[message.name] = Known(message.version, message.row)
    return admit(state.events, state.seen, events)


class _Versions:
    """Versions of the rows of one performer; a stint may turn out to be another performer's."""

    def __init__(self, state: PerformerState) -> None:
        self._rows = {performer.session_id(name): known for name, known in state.rows.items()}
        self._history = state.history
        self._generation = state.generation

    def __call__(self, fact_id: str) -> int:
        known = self._rows.get(fact_id)
        if known is None:
            return history_version(performer.CODE_VERSION, self._generation, self._history)
        withdrawn = known.row is None
        return version_of(performer.CODE_VERSION, known.version, self._history, withdrawn=withdrawn)
