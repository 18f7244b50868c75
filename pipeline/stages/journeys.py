"""The journeys stage: contacts into repeats and journeys, parts of cases into cases; panes."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from pipeline.folds import case, journey
from pipeline.folds.rows import CasePart, ContactRow, Folded
from pipeline.kpi.ledger import Entry, Ledger
from pipeline.stages.folding import Following
from pipeline.stages.travelling import HISTORY_MAX, told, version_of
from pipeline.stages.wire import CASE_PREFIX, ContactMessage, Out


class Known(msgspec.Struct, frozen=True, array_like=True):
    """The newest word on one contact; ``row`` is None once it is of another history."""

    version: int
    row: ContactRow | CasePart | None


class CustomerState(msgspec.Struct, array_like=True):
    """Everything durable of one customer or case: rows by interaction, and what they published."""

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
        changes, due_ms = self._settle(state, _facts(key, state).rows)
        self._due(key, due_ms)
        if changes.rows or changes.deleted:
            versions = _case_version if key.startswith(CASE_PREFIX) else _Versions
            self._publisher.publish_facts(changes, versions(state), out)
        encoded = encode_state(state)
        if encoded != stored:
            out.put(key, encoded)


def _facts(key: bytes, state: CustomerState) -> Folded:
    rows = [known.row for known in state.contacts.values()]
    if key.startswith(CASE_PREFIX):
        return case.fold(row for row in rows if isinstance(row, CasePart))
    return journey.fold(row for row in rows if isinstance(row, ContactRow))


def _case_version(state: CustomerState) -> Callable[[str], int]:
    """A case never moves, so what is known of its parts decides alone: rules, then history."""
    version = case.CODE_VERSION << 56 | min(_history(state), HISTORY_MAX)
    return lambda _fact_id: version


def _history(state: CustomerState) -> int:
    return sum(told(known.version) + 1 for known in state.contacts.values())


class _Versions:
    """Versions of the rows of one customer; a contact may turn out to be another customer's."""

    def __init__(self, state: CustomerState) -> None:
        self._contacts = state.contacts
        self._history = _history(state)

    def __call__(self, fact_id: str) -> int:
        owners = [name for name in self._contacts if fact_id.startswith(name + "/")]
        known = self._contacts[max(owners, key=len)]
        withdrawn = known.row is None
        return version_of(journey.CODE_VERSION, known.version, self._history, withdrawn=withdrawn)
