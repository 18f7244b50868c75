"""Slim rows that travel to a history whose key may change: withdrawn there, told here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import msgspec

from pipeline.kpi.ledger import digest_of


class Sent(msgspec.Struct, frozen=True, array_like=True):
    """Which history was last told of a row, and a digest of what it was told."""

    key: str
    digest: int


RowT = TypeVar("RowT")


def tell(
    known: Mapping[str, Sent],
    rows: Mapping[str, tuple[str, RowT]],
    send: Callable[[str, str, RowT | None], None],
) -> dict[str, Sent]:
    """Send what changed of ``rows``, and return what is known from now on.

    ``rows`` are keys of histories and rows by id. ``send`` takes key, id and row; a row that moved
    or is gone is withdrawn first, with None.
    """
    new = {name: Sent(key, digest_of(row)) for name, (key, row) in rows.items()}
    for name, old in known.items():
        sent = new.get(name)
        if sent is None or sent.key != old.key:
            send(old.key, name, None)
    for name, sent in new.items():
        if known.get(name) != sent:
            send(sent.key, name, rows[name][1])
    return new


GENERATION_BIT: Final = 60
TOLD_MAX: Final = 2**18 - 1
MOVES_MAX: Final = 2**10 - 1
HISTORY_MAX: Final = 2**28 - 1


def told(version: int) -> int:
    """How much is known of a row that travels: distinct events, then the timers that are due.

    An event may take timers back, so it counts for more than they do.
    """
    return (version >> 16 & 0xFFFF_FFFF) * 16 + min(version & 0xFFFF, 15)


def generation_of(version: int) -> int:
    """In which generation of the log a row was told."""
    return version >> GENERATION_BIT


def version_of(
    code: int,
    version: int,
    history: int,
    *,
    moves: int = 0,
    withdrawn: bool = False,
) -> int:
    """Version of a fact of a row that travels, comparable with those of any other history.

    A row that turns out to be another history's is withdrawn here and told there, in any order. So
    what is known of the row itself (``version``) decides first, then how often it has ``moved`` by
    links, and what is known of its history only among facts of one history: generation of the log
    (4 bits), rules (4 bits), row (18 bits), moves (10 bits), history (28 bits).
    """
    known = told(version)
    if withdrawn:
        # Whatever the new history says of this row comes after the withdrawal.
        known, moves, history = known - 1, MOVES_MAX, HISTORY_MAX
    numbers = (known, TOLD_MAX), (moves, MOVES_MAX), (history, HISTORY_MAX)
    known, moves, history = (min(number, most) for number, most in numbers)
    return history_version(code, generation_of(version), history) | known << 38 | moves << 28


def history_version(code: int, generation: int, history: int) -> int:
    """Version of a fact of a history that never moves: generation, rules, what is known of it."""
    return generation << GENERATION_BIT | code << 56 | min(history, HISTORY_MAX)
