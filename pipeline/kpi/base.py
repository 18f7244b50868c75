"""What frozen keys have added to panes that outlive them: one sum a pane, not one a key.

A key is frozen once nothing it counts can change any more. Its own record goes; what it added to a
pane that stays is added here, in the same checkpoint, so that panes can be summed again at restore.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple, Protocol

import msgspec

from pipeline.kpi.group import NO_TIME, Contribution
from pipeline.kpi.panes import EVERYTHING, QUARTER_MS, Grain, PaneKey, extreme_of
from pipeline.kpi.plan import Plan
from pipeline.kpi.vectors import Told, Wire, add, empty_like

PREFIX: Final = b"\0base"
"""Begins the state key of a pane's sum."""


class Store(Protocol):
    """Where sums are kept."""

    def put(self, key: bytes, value: bytes) -> None:
        """Set ``key``."""

    def delete(self, key: bytes) -> None:
        """Remove ``key``."""


class _Named(msgspec.Struct, frozen=True, array_like=True):
    group: int
    cell: tuple[str, ...]
    grain: Grain
    number: int


class _Stored(NamedTuple):
    key: PaneKey
    vector: Wire


_encode = msgspec.msgpack.Encoder().encode
_decode_key = msgspec.msgpack.Decoder(_Named).decode
_decode_vector = msgspec.msgpack.Decoder(tuple[int, ...] | dict[str, int]).decode


def _state_key(key: PaneKey) -> bytes:
    return PREFIX + _encode(_Named(*key))


class Base:
    """Sums of frozen contributions of one source partition.

    Args:
        state: Restored state of the partition.
    """

    def __init__(self, state: Mapping[bytes, bytes]) -> None:
        self._sums: dict[PaneKey, Wire] = {}
        self._changed: set[PaneKey] = set()
        for key, value in state.items():
            if key.startswith(PREFIX):
                named = _decode_key(key[len(PREFIX) :])
                pane = PaneKey(named.group, named.cell, named.grain, named.number)
                self._sums[pane] = _decode_vector(value)

    def __iter__(self) -> Iterator[tuple[PaneKey, Wire]]:
        return iter(self._sums.items())

    def freeze(self, contributions: Iterable[Contribution], plan: Plan) -> list[_Stored]:
        """Add what a frozen key has contributed; what of it has to stay, pane by pane."""
        frozen = []
        for one in contributions:
            group = plan.groups.get(one.group)
            if group is None:
                continue
            keys = [PaneKey(one.group, one.cell, "a", EVERYTHING)]
            if one.time_ms != NO_TIME and one.group in group.exhibit.lasting:
                keys.append(PaneKey(one.group, one.cell, "q", one.time_ms // QUARTER_MS))
            for key in keys:
                extreme = group.shape in ("max", "min")
                known = self._sums.get(key)
                if extreme:
                    self._sums[key] = extreme_of(known, one.vector, largest=group.shape == "max")
                else:
                    self._sums[key] = _sum(known, one.vector)
                self._changed.add(key)
                frozen.append(_Stored(key, one.vector))
        return frozen

    def use(self, plan: Plan) -> None:
        """Let go of what belongs to no exhibit in use."""
        gone = [key for key in self._sums if key.group not in plan.groups]
        for key in gone:
            del self._sums[key]
        self._changed.update(gone)

    def save(self, store: Store) -> None:
        """Store what changed since the last time."""
        for key in sorted(self._changed):
            vector = self._sums.get(key)
            if vector is None:
                store.delete(_state_key(key))
            else:
                store.put(_state_key(key), _encode(vector))
        self._changed.clear()


def _sum(known: Wire | None, change: Told) -> Wire:
    total = empty_like(change)
    if known is not None:
        add(total, known)
    add(total, change)
    return dict(total) if isinstance(total, dict) else tuple(total)
