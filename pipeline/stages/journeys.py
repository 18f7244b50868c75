"""The journeys stage: contacts into repeats and journeys, parts of cases into cases; panes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from pipeline.folds import case, journey
from pipeline.folds.links import SHARED_AFTER
from pipeline.folds.rows import CasePart, Row
from pipeline.stages.configuration import Configuration
from pipeline.stages.directory import Directory
from pipeline.stages.folding import Following
from pipeline.stages.frozen import frozen_part
from pipeline.stages.homes import (
    CustomerState,
    Versions,
    histories,
    history,
    kept_together,
    learn,
    only,
    pass_on,
    without,
)
from pipeline.stages.packing import HISTORY_WORDS, is_packed, pack, unpack
from pipeline.stages.publisher import Publisher
from pipeline.stages.travelling import generation_of, history_version
from pipeline.stages.wire import CASE_PREFIX, CUSTOMER_PREFIX, LINKS_KEY, ContactMessage, Out

encode_state = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(CustomerState).decode


def decode_state(value: bytes, key: bytes = b"") -> CustomerState:
    """A stored state; of one that is packed the key must be told."""
    return _decode(unpack(value, _words(key)) if is_packed(value) else value)


def _words(key: bytes) -> bytes:
    """What the packed history of a key has in common with others, and with the key itself."""
    return HISTORY_WORDS + key[1:]


class Journeys(Following[ContactMessage, CustomerState]):
    """State derived from one partition of ``cx.contacts``.

    Args:
        exhibits: Exhibits that the worker was started with; those of the log win.
        publisher: Panes and clock.
        state: Committed state of the partition; stays up to date.
        sources: Sources whose ticks are followed.
        shared_after: An identifier of more accounts than so many joins nobody.
    """

    _packs = True

    def __init__(
        self,
        exhibits: Configuration,
        publisher: Publisher,
        state: Mapping[bytes, bytes],
        sources: Iterable[str],
        shared_after: int = SHARED_AFTER,
    ) -> None:
        self._directory = Directory(state, shared_after)
        super().__init__(exhibits, publisher, state, sources)

    @property
    def _code_version(self) -> int:
        return 16 * journey.CODE_VERSION + case.CODE_VERSION

    def _kept(self, key: bytes, value: bytes) -> CustomerState:
        return decode_state(value, key)

    def _packed(self, key: bytes, stored: bytes) -> bytes:
        return pack(stored, _words(key))

    def take(self, key: bytes, message: ContactMessage) -> None:
        """Note what was told of a key; folded with everything else at the end of the batch."""
        if key == LINKS_KEY:
            self._directory.take(message)
        else:
            super().take(key, message)

    def steps(self, out: Out) -> Iterator[None]:
        """Learn links, and fold every key touched since the last batch."""
        self._directory.flush(out)
        yield from super().steps(out)

    def _fold(self, key: bytes, messages: list[ContactMessage], out: Out) -> None:
        stored = out.get(key)
        state = decode_state(stored, key) if stored is not None else CustomerState({}, {})
        customer = _customer(key)
        for message in messages:
            learn(customer, state, message)
        if not state.contacts and state.kin is None:
            return
        if any(message.frozen for message in messages):
            self._ages.note(key, state.life_ms)
        pass_on(customer, state, messages, out)
        changes, due_ms = self._settle(state, list(_facts(key, state)))
        self._due(key, state, due_ms)
        if changes.rows or changes.deleted:
            self._publisher.publish_facts(changes, _versions(key, state), out)
        encoded = encode_state(state)
        if stored is None or encoded != (unpack(stored, _words(key))):
            self._write(key, encoded, out)

    def _freeze(self, key: bytes, out: Out) -> None:
        """Let go of what lies before a silence that no number looks across."""
        stored = out.get(key)
        if stored is None:
            return
        state = decode_state(stored, key)
        publisher = self._publisher
        gone: set[str] = set()
        for contacts in kept_together(_customer(key), state):
            gone |= frozen_part(
                contacts, publisher.floor_ms, publisher.plan.horizon_ms,
                whole=key.startswith(CASE_PREFIX),
            )  # fmt: skip
        if state.names <= gone and not state.placed_elsewhere(_customer(key)):
            self._let_go(key, state, out)
        elif gone:
            self._cut(key, state, gone, out)

    def _cut(self, key: bytes, state: CustomerState, gone: set[str], out: Out) -> None:
        """Let a part of a history go."""
        for row in _facts(key, only(state, gone)):
            entry = state.ledger.pop(row.fact_id, None)
            if entry is not None:
                self._publisher.freeze(entry.contributions)
        self._write(key, encode_state(without(state, gone)), out)


def _customer(key: bytes) -> str:
    """Whose history a key is of, where it is a customer's."""
    return key[len(CUSTOMER_PREFIX) :].decode()


def _facts(key: bytes, state: CustomerState) -> Iterator[Row]:
    if key.startswith(CASE_PREFIX):
        rows = [known.row for known in state.contacts.values()]
        yield from case.fold(row for row in rows if isinstance(row, CasePart)).rows
        return
    for contacts in histories(_customer(key), state):
        yield from journey.fold(contacts).rows


def _versions(key: bytes, state: CustomerState) -> Callable[[str], int]:
    if not key.startswith(CASE_PREFIX):
        return Versions(_customer(key), state, journey.CODE_VERSION)
    # A case never moves, so what is known of its parts decides alone.
    generation = max((generation_of(known.version) for known in state.contacts.values()), default=0)
    version = history_version(case.CODE_VERSION, generation, history(state))
    return lambda _fact_id: version
