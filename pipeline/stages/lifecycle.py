"""The lifecycle stage: events of interactions into facts, contacts, performances and panes.

Pure but for what it is given: it reads and writes state and outputs through :class:`Out`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from pipeline.folds import interaction, planned
from pipeline.folds.cost import priced
from pipeline.folds.event import Event
from pipeline.folds.performances import Performance, performances
from pipeline.folds.rows import CasePart, ContactRow, Folded
from pipeline.folds.silence import Silence
from pipeline.kpi.ledger import Entry, Ledger
from pipeline.stages.admission import admit
from pipeline.stages.configuration import Configuration
from pipeline.stages.folding import Folding
from pipeline.stages.publisher import Publisher
from pipeline.stages.rates import KnownRates, tell_rate
from pipeline.stages.travelling import Sent, tell
from pipeline.stages.wire import (
    CASE_PREFIX,
    ContactMessage,
    Out,
    PerformanceMessage,
    Rate,
    Restart,
    Tick,
    encode_contact,
    encode_performance,
)
from schemas.topics import CONTACTS, PERFORMANCES

_INTERACTION: Final = b"i"
_PLAN: Final = b"l"
_RESTARTS_KEY: Final = b"\0restarts"
_CODE_VERSIONS: Final = {
    _INTERACTION: interaction.CODE_VERSION,
    _PLAN: planned.CODE_VERSION,
}


class KeyState(msgspec.Struct, array_like=True):
    """Everything durable of one interaction: a set of events, and what it published.

    ``seen`` holds content hashes of events that were replaced, so that a replay of them is known.
    """

    events: list[Event]
    seen: list[int]
    ledger: dict[str, Entry]
    contacts: dict[str, Sent]
    dues: int = 0
    performances: dict[str, Sent] = {}
    counted_by: int = 0


encode_state = msgspec.msgpack.Encoder().encode
decode_state = msgspec.msgpack.Decoder(KeyState).decode
_encode_restarts = msgspec.msgpack.Encoder().encode
_decode_restarts = msgspec.msgpack.Decoder(dict[str, list[int]]).decode


class Lifecycle(Folding[Event]):
    """State derived from one partition of ``cx.interactions``."""

    def __init__(
        self,
        exhibits: Configuration,
        publisher: Publisher,
        state: Mapping[bytes, bytes],
        silence: Silence,
        *,
        interaction_partitions: int = 1,
    ) -> None:
        self._partitions = interaction_partitions
        self._rates = KnownRates(state)
        self._silence = silence
        self._states: list[tuple[str, Event]] = []
        stored = state.get(_RESTARTS_KEY)
        self._restarts = _decode_restarts(stored) if stored is not None else {}
        self.duplicates = 0
        super().__init__(exhibits, publisher, state)

    def _is_fold(self, key: bytes) -> bool:
        return key[:1] in _CODE_VERSIONS

    def _ledger(self, value: bytes) -> Ledger:
        return decode_state(value).ledger

    # --- records --------------------------------------------------------------------------------

    def take(self, key: str, event: Event) -> None:
        """Note an event; it is folded with the others of its key at the end of the batch."""
        if event.kind == "performer_state":
            self._states.append((key, event))
            return
        prefix = _PLAN if event.kind == "plan" else _INTERACTION
        self._touched.setdefault(prefix + key.encode(), []).append(event)

    def restart(self, restart: Restart, out: Out) -> None:
        """A platform began anew: its open contacts end unknown, those told later included."""
        self.flush(out)
        known = self._restarts.setdefault(restart.source, [])
        if restart.at_ms in known:
            return
        known.append(restart.at_ms)
        known.sort()
        out.put(_RESTARTS_KEY, _encode_restarts(self._restarts))
        for key in self._timers.keys():  # noqa: SIM118 - not a dict
            self._touched.setdefault(key, [])
        self.flush(out)

    def rate(self, rate: Rate, out: Out) -> None:
        """What work costs was told or changed: all of it that had this rate is priced again."""
        self.flush(out)
        for key in self._rates.take(rate, out):
            self._touched.setdefault(key, [])
        self.flush(out)

    def tick(self, tick: Tick, out: Out) -> None:
        """Let time pass: fire what is due, then publish what changed."""
        self._let_pass(tick, out)

    def flush(self, out: Out) -> None:
        """Pass states on to their performers, and fold every key touched since the last flush."""
        states, self._states = self._states, []
        for performer_id, event in states:
            message = PerformanceMessage(event.event_id, 0, state=event)
            out.send(PERFORMANCES, performer_id.encode(), encode_performance(message))
        super().flush(out)

    # --- folding --------------------------------------------------------------------------------

    def _fold(self, key: bytes, events: list[Event], out: Out) -> None:
        stored = out.get(key)
        state = decode_state(stored) if stored is not None else KeyState([], [], {}, {})
        self.duplicates += admit(state.events, state.seen, events)
        folded = self._facts(key, state.events, self._publisher.tick_ms)
        changes, due_ms = self._settle(state, folded.rows)
        self._due(key, folded.due_ms, due_ms)
        if changes.rows or changes.deleted:
            state.dues += not events
            version = self._version(key, state)
            self._publisher.publish_facts(changes, lambda _fact_id: version, out)
            if key[:1] == _PLAN:
                told = _distinct(state)
                tell_rate(key[1:].decode(), told, state.events, folded, self._partitions, out)
        version = self._version(key, state)
        self._tell_contacts(state, folded, version, out)
        stints = performances(key[1:].decode(), folded.rows, state.events)
        self._tell_performances(state, stints, version, out)
        encoded = encode_state(state)
        if encoded != stored:
            out.put(key, encoded)

    def _facts(self, key: bytes, events: list[Event], as_of_ms: int) -> Folded:
        name = key[1:].decode()
        if key[:1] == _PLAN:
            return planned.fold(name, events)
        restarts = self._restarts.get(events[0].source, ()) if events else ()
        folded = interaction.fold(name, events, as_of_ms, self._silence, restarts)
        self._rates.note(key, folded)
        costs = priced(folded.rows, self._rates.rates)
        return folded._replace(rows=(*folded.rows, *costs))

    def _version(self, key: bytes, state: KeyState) -> int:
        """Version of the rows: rules, distinct events seen, timers fired; never a log position.

        Rates are events that every interaction has seen.
        """
        distinct = _distinct(state)
        if key[:1] == _INTERACTION:
            distinct += self._rates.version
        return (
            (_CODE_VERSIONS[key[:1]] << 48)
            | (min(distinct, 2**32 - 1) << 16)
            | min(state.dues, 2**16 - 1)
        )

    def _tell_contacts(self, state: KeyState, folded: Folded, version: int, out: Out) -> None:
        """Tell histories of customers and cases what changed."""

        def send(key: str, name: str, row: ContactRow | CasePart | None) -> None:
            out.send(CONTACTS, key.encode(), encode_contact(ContactMessage(name, version, row)))

        rows: dict[str, tuple[str, ContactRow | CasePart]] = {
            row.header.interaction_id: (_history_key(row), row) for row in folded.contacts
        }
        # An interaction belongs to one customer, and to any number of cases.
        for part in folded.cases:
            rows[f"{part.header.interaction_id}\0{part.case_id}"] = (_case_key(part), part)
        state.contacts = tell(state.contacts, rows, send)

    def _tell_performances(
        self,
        state: KeyState,
        rows: Mapping[str, tuple[str, Performance]],
        version: int,
        out: Out,
    ) -> None:
        """Tell performers what changed of their stints and schedules."""

        def send(key: str, name: str, row: Performance | None) -> None:
            message = PerformanceMessage(name, version, row)
            out.send(PERFORMANCES, key.encode(), encode_performance(message))

        state.performances = tell(state.performances, rows, send)


def _case_key(part: CasePart) -> str:
    return CASE_PREFIX.decode() + part.case_id


def _history_key(row: ContactRow) -> str:
    """Whose history a contact belongs to; an unknown customer's contact is a history alone."""
    if row.header.customer_key:
        return "c" + row.header.customer_key
    return "i" + row.header.interaction_id


def _distinct(state: KeyState) -> int:
    """Distinct events that were ever seen of a key."""
    return len(state.events) + len(state.seen)
