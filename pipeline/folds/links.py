"""Identities: what interactions say of links, and which keys are one customer's by them.

A key is an identifier (a phone, a mail, a user of a channel) or an account. Linked accounts
are one customer. An identifier joins its accounts to itself, unless it is shared: then it joins
nobody.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from pipeline.folds.event import LINKING, Event
from pipeline.folds.rows import Link, Place

SHARED_AFTER: Final = 3
"""An identifier with more accounts than so many is shared, as of a household or a switchboard."""

_ALONE: Final = Place("")

Pair = tuple[str, str]


def told(interaction_id: str, events: Iterable[Event], customer_key: str) -> tuple[Link, ...]:
    """What the events of one interaction say of links.

    ``customer_key`` is the customer of the interaction, whom an event without one speaks of. Blanks
    link nothing, and neither does a key linked to itself.
    """
    found = []
    for event in events:
        if event.kind != LINKING:
            continue
        identifier = event.customer_key or customer_key
        if identifier and event.account_key and identifier != event.account_key:
            found.append(
                Link(
                    identifier,
                    event.account_key,
                    event.customer_kind == "account",
                    event.linked is not False,
                    event.occurred_ms,
                    f"{interaction_id}\0{event.event_id}",
                )
            )
    return tuple(found)


class Identities:
    """Links that stand, and the components they make of keys.

    A change is looked at from the ends of its link only: :meth:`tell` notes the keys around them,
    before and after it, and :meth:`settled` says where these are kept.
    """

    def __init__(self, shared_after: int = SHARED_AFTER) -> None:
        self._shared_after = shared_after
        self._told: dict[str, Link] = {}
        self._names: defaultdict[Pair, set[str]] = defaultdict(set)
        self._beside: defaultdict[str, set[str]] = defaultdict(set)
        self._named_account: Counter[str] = Counter()
        self._standing: dict[Pair, Link] = {}
        self._unsettled: set[str] = set()

    def tell(self, name: str, link: Link | None) -> None:
        """Let what is told under ``name`` be known; None takes it back."""
        old = self._told.pop(name, None)
        if old is not None:
            self._names[_pair(old)].discard(name)
        if link is not None:
            self._told[name] = link
            self._names[_pair(link)].add(name)
        for pair in {_pair(one) for one in (old, link) if one is not None}:
            self._decide(pair)

    def settled(self) -> dict[str, Place]:
        """Places of the keys that changes since the last call may have moved."""
        found: dict[str, Place] = {}
        for key in self._unsettled:
            if key not in found:
                found.update(self._places(key))
        self._unsettled = set()
        return found

    def unsettle(self) -> None:
        """Let every key be looked at again."""
        self._unsettled.update(self._beside)

    # --- links ----------------------------------------------------------------------------------

    def _decide(self, pair: Pair) -> None:
        """Let the latest telling of a pair hold."""
        told_of_it = [self._told[name] for name in self._names[pair]]
        if not told_of_it:
            del self._names[pair]
        newest = max(told_of_it, key=lambda link: (link.at_ms, link.name), default=None)
        standing = newest if newest is not None and newest.linked else None
        if _shape(standing) == _shape(self._standing.get(pair)):
            return
        self._note_around(pair)
        self._set(pair, standing)
        self._note_around(pair)

    def _set(self, pair: Pair, standing: Link | None) -> None:
        old = self._standing.pop(pair, None)
        if old is not None:
            self._named_account.subtract(_accounts_of(old))
        for one, other in (pair, pair[::-1]):
            if standing is not None:
                self._beside[one].add(other)
            elif old is not None:
                self._beside[one].discard(other)
                if not self._beside[one]:
                    del self._beside[one]
        if standing is not None:
            self._standing[pair] = standing
            self._named_account.update(_accounts_of(standing))

    def _note_around(self, pair: Pair) -> None:
        for key in pair:
            joined, shared = self._component(key)
            self._unsettled |= joined | shared | {key}

    # --- components -----------------------------------------------------------------------------

    def _places(self, key: str) -> dict[str, Place]:
        if self._is_shared(key):
            return {key: _ALONE}
        joined, _ = self._component(key)
        return dict.fromkeys(joined, Place(min(joined)))

    def _component(self, key: str) -> tuple[set[str], set[str]]:
        """Keys joined to ``key``, and the shared ones beside them, where the search ends."""
        if self._is_shared(key):
            return {key}, set()
        joined, shared, waiting = {key}, set(), [key]
        while waiting:
            for other in self._beside.get(waiting.pop(), ()):
                if other in joined or other in shared:
                    continue
                if self._is_shared(other):
                    shared.add(other)
                else:
                    joined.add(other)
                    waiting.append(other)
        return joined, shared

    def _is_account(self, key: str) -> bool:
        return self._named_account[key] > 0

    def _is_shared(self, key: str) -> bool:
        """Whether ``key`` is an identifier of more customers than one may be known to."""
        accounts = self._beside.get(key, ())
        if self._is_account(key) or len(accounts) <= self._shared_after:
            return False
        customers = 0
        seen: set[str] = set()
        for account in accounts:
            if account not in seen:
                seen |= self._one_customer(account)
                customers += 1
                if customers > self._shared_after:
                    return True
        return False

    def _one_customer(self, account: str) -> set[str]:
        """Accounts joined to ``account`` by links between accounts."""
        joined, waiting = {account}, [account]
        while waiting:
            for other in self._beside.get(waiting.pop(), ()):
                if other not in joined and self._is_account(other):
                    joined.add(other)
                    waiting.append(other)
        return joined


def _pair(link: Link) -> Pair:
    first, second = sorted((link.identifier, link.account))
    return first, second


def _accounts_of(link: Link) -> Sequence[str]:
    return (link.identifier, link.account) if link.of_accounts else (link.account,)


def _shape(link: Link | None) -> object:
    """What of a standing link decides components."""
    return None if link is None else (link.identifier, link.account, link.of_accounts)
