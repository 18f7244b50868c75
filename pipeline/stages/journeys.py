"""The journeys stage: contacts of customers into repeats, journeys and panes."""

from __future__ import annotations

import msgspec

from pipeline.folds import journey
from pipeline.folds.rows import ContactRow
from pipeline.kpi.ledger import Entry, Ledger
from pipeline.stages.folding import Following
from pipeline.stages.travelling import told, version_of
from pipeline.stages.wire import ContactMessage, Out


class Known(msgspec.Struct, frozen=True, array_like=True):
    """The newest word on one contact; ``row`` is None once it is another customer's."""

    version: int
    row: ContactRow | None


class CustomerState(msgspec.Struct, array_like=True):
    """Everything durable of one customer: contacts by interaction, and what they published."""

    contacts: dict[str, Known]
    ledger: dict[str, Entry]
    counted_by: int = 0


encode_state = msgspec.msgpack.Encoder().encode
decode_state = msgspec.msgpack.Decoder(CustomerState).decode


class Journeys(Following[ContactMessage]):
    """State derived from one partition of ``cx.contacts``."""

    def _ledger(self, value: bytes) -> Ledger:
        return decode_state(value).ledger

    def _fold(self, key: bytes, messages: list[ContactMessage], out: Out) -> None:
        stored = out.get(key)
        state = decode_state(stored) if stored is not None else CustomerState({}, {})
        for message in messages:
            known = state.contacts.get(message.interaction_id)
            if known is None or message.version >= known.version:
                state.contacts[message.interaction_id] = Known(message.version, message.row)
        rows = [known.row for known in state.contacts.values() if known.row is not None]
        changes, due_ms = self._settle(state, journey.fold(rows).rows)
        self._due(key, due_ms)
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
