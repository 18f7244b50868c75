"""Accumulators: integer sums by place (a sequence) or by name (a dict), added and taken back."""

from __future__ import annotations

from collections.abc import Sequence
from operator import add as _plus
from operator import sub as _minus

Places = list[int]
Names = dict[str, int]
Vector = Places | Names
Told = Sequence[int] | dict[str, int]
Wire = tuple[int, ...] | dict[str, int]
"""A vector as it travels; what has names stays a mapping."""


def empty_like(told: Told) -> Vector:
    """A vector of nothing that ``told`` can be added to."""
    return {} if isinstance(told, dict) else [0] * len(told)


def add(vector: Vector, change: Told, sign: int = 1) -> None:
    """Add ``sign`` times ``change`` to ``vector``; names that come to 0 are dropped."""
    if isinstance(vector, list):
        if isinstance(change, dict):
            raise TypeError("sums by name cannot be added to sums by place")
        if len(change) != len(vector):
            raise TypeError(f"{len(change)} sums cannot be added to {len(vector)}")
        vector[:] = map(_plus if sign == 1 else _minus, vector, change)
        return
    if not isinstance(change, dict):
        raise TypeError("sums by place cannot be added to sums by name")
    for name, number in change.items():
        total = vector.get(name, 0) + sign * number
        if total:
            vector[name] = total
        else:
            vector.pop(name, None)


def change(old: Told | None, new: Told) -> Vector:
    """What has to be added to ``old`` to make it ``new``; a ``new`` of nothing may have no places.

    One of the two counts something.
    """
    if old is None:
        return _copied(new)
    found = empty_like(old)
    if not is_empty(new):
        add(found, new)
    add(found, old, -1)
    return found


def _copied(told: Told) -> Vector:
    return dict(told) if isinstance(told, dict) else list(told)


def is_empty(told: Told) -> bool:
    """Whether nothing is counted."""
    return not any(told.values()) if isinstance(told, dict) else not any(told)
