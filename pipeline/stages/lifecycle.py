"""The lifecycle stage: events of interactions and performers into facts, contacts and panes.

Pure but for what it is given: it reads and writes state and outputs through :class:`Out`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from pipeline.folds import interaction, performer
from pipeline.folds.event import Event
from pipeline.folds.rows import ContactRow, Folded
from pipeline.folds.silence import Silence
from pipeline.kpi.ledger import Entry, Ledger, digest_of, settle
from pipeline.kpi.plan import Plan
from pipeline.stages.publisher import Publisher
from pipeline.stages.timers import Timers
from pipeline.stages.wire import ContactMessage, Out, Restart, Tick, encode_contact
from schemas.topics import CONTACTS

_INTERACTION: Final = b"i"
_PERFORMER: Final = b"p"
_RESTARTS_KEY: Final = b"\0restarts"
_CODE_VERSIONS: Final = {
    _INTERACTION: interaction.CODE_VERSION,
    _PERFORMER: performer.CODE_VERSION,
}


class SentContact(msgspec.Struct, frozen=True, array_like=True):
    """Which history was last told of an interaction, and a digest of what it was told."""

    key: str
    digest: int


class KeyState(msgspec.Struct, array_like=True):
    """Everything durable of one interaction or performer: a set of events, and what it published.

    ``seen`` holds content hashes of events that were replaced, so that a replay of them is known.
    """

    events: list[Event]
    seen: list[int]
    ledger: dict[str, Entry]
    contacts: dict[str, SentContact]
    dues: int = 0


encode_state = msgspec.msgpack.Encoder().encode
decode_state = msgspec.msgpack.Decoder(KeyState).decode
_encode_restarts = msgspec.msgpack.Encoder().encode
_decode_restarts = msgspec.msgpack.Decoder(dict[str, list[int]]).decode


class Lifecycle:
    """State derived from one partition of ``cx.interactions``."""

    def __init__(
        self,
        plan: Plan,
        publisher: Publisher,
        state: Mapping[bytes, bytes],
        silence: Silence,
    ) -> None:
        self._plan = plan
        self._publisher = publisher
        self._timers = Timers()
        self._silence = silence
        self._touched: dict[bytes, list[Event]] = {}
        stored = state.get(_RESTARTS_KEY)
        self._restarts = _decode_restarts(stored) if stored is not None else {}
        self.duplicates = 0
        for key, value in state.items():
            if key[:1] in _CODE_VERSIONS:
                self._restore(key, decode_state(value))
        publisher.panes.all_dirty()

    def _restore(self, key: bytes, state: KeyState) -> None:
        for entry in state.ledger.values():
            self._publisher.panes.change((), entry.contributions)
        # What is due is found again by folding once at the next tick.
        self._timers.set(key, 0)

    # --- records --------------------------------------------------------------------------------

    def take(self, key: str, event: Event) -> None:
        """Note an event; it is folded with the others of its key at the end of the batch."""
        is_state = event.kind == "performer_state"
        prefix = _PERFORMER if is_state else _INTERACTION
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

    def tick(self, tick: Tick, out: Out) -> None:
        """Let time pass: fire what is due, then publish what changed."""
        self.flush(out)
        publisher = self._publisher
        publisher.advance(tick)
        for key in self._timers.pop_due(publisher.tick_ms):
            self._touched.setdefault(key, [])
        self.flush(out)
        publisher.publish_tick(tick, out)

    def flush(self, out: Out) -> None:
        """Fold every key touched since the last flush."""
        touched, self._touched = self._touched, {}
        for key, events in touched.items():
            self._fold(key, events, out)

    # --- folding --------------------------------------------------------------------------------

    def _fold(self, key: bytes, events: Iterable[Event], out: Out) -> None:
        stored = out.get(key)
        state = decode_state(stored) if stored is not None else KeyState([], [], {}, {})
        self.duplicates += _admit(state, events)
        as_of_ms = self._publisher.tick_ms
        folded = self._facts(key, state.events, as_of_ms)
        ledger: Ledger = state.ledger
        ledger, changes, due_ms = settle(
            ledger,
            folded.rows,
            self._plan,
            self._publisher.panes,
            as_of_ms,
            self._publisher.span_ms,
        )
        dues = [due for due in (folded.due_ms, due_ms) if due is not None]
        self._timers.set(key, min(dues, default=None))
        if changes.rows or changes.deleted:
            state.dues += not events
            version = _version(key, state)
            self._publisher.publish_facts(changes, lambda _fact_id: version, out)
        state.ledger = ledger
        self._tell_contacts(state, folded.contacts, _version(key, state), out)
        encoded = encode_state(state)
        if encoded != stored:
            out.put(key, encoded)

    def _facts(self, key: bytes, events: list[Event], as_of_ms: int) -> Folded:
        name = key[1:].decode()
        if key[:1] == _PERFORMER:
            return performer.fold(name, events)
        restarts = self._restarts.get(events[0].source, ()) if events else ()
        return interaction.fold(name, events, as_of_ms, self._silence, restarts)

    def _tell_contacts(
        self, state: KeyState, contacts: Iterable[ContactRow], version: int, out: Out
    ) -> None:
        """Tell customers' histories what changed; a contact that moved is withdrawn first."""
        rows = {row.header.interaction_id: row for row in contacts}
        new = {name: SentContact(_history_key(row), digest_of(row)) for name, row in rows.items()}
        for interaction_id, old in state.contacts.items():
            sent = new.get(interaction_id)
            if sent is None or sent.key != old.key:
                self._send_contact(old.key, ContactMessage(interaction_id, version, None), out)
        for interaction_id, sent in new.items():
            if state.contacts.get(interaction_id) != sent:
                message = ContactMessage(interaction_id, version, rows[interaction_id])
                self._send_contact(sent.key, message, out)
        state.contacts = new

    def _send_contact(self, key: str, message: ContactMessage, out: Out) -> None:
        out.send(CONTACTS, key.encode(), encode_contact(message))


def _history_key(row: ContactRow) -> str:
    """Whose history a contact belongs to; an unknown customer's contact is a history alone."""
    if row.header.customer_key:
        return "c" + row.header.customer_key
    return "i" + row.header.interaction_id


def _admit(state: KeyState, events: Iterable[Event]) -> int:
    """Add ``events`` to the set; the count of those that were there already.

    A higher record version replaces; of two contents with one id and version the greater hash wins.
    """
    by_id = {event.event_id: place for place, event in enumerate(state.events)}
    duplicates = 0
    for event in events:
        place = by_id.get(event.event_id)
        if place is None:
            by_id[event.event_id] = len(state.events)
            state.events.append(event)
            continue
        known = state.events[place]
        if event.content_hash == known.content_hash or event.content_hash in state.seen:
            duplicates += 1
            continue
        newer = (event.record_version, event.content_hash)
        if newer > (known.record_version, known.content_hash):
            state.events[place] = event
            state.seen.append(known.content_hash)
        else:
            state.seen.append(event.content_hash)
    return duplicates


def _version(key: bytes, state: KeyState) -> int:
    """Version of the rows: rules, distinct events seen, timers fired; never a log position."""
    distinct = len(state.events) + len(state.seen)
    return (
        (_CODE_VERSIONS[key[:1]] << 48)
        | (min(distinct, 2**32 - 1) << 16)
        | min(state.dues, 2**16 - 1)
    )
