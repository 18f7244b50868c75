"""The journeys stage: contacts of customers into repeats, journeys and panes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from pipeline.folds import journey
from pipeline.folds.rows import ContactRow
from pipeline.kpi.ledger import Entry, settle
from pipeline.kpi.plan import Plan
from pipeline.stages.clock import META_KEY, AlignedClock
from pipeline.stages.publisher import Publisher
from pipeline.stages.timers import Timers
from pipeline.stages.travelling import told, version_of
from pipeline.stages.wire import ContactMessage, Out, Tick


class Known(msgspec.Struct, frozen=True, array_like=True):
    """The newest word on one contact; ``row`` is None once it is another customer's."""

    version: int
    row: ContactRow | None


class CustomerState(msgspec.Struct, array_like=True):
    """Everything durable of one customer: contacts by interaction, and what they published."""

    contacts: dict[str, Known]
    ledger: dict[str, Entry]


encode_state = msgspec.msgpack.Encoder().encode
decode_state = msgspec.msgpack.Decoder(CustomerState).decode


class Journeys:
    """State derived from one partition of ``cx.contacts``."""

    def __init__(
        self,
        plan: Plan,
        publisher: Publisher,
        state: Mapping[bytes, bytes],
        sources: Iterable[str],
    ) -> None:
        self._plan = plan
        self._publisher = publisher
        self._clock = AlignedClock(sources)
        self._timers = Timers()
        self._touched: dict[bytes, list[ContactMessage]] = {}
        for key, value in state.items():
            if key != META_KEY:
                for entry in decode_state(value).ledger.values():
                    publisher.panes.change((), entry.contributions)
                self._timers.set(key, 0)
        publisher.panes.all_dirty()

    def take(self, key: bytes, message: ContactMessage) -> None:
        """Note the newest word on a contact; folded with its customer's others at batch end."""
        self._touched.setdefault(key, []).append(message)

    def tick(self, tick: Tick, out: Out) -> None:
        """Take over the tick of one source; when all have passed it, time passes here."""
        self._clock.see(tick)
        aligned = self._clock.aligned()
        if aligned is None:
            return
        told_again = aligned.publish_all or aligned.complete
        if aligned.tick_ms <= self._publisher.tick_ms and not told_again:
            return
        self.flush(out)
        publisher = self._publisher
        publisher.advance(aligned)
        for key in self._timers.pop_due(publisher.tick_ms):
            self._touched.setdefault(key, [])
        self.flush(out)
        publisher.publish_tick(aligned, out)

    def flush(self, out: Out) -> None:
        """Fold every customer touched since the last flush."""
        touched, self._touched = self._touched, {}
        for key, messages in touched.items():
            self._fold(key, messages, out)

    def _fold(self, key: bytes, messages: Iterable[ContactMessage], out: Out) -> None:
        stored = out.get(key)
        state = decode_state(stored) if stored is not None else CustomerState({}, {})
        for message in messages:
            known = state.contacts.get(message.interaction_id)
            if known is None or message.version >= known.version:
                state.contacts[message.interaction_id] = Known(message.version, message.row)
        rows = [known.row for known in state.contacts.values() if known.row is not None]
        folded = journey.fold(rows)
        state.ledger, changes, due_ms = settle(
            state.ledger, folded.rows, self._plan, self._publisher.panes,
            self._publisher.tick_ms, self._publisher.span_ms,
        )  # fmt: skip
        self._timers.set(key, due_ms)
        if changes.rows or changes.deleted:
            self._publisher.publish_facts(changes, _Versions(state), out)
        encoded = encode_state(state)
        if encoded != stored:
            out.put(key, encoded)


class _Versions:
    """Versions of the rows of one customer; a contact may turn out to be another customer's."""

    def __init__(self, state: CustomerState) -> None:
        self._contacts = state.contacts
        self._history = sum(told(known.version) + 1 for known in state.contacts.values())

    def __call__(self, fact_id: str) -> int:
        owners = [name for name in self._contacts if fact_id.startswith(name + "/")]
        known = self._contacts[max(owners, key=len)]
        withdrawn = known.row is None
        return version_of(journey.CODE_VERSION, known.version, self._history, withdrawn=withdrawn)
