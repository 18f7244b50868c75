"""The lifecycle stage: events of interactions into facts, contacts, performances and panes.

Pure but for what it is given: it reads and writes state and outputs through :class:`Out`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Final, NamedTuple

import msgspec

from pipeline.folds import interaction, planned
from pipeline.folds.cost import priced
from pipeline.folds.event import Event
from pipeline.folds.performances import Performance, performances
from pipeline.folds.rows import CasePart, ContactRow, Folded, Link
from pipeline.folds.silence import Silence
from pipeline.kpi.ledger import Entry
from pipeline.stages.admission import admit
from pipeline.stages.ages import is_late, reach_ms
from pipeline.stages.configuration import Configuration
from pipeline.stages.folding import Folding
from pipeline.stages.late import LateRecords
from pipeline.stages.packing import unpack
from pipeline.stages.publisher import Publisher
from pipeline.stages.rates import KnownRates, tell_rate, worked
from pipeline.stages.travelling import GENERATION_BIT, Sent, tell
from pipeline.stages.wire import (
    CASE_PREFIX,
    CUSTOMER_PREFIX,
    LINKS_KEY,
    ContactMessage,
    Generation,
    Out,
    PerformanceMessage,
    Rate,
    Restart,
    Tick,
    decode_generation,
    encode_contact,
    encode_generation,
    encode_performance,
)
from schemas.topics import CONTACTS, PERFORMANCES

_INTERACTION: Final = b"i"
_PLAN: Final = b"l"
_LINKS: Final = LINKS_KEY.decode()
_RESTARTS_KEY: Final = b"\0restarts"
_GENERATION_KEY: Final = b"\0generation"
_CODE_VERSIONS: Final = {
    _INTERACTION: interaction.CODE_VERSION,
    _PLAN: planned.CODE_VERSION,
}


class KeyState(msgspec.Struct, array_like=True):
    """Everything durable of one interaction: a set of events, and what it published.

    ``seen`` holds content hashes of events that were replaced, so that a replay of them is known.
    ``born_ms``: what was frozen when the state began; an event from before it is late.
    ``worked_ms``: when its first and its last work began. ``dues``: how many moments at which time
    alone changed something have passed.
    """

    events: list[Event]
    seen: list[int]
    ledger: dict[str, Entry]
    contacts: dict[str, Sent]
    dues: int = 0
    performances: dict[str, Sent] = {}
    counted_by: int = 0
    due_ms: int | None = None
    life_ms: int = 0
    born_ms: int = 0
    worked_ms: tuple[int, int] | None = None


class Read(NamedTuple):
    """An event, and what was frozen at its place in the log."""

    floor_ms: int
    event: Event


encode_state = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(KeyState).decode


def decode_state(value: bytes) -> KeyState:
    """A stored state, packed or not."""
    return _decode(unpack(value))


_encode_restarts = msgspec.msgpack.Encoder().encode
_decode_restarts = msgspec.msgpack.Decoder(dict[str, list[int]]).decode


class Lifecycle(Folding[Read, KeyState]):
    """State derived from one partition of ``cx.interactions``."""

    _packs = True

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
        told = state.get(_GENERATION_KEY)
        self._generation = decode_generation(told).number if told is not None else 0
        self._late = LateRecords(publisher)
        self.duplicates = 0
        super().__init__(exhibits, publisher, state)

    def _is_fold(self, key: bytes) -> bool:
        return key[:1] in _CODE_VERSIONS

    @property
    def _code_version(self) -> int:
        return 16 * interaction.CODE_VERSION + planned.CODE_VERSION

    def _kept(self, key: bytes, value: bytes) -> KeyState:  # noqa: ARG002 - it needs no key
        return decode_state(value)

    @property
    def late(self) -> Counter[tuple[str, str]]:
        """Late records by kind and age, since this was last emptied."""
        return self._late.counts

    def _restore(self, key: bytes, kept: KeyState, stored: bytes) -> None:
        super()._restore(key, kept, stored)
        self._rates.note(key, kept.worked_ms)

    # --- records --------------------------------------------------------------------------------

    def take(self, key: str, event: Event) -> None:
        """Note an event; it is folded with the others of its key at the end of the batch."""
        if event.kind == "performer_state":
            self._states.append((key, event))
            return
        prefix = _PLAN if event.kind == "plan" else _INTERACTION
        read = Read(self._publisher.floor_ms, event)
        self._touched.setdefault(prefix + key.encode(), []).append(read)

    def restart(self, restart: Restart, out: Out) -> None:
        """A platform began anew: its open contacts end unknown, those told later included."""
        known = self._restarts.setdefault(restart.source, [])
        if restart.at_ms in known:
            return
        known.append(restart.at_ms)
        known.sort()
        out.put(_RESTARTS_KEY, _encode_restarts(self._restarts))
        for key in self._timers.keys():  # noqa: SIM118 - not a dict
            self._touched.setdefault(key, [])

    def generation(self, generation: Generation, out: Out) -> None:
        """The log was made anew: what is told from now on wins over all that tables hold."""
        if generation.number > self._generation:
            self._generation = generation.number
            out.put(_GENERATION_KEY, encode_generation(generation))

    def rate(self, rate: Rate, out: Out) -> None:
        """What work costs was told or changed: all of it that had this rate is priced again."""
        for key in self._rates.take(rate, out):
            self._touched.setdefault(key, [])

    def tick(self, tick: Tick) -> None:
        """Take over a tick of the log: time passes at the end of the batch."""
        self._publisher.see(tick)
        self._pass(tick)

    def steps(self, out: Out) -> Iterator[None]:
        """End a batch: pass states on to their performers, then what every stage does."""
        states, self._states = self._states, []
        for performer_id, event in states:
            version = self._generation << GENERATION_BIT
            message = PerformanceMessage(event.event_id, version, state=event)
            out.send(PERFORMANCES, performer_id.encode(), encode_performance(message))
        yield from super().steps(out)

    # --- folding --------------------------------------------------------------------------------

    def _fold(self, key: bytes, messages: list[Read], out: Out) -> None:
        stored = out.get(key)
        state = decode_state(stored) if stored is not None else None
        life_before_ms = None if state is None else state.life_ms
        for floor_ms, events in _by_floor(messages):
            if state is not None and state.life_ms < floor_ms:
                self._publish(key, state, out)
                self._forget(key, state, out)
                state = None
            state = self._take_in(key, state, floor_ms, events, out)
        if state is not None:
            self._publish(key, state, out)
            self._ages.note(key, state.life_ms, life_before_ms)

    def _take_in(
        self, key: bytes, state: KeyState | None, floor_ms: int, events: list[Event], out: Out
    ) -> KeyState | None:
        """Add events to the set, but late ones; None while nothing is known of the key."""
        born_ms = floor_ms if state is None else state.born_ms
        if born_ms:
            late = [event for event in events if is_late(event, born_ms)]
            if late:
                self._late.tell(key[1:].decode(), late, out)
                events = [event for event in events if not is_late(event, born_ms)]
        if not events:
            return state
        if state is None:
            state = KeyState([], [], {}, {}, born_ms=born_ms)
        before = [*state.events]
        self.duplicates += admit(state.events, state.seen, events)
        state.life_ms = max(state.life_ms, *map(reach_ms, events))
        if born_ms and key[:1] == _INTERACTION:
            self._late.tell_detached(key[1:].decode(), before, state.events, out)
        return state

    def _publish(self, key: bytes, state: KeyState, out: Out) -> None:
        """Bring what is published of a key to what is known of it, and store it."""
        folded = self._facts(key, state, self._publisher.tick_ms)
        changes, due_ms = self._settle(state, folded.rows)
        self._due(key, state, folded.due_ms, due_ms)
        if changes.rows or changes.deleted:
            version = self._version(key, state)
            self._publisher.publish_facts(changes, lambda _fact_id: version, out)
            if key[:1] == _PLAN:
                known = _distinct(state)
                tell_rate(key[1:].decode(), known, state.events, folded, self._partitions, out)
        version = self._version(key, state)
        self._tell_contacts(state, folded, version, out)
        stints = performances(key[1:].decode(), folded.rows, state.events)
        self._tell_performances(state, stints, version, out)
        stored = out.get(key)
        encoded = encode_state(state)
        if stored is None or encoded != unpack(stored):
            self._write(key, encoded, out)

    # --- ages -----------------------------------------------------------------------------------

    def _freeze(self, key: bytes, out: Out) -> None:
        stored = out.get(key)
        if stored is None:
            return
        state = decode_state(stored)
        if state.life_ms < self._publisher.floor_ms:
            if state.due_ms is not None or state.counted_by != self._rules:
                # A clock that leaps lets things fall due and freeze at once.
                self._publish(key, state, out)
            self._forget(key, state, out)

    def _forget(self, key: bytes, state: KeyState, out: Out) -> None:
        """Let an interaction or plan go, and let every history know that it says nothing more."""
        version = self._version(key, state)
        for name, sent in state.contacts.items():
            if sent.key == _LINKS:
                continue  # a link holds until it is withdrawn, however old it is
            message = ContactMessage(name, version, None, frozen=True)
            out.send(CONTACTS, sent.key.encode(), encode_contact(message))
        for name, sent in state.performances.items():
            told = PerformanceMessage(name, version, frozen=True)
            out.send(PERFORMANCES, sent.key.encode(), encode_performance(told))
        if key[:1] == _INTERACTION:
            self._late.tell_frozen(key[1:].decode(), state.events, out)
        self._let_go(key, state, out)

    def _age(self, tick: Tick, out: Out) -> Iterator[None]:
        yield from super()._age(tick, out)
        self._rates.forget(self._publisher.floor_ms)

    def _facts(self, key: bytes, state: KeyState, as_of_ms: int) -> Folded:
        name, events = key[1:].decode(), state.events
        if key[:1] == _PLAN:
            return planned.fold(name, events)
        restarts = self._restarts.get(events[0].source, ()) if events else ()
        folded = interaction.fold(name, events, as_of_ms, self._silence, restarts)
        state.dues = folded.passed
        before, state.worked_ms = state.worked_ms, worked(folded)
        self._rates.note(key, state.worked_ms, before)
        costs = priced(folded.rows, self._rates.rates)
        return folded._replace(rows=(*folded.rows, *costs))

    def _version(self, key: bytes, state: KeyState) -> int:
        """Version of the rows: rules, distinct events seen, timers due; never a log position.

        Above all stands the generation of the log. Rates are events that every interaction has
        seen.
        """
        distinct = _distinct(state)
        if key[:1] == _INTERACTION:
            distinct += self._rates.version
        return (
            (self._generation << GENERATION_BIT)
            | (_CODE_VERSIONS[key[:1]] << 48)
            | (min(distinct, 2**32 - 1) << 16)
            | min(state.dues, 2**16 - 1)
        )

    def _tell_contacts(self, state: KeyState, folded: Folded, version: int, out: Out) -> None:
        """Tell histories of customers and cases, and who knows links, what changed."""

        def send(key: str, name: str, row: ContactRow | CasePart | Link | None) -> None:
            out.send(
                CONTACTS, key.encode(), encode_contact(ContactMessage(name, version, row)),
                partition=0 if key == _LINKS else None,
            )  # fmt: skip

        rows: dict[str, tuple[str, ContactRow | CasePart | Link]] = {
            row.header.interaction_id: (_history_key(row), row) for row in folded.contacts
        }
        # An interaction belongs to one customer, and to any number of cases.
        for part in folded.cases:
            rows[f"{part.header.interaction_id}\0{part.case_id}"] = (_case_key(part), part)
        for link in folded.links:
            rows[f"\0{link.name}"] = (_LINKS, link)
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


def _by_floor(messages: list[Read]) -> Iterable[tuple[int, list[Event]]]:
    """Events by what was frozen where they stand in the log, which only ever rises."""
    if messages and messages[0].floor_ms == messages[-1].floor_ms:
        return [(messages[0].floor_ms, [read.event for read in messages])]
    return [
        (floor_ms, [read.event for read in reads])
        for floor_ms, reads in groupby(messages, key=lambda read: read.floor_ms)
    ]


def _case_key(part: CasePart) -> str:
    return CASE_PREFIX.decode() + part.case_id


def _history_key(row: ContactRow) -> str:
    """Whose history a contact belongs to; an unknown customer's contact is a history alone."""
    if row.header.customer_key:
        return CUSTOMER_PREFIX.decode() + row.header.customer_key
    return "i" + row.header.interaction_id


def _distinct(state: KeyState) -> int:
    """Distinct events that were ever seen of a key."""
    return len(state.events) + len(state.seen)
