"""The journeys stage: contacts into repeats and journeys, parts of cases into cases; panes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from msgspec.structs import replace

from pipeline.folds import case, journey
from pipeline.folds.rows import CasePart, ContactRow, Folded
from pipeline.kpi.ledger import Entry
from pipeline.stages.ages import ALWAYS_MS
from pipeline.stages.folding import Following
from pipeline.stages.travelling import HISTORY_MAX, told, version_of
from pipeline.stages.wire import CASE_PREFIX, ContactMessage, Out


class Known(msgspec.Struct, frozen=True, array_like=True):
    """The newest word on one contact; ``row`` is None once it is of another history.

    ``frozen``: it was the last word.
    """

    version: int
    row: ContactRow | CasePart | None
    frozen: bool = False


class CustomerState(msgspec.Struct, array_like=True):
    """Everything durable of one customer or case: rows by interaction, and what they published.

    ``gone``: how much was known of contacts that are forgotten, so that versions go on rising.
    """

    contacts: dict[str, Known]
    ledger: dict[str, Entry]
    counted_by: int = 0
    due_ms: int | None = None
    gone: int = 0

    @property
    def life_ms(self) -> int:
        """The latest instant that is told of what is frozen; for ever while nothing is."""
        frozen = [known.row for known in self.contacts.values() if known.frozen]
        return max((reach_ms(row) for row in frozen if row is not None), default=ALWAYS_MS)


encode_state = msgspec.msgpack.Encoder().encode
decode_state = msgspec.msgpack.Decoder(CustomerState).decode


class Journeys(Following[ContactMessage, CustomerState]):
    """State derived from one partition of ``cx.contacts``."""

    @property
    def _code_version(self) -> int:
        return 16 * journey.CODE_VERSION + case.CODE_VERSION

    def _kept(self, value: bytes) -> CustomerState:
        return decode_state(value)

    def _fold(self, key: bytes, messages: list[ContactMessage], out: Out) -> None:
        stored = out.get(key)
        state = decode_state(stored) if stored is not None else CustomerState({}, {})
        for message in messages:
            known = state.contacts.get(message.interaction_id)
            if message.frozen:
                if known is not None:
                    state.contacts[message.interaction_id] = replace(known, frozen=True)
            elif known is None or message.version >= known.version:
                state.contacts[message.interaction_id] = Known(message.version, message.row)
        if not state.contacts:
            return
        if any(message.frozen for message in messages):
            self._ages.note(key, state.life_ms)
        changes, due_ms = self._settle(state, _facts(key, state).rows)
        self._due(key, state, due_ms)
        if changes.rows or changes.deleted:
            versions = _case_version if key.startswith(CASE_PREFIX) else _Versions
            self._publisher.publish_facts(changes, versions(state), out)
        encoded = encode_state(state)
        if encoded != stored:
            out.put(key, encoded)

    def _freeze(self, key: bytes, out: Out) -> None:
        """Let go of what lies before a silence that no number looks across."""
        stored = out.get(key)
        if stored is None:
            return
        state = decode_state(stored)
        publisher = self._publisher
        gone = frozen_part(
            state.contacts, publisher.floor_ms, publisher.plan.horizon_ms,
            whole=key.startswith(CASE_PREFIX),
        )  # fmt: skip
        if len(gone) == len(state.contacts):
            self._let_go(key, state, out)
        elif gone:
            self._cut(key, state, gone, out)

    def _cut(self, key: bytes, state: CustomerState, gone: set[str], out: Out) -> None:
        """Let a part of a history go."""
        old = CustomerState({name: state.contacts[name] for name in gone}, {})
        for row in _facts(key, old).rows:
            entry = state.ledger.pop(row.fact_id, None)
            if entry is not None:
                self._publisher.freeze(entry.contributions)
        state.gone = _history(state)
        for name in gone:
            del state.contacts[name]
        state.gone -= _history(CustomerState(state.contacts, {}))
        out.put(key, encode_state(state))


def frozen_part(
    contacts: Mapping[str, Known], floor_ms: int, horizon_ms: int, *, whole: bool
) -> set[str]:
    """Contacts that nothing can change any more and that no number of the others looks back to.

    They end before a silence longer than the horizon, or nothing comes after them. With ``whole``
    all or none are.
    """
    told = [(name, known) for name, known in contacts.items() if known.row is not None]
    told.sort(key=lambda one: begin_ms(one[1].row))
    found: set[str] = set()
    reached_ms = 0
    for place, (_, known) in enumerate(told):
        if not known.frozen or reach_ms(known.row) >= floor_ms:
            break
        reached_ms = max(reached_ms, reach_ms(known.row))
        last = place + 1 == len(told)
        if last or (not whole and begin_ms(told[place + 1][1].row) - reached_ms > horizon_ms):
            found = {name for name, _ in told[: place + 1]}
    if len(found) == len(told):
        return set(contacts)
    return found


def begin_ms(row: ContactRow | CasePart | None) -> int:
    """The first instant that a row tells of, UTC epoch milliseconds."""
    if isinstance(row, ContactRow):
        return row.started_ms
    return min(_instants(row), default=0)


def reach_ms(row: ContactRow | CasePart | None) -> int:
    """The last instant that a row tells of, UTC epoch milliseconds."""
    return max(_instants(row), default=0)


def _instants(row: ContactRow | CasePart | None) -> list[int]:
    if row is None:
        return []
    told: list[int | None] = []
    if isinstance(row, ContactRow):
        told += (row.started_ms, row.ended_ms, row.callback_ms, row.called_back_ms)
    else:
        told += (row.named_ms, *(step.at_ms for step in row.steps))
    return [ms for ms in told if ms is not None]


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
    return state.gone + sum(told(known.version) + 1 for known in state.contacts.values())


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
