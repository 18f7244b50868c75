"""Sessions of one performer: each stint on a contact, and its part of the performer's time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise

from pipeline.folds.performances import StintRow
from schemas.facts import Session


def sessions(stints: Mapping[str, StintRow]) -> Iterator[tuple[str, Session]]:
    """A session for each stint on a contact, with the id of the stint."""
    contacts = {name: stint for name, stint in stints.items() if stint.is_contact}
    shares = pro_rata(contacts)
    for name in sorted(contacts):
        stint = contacts[name]
        closed_ms = stint.closed_ms
        yield (
            name,
            Session(
                header=stint.header,
                accepted_ms=stint.accepted_ms,
                closed_ms=closed_ms,
                session_ms=None if closed_ms is None else closed_ms - stint.accepted_ms,
                pro_rata_ms=None if closed_ms is None else shares[name],
            ),
        )


def pro_rata(stints: Mapping[str, StintRow]) -> dict[str, int]:
    """Milliseconds of the performer's busy time that are each stint's, as far as known ends reach.

    Each instant is shared equally by the stints open at it. Where milliseconds do not divide, those
    left over go to the stints with the largest fractions still owed to them, then by beginning and
    id: so shares are whole, and sum to the union of all stints exactly.
    """
    order = sorted(stints, key=lambda name: (stints[name].accepted_ms, name))
    bounds = sorted(
        {at for s in stints.values() for at in (s.accepted_ms, s.closed_ms) if at is not None}
    )
    shares: dict[str, int] = defaultdict(int)
    owed: dict[str, int] = defaultdict(int)
    opened = 0
    active: list[str] = []
    for begin_ms, end_ms in pairwise(bounds):
        while opened < len(order) and stints[order[opened]].accepted_ms <= begin_ms:
            active.append(order[opened])
            opened += 1
        active = [name for name in active if _open_at(stints[name], begin_ms)]
        if not active:
            continue
        whole, rest = divmod(end_ms - begin_ms, len(active))
        for name in active:
            shares[name] += whole
            owed[name] += rest * _WHOLE // len(active)
        for name in sorted(active, key=lambda name: -owed[name])[:rest]:
            shares[name] += 1
            owed[name] -= _WHOLE
    return shares


_WHOLE = 1_000_000
"""A millisecond, where fractions of it are remembered."""


def _open_at(stint: StintRow, at_ms: int) -> bool:
    return stint.closed_ms is None or stint.closed_ms > at_ms
