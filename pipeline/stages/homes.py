"""Contacts of a customer's key: kept at home, passed on to the root of what links join, guests.

The record of a key is the home of its contacts, whatever links say. Where they count is its place:
here, at a root, or each alone. A root counts what is its own and its guests as one history.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import NamedTuple, TypeVar

import msgspec
from msgspec.structs import replace

from pipeline.folds.rows import CasePart, ContactRow, Place
from pipeline.kpi.ledger import Entry
from pipeline.stages.ages import ALWAYS_MS
from pipeline.stages.frozen import reach_ms
from pipeline.stages.travelling import Sent, tell, told, version_of
from pipeline.stages.wire import CUSTOMER_PREFIX, ContactMessage, Out, encode_contact
from schemas.topics import CONTACTS


class Known(msgspec.Struct, frozen=True, array_like=True):
    """The newest word on one contact; ``row`` is None once it is of another history.

    ``frozen``: it was the last word. Of a guest: ``moves`` its home had made, and whether it was
    withdrawn since it ``left`` that home, and not only because the home moved.
    """

    version: int
    row: ContactRow | CasePart | None
    frozen: bool = False
    moves: int = 0
    left: bool = False


class Kin(msgspec.Struct, array_like=True):
    """What links make of a history.

    Attributes:
        root: Whose history holds the contacts; empty where each is a history alone.
        moves: How often that changed.
        sent: What the root was told of the contacts.
        guests: Contacts of other keys that are kept here, by key and interaction.
    """

    root: str
    moves: int = 0
    sent: dict[str, Sent] = {}
    guests: dict[str, dict[str, Known]] = {}


class CustomerState(msgspec.Struct, array_like=True):
    """Everything durable of one customer or case: rows by interaction, and what they published.

    ``gone``: how much was known of contacts that are forgotten, so that versions go on rising.
    """

    contacts: dict[str, Known]
    ledger: dict[str, Entry]
    counted_by: int = 0
    due_ms: int | None = None
    gone: int = 0
    kin: Kin | None = None

    @property
    def life_ms(self) -> int:
        """The latest instant that is told of what is frozen; for ever while nothing is."""
        frozen = [known.row for known in self._all if known.frozen]
        return max((reach_ms(row) for row in frozen if row is not None), default=ALWAYS_MS)

    @property
    def names(self) -> set[str]:
        """Interactions of which anything is known here."""
        guests = self.kin.guests.values() if self.kin is not None else ()
        return {*self.contacts, *(name for known in guests for name in known)}

    def placed_elsewhere(self, key: str) -> bool:
        """Whether links say that contacts to come count in another history than that of ``key``."""
        return self.kin is not None and self.kin.root != key

    @property
    def _all(self) -> Iterator[Known]:
        yield from self.contacts.values()
        if self.kin is not None:
            for guests in self.kin.guests.values():
                yield from guests.values()


def learn(key: str, state: CustomerState, message: ContactMessage) -> None:
    """Take over what was told of a history; an older word changes nothing."""
    if isinstance(message.row, Place):
        state.kin = state.kin or Kin(key)
        if state.kin.root != message.row.root:
            state.kin.root = message.row.root
            state.kin.moves += 1
        return
    row = message.row if isinstance(message.row, (ContactRow, CasePart)) else None
    if message.home:
        state.kin = state.kin or Kin(key)
        _learn_of_guest(state.kin.guests.setdefault(message.home, {}), message, row)
        return
    known = state.contacts.get(message.interaction_id)
    if message.frozen:
        if known is not None:
            state.contacts[message.interaction_id] = replace(known, frozen=True)
    elif known is None or message.version >= known.version:
        state.contacts[message.interaction_id] = Known(message.version, row)


def _learn_of_guest(
    guests: dict[str, Known], message: ContactMessage, row: ContactRow | CasePart | None
) -> None:
    known = guests.get(message.interaction_id)
    if row is not None:
        if known is None or (message.version, message.moves) >= (known.version, known.moves):
            found = Known(message.version, row, message.frozen, message.moves)
            guests[message.interaction_id] = found
    elif known is None:
        return
    elif message.frozen:
        guests[message.interaction_id] = replace(known, frozen=True)
    elif message.version >= known.version:
        left = told(message.version) > told(known.version)
        guests[message.interaction_id] = Known(message.version, None, moves=known.moves, left=left)


def pass_on(key: str, state: CustomerState, messages: Iterable[ContactMessage], out: Out) -> None:
    """Tell the root what changed of the contacts whose home this is; take back what moved."""
    kin = state.kin
    if kin is None:
        return

    def tell_root(root: str, message: ContactMessage) -> None:
        out.send(CONTACTS, CUSTOMER_PREFIX + root.encode(), encode_contact(message))

    def send(root: str, name: str, row: ContactRow | None) -> None:
        known = state.contacts[name]
        frozen = known.frozen and row is not None
        tell_root(root, ContactMessage(name, known.version, row, frozen, key, kin.moves))

    guests: dict[str, tuple[str, ContactRow]] = {}
    if kin.root not in ("", key):
        for name, known in state.contacts.items():
            if isinstance(known.row, ContactRow):
                guests[name] = (kin.root, known.row)
    kin.sent = tell(kin.sent, guests, send)
    for message in messages:
        name = message.interaction_id
        if message.frozen and not message.home and name in kin.sent:
            last = ContactMessage(name, message.version, None, True, key, kin.moves)  # noqa: FBT003
            tell_root(kin.sent[name].key, last)


def histories(key: str, state: CustomerState) -> Iterator[list[ContactRow]]:
    """The contacts that count here, as histories; rows say the customer whose history it is."""
    if state.kin is None:
        yield _rows(state.contacts)
        return
    if not state.kin.root:
        for row in _rows(state.contacts):
            yield [_of("", row)]
    yield [_of(key, row) for row in _rows(_here(key, state, state.kin))]


def kept_together(key: str, state: CustomerState) -> Iterator[Mapping[str, Known]]:
    """What is known here, in parts that are frozen each for itself.

    Contacts that count elsewhere are let go here as if they counted: their root lets go of them by
    what it knows.
    """
    if state.kin is None:
        yield state.contacts
        return
    here = _here(key, state, state.kin)
    yield here
    for name, known in state.contacts.items():
        if name not in here and known.row is not None:
            yield {name: known}


def only(state: CustomerState, names: Container[str]) -> CustomerState:
    """A state as if nothing were known but some contacts, and nothing published."""
    kin = state.kin
    if kin is not None:
        guests = {home: _some(known, names) for home, known in kin.guests.items()}
        kin = Kin(kin.root, kin.moves, _some(kin.sent, names), guests)
    return CustomerState(_some(state.contacts, names), {}, kin=kin)


def without(state: CustomerState, names: set[str]) -> CustomerState:
    """A state after some contacts are forgotten, which nobody is told."""
    left = only(state, state.names - names)
    if left.kin is not None:
        left.kin.guests = {home: known for home, known in left.kin.guests.items() if known}
    gone = history(state) - history(left)
    return replace(
        left, ledger=state.ledger, counted_by=state.counted_by, due_ms=state.due_ms, gone=gone
    )


ValueT = TypeVar("ValueT")


def _some(found: Mapping[str, ValueT], names: Container[str]) -> dict[str, ValueT]:
    return {name: value for name, value in found.items() if name in names}


def _rows(contacts: Mapping[str, Known]) -> list[ContactRow]:
    return [known.row for known in contacts.values() if isinstance(known.row, ContactRow)]


def _here(key: str, state: CustomerState, kin: Kin) -> dict[str, Known]:
    """Guests, and the own contacts where these are kept here; the newest word on each."""
    here = _guests(kin)
    if kin.root == key:
        for name, known in state.contacts.items():
            if name not in here or _rank(known) > _rank(here[name]):
                here[name] = known
    return here


def _of(customer_key: str, row: ContactRow) -> ContactRow:
    header = row.header._replace(customer_key=customer_key)
    return replace(row, header=header)


def _guests(kin: Kin) -> dict[str, Known]:
    """Guests by interaction, by the newest word where two homes tell of one."""
    found: dict[str, Known] = {}
    for guests in kin.guests.values():
        for name, guest in guests.items():
            known = found.get(name)
            if known is None or _rank(guest) > _rank(known):
                found[name] = guest
    return found


def _rank(known: Known) -> tuple[bool, int, int]:
    return known.row is not None, known.version, known.moves


class _Standing(NamedTuple):
    """How a contact stands here, as far as the versions of its facts go."""

    version: int
    moves: int
    counts: bool
    left: bool


class Versions:
    """Versions of the facts of one history; a contact may turn out to be another's.

    Args:
        key: Whose history it is.
        state: What is known of it.
        code: Version of the rules.
    """

    def __init__(self, key: str, state: CustomerState, code: int) -> None:
        self._key = key
        self._state = state
        self._code = code
        self._guests = _guests(state.kin) if state.kin is not None else {}
        self._history = history(state)

    def __call__(self, fact_id: str) -> int:
        """The version of a fact, which bears the name of its contact before a part of its own."""
        name = fact_id
        standing = None
        while standing is None:
            name, slash, _ = name.rpartition("/")
            if not slash:
                raise KeyError(fact_id)
            standing = self._standing(name)
        return version_of(
            self._code,
            standing.version,
            self._history,
            moves=standing.moves,
            withdrawn=standing.left,
        )

    def _standing(self, name: str) -> _Standing | None:
        own, guest = self._state.contacts.get(name), self._guests.get(name)
        found = [
            standing
            for standing in (
                self._own(own) if own is not None else None,
                _Standing(guest.version, guest.moves, guest.row is not None, guest.left)
                if guest is not None
                else None,
            )
            if standing is not None
        ]
        return max(found, key=lambda one: (one.counts, one.version, one.moves), default=None)

    def _own(self, known: Known) -> _Standing:
        kin = self._state.kin
        left = known.row is None
        if kin is None or kin.root in ("", self._key):
            return _Standing(known.version, kin.moves if kin else 0, not left, left)
        return _Standing(known.version, kin.moves - 1, counts=False, left=left)


def history(state: CustomerState) -> int:
    """How much is known of a history: it grows with every word on it."""
    total = state.gone + sum(told(known.version) + 1 for known in state.contacts.values())
    if state.kin is not None:
        total += state.kin.moves + _told_of(
            guest for guests in state.kin.guests.values() for guest in guests.values()
        )
    return total


def _told_of(guests: Iterable[Known]) -> int:
    return sum(told(g.version) + 1 + g.moves + (g.row is None) for g in guests)
