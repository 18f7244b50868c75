"""The performers stage: stints, schedules and states of performers into their time and panes."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pipeline.folds import performer
from pipeline.folds.event import Event
from pipeline.folds.performances import ShiftRow, StintRow
from pipeline.kpi.ledger import Entry
from pipeline.stages.admission import admit
from pipeline.stages.ages import ALWAYS_MS
from pipeline.stages.folding import Following
from pipeline.stages.travelling import HISTORY_MAX, told, version_of
from pipeline.stages.wire import Out, PerformanceMessage


class Known(msgspec.Struct, frozen=True, array_like=True):
    """The newest word on one stint or schedule entry; ``row`` is None once it is another's."""

    version: int
    row: StintRow | ShiftRow | None


class PerformerState(msgspec.Struct, array_like=True):
    """Everything durable of one performer: what was told, and what was published of it.

    ``seen`` holds content hashes of state events that were replaced; ``dues`` counts how often time
    alone changed something.
    """

    events: list[Event]
    seen: list[int]
    rows: dict[str, Known]
    ledger: dict[str, Entry]
    dues: int = 0
    counted_by: int = 0
    due_ms: int | None = None
    life_ms: int = ALWAYS_MS


encode_state = msgspec.msgpack.Encoder().encode
decode_state = msgspec.msgpack.Decoder(PerformerState).decode


class Performers(Following[PerformanceMessage, PerformerState]):
    """State derived from one partition of ``cx.performances``."""

    duplicates = 0

    @property
    def _code_version(self) -> int:
        return performer.CODE_VERSION

    def _kept(self, value: bytes) -> PerformerState:
        return decode_state(value)

    def _freeze(self, key: bytes, out: Out) -> None:
        """Nothing yet."""

    def _fold(self, key: bytes, messages: list[PerformanceMessage], out: Out) -> None:
        stored = out.get(key)
        state = decode_state(stored) if stored is not None else PerformerState([], [], {}, {})
        self.duplicates += _learn(state, messages)
        if not (state.events or state.rows):
            return
        publisher = self._publisher
        rows = {name: known.row for name, known in state.rows.items() if known.row is not None}
        # What a schedule says of the time to come is not told; nor is it once time stands still.
        folded = performer.fold(key.decode(), state.events, rows, publisher.span_ms)
        changes, due_ms = self._settle(state, folded.rows)
        self._due(key, state, folded.due_ms, due_ms)
        if changes.rows or changes.deleted:
            state.dues += not messages
            publisher.publish_facts(changes, _Versions(state), out)
        encoded = encode_state(state)
        if encoded != stored:
            out.put(key, encoded)


def _learn(state: PerformerState, messages: Iterable[PerformanceMessage]) -> int:
    """Take over what was told; the count of events that were known already."""
    events = []
    for message in messages:
        if message.state is not None:
            events.append(message.state)
            continue
        if message.frozen:
            continue
        known = state.rows.get(message.name)
        if known is None or message.version >= known.version:
            state.rows[message.name] = Known(message.version, message.row)
    return admit(state.events, state.seen, events)


class _Versions:
    """Versions of the rows of one performer; a stint may turn out to be another performer's."""

    def __init__(self, state: PerformerState) -> None:
        self._rows = {performer.session_id(name): known for name, known in state.rows.items()}
        known = sum(told(known.version) + 1 for known in state.rows.values())
        self._history = known + len(state.events) + len(state.seen) + state.dues

    def __call__(self, fact_id: str) -> int:
        known = self._rows.get(fact_id)
        if known is None:
            return performer.CODE_VERSION << 56 | min(self._history, HISTORY_MAX)
        withdrawn = known.row is None
        return version_of(performer.CODE_VERSION, known.version, self._history, withdrawn=withdrawn)
