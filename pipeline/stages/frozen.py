"""Which contacts of a history nothing can change any more, and when what is told of them ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from pipeline.folds.rows import CasePart, ContactRow


class Contact(Protocol):
    """What is known of a contact: ``frozen`` says that it was the last word."""

    @property
    def row(self) -> ContactRow | CasePart | None: ...  # noqa: D102
    @property
    def frozen(self) -> bool: ...  # noqa: D102


def frozen_part(
    contacts: Mapping[str, Contact], floor_ms: int, horizon_ms: int, *, whole: bool
) -> set[str]:
    """Contacts that nothing can change any more and that no number of the others looks back to.

    They end before a silence longer than the horizon that no matter spans, or nothing comes after
    them. With ``whole`` all or none are.
    """
    told = [(name, known) for name, known in contacts.items() if known.row is not None]
    told.sort(key=lambda one: begin_ms(one[1].row))
    found: set[str] = set()
    reached_ms = 0
    for place, (_, known) in enumerate(told):
        if not known.frozen or reach_ms(known.row) >= floor_ms:
            break
        reached_ms = max(reached_ms, reach_ms(known.row))
        later = told[place + 1 :]
        silent = not whole and later and begin_ms(later[0][1].row) - reached_ms > horizon_ms
        if not later or (silent and not _matters(told[: place + 1]) & _matters(later)):
            found = {name for name, _ in told[: place + 1]}
    if len(found) == len(told):
        return set(contacts)
    return found


def _matters(told: Iterable[tuple[str, Contact]]) -> set[str]:
    rows = (known.row for _, known in told)
    return {row.matter for row in rows if isinstance(row, ContactRow) and row.matter}


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
