"""What a key has published: row by row, with what each row added to panes.

The ledger is part of the key's durable record. Comparing it with newly folded rows gives what must
be told: changed rows, rows that no longer exist, and contributions to take back and to add.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from pipeline.folds.rows import Row
from pipeline.kpi.group import Contribution
from pipeline.kpi.panes import Panes
from pipeline.kpi.plan import Plan


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One published row: its kind, a digest of its content, and what it added to panes."""

    kind: str
    digest: int
    contributions: tuple[Contribution, ...] = ()


Ledger = dict[str, Entry]


class Changes(NamedTuple):
    """Rows to publish, and ids with kinds of rows to publish as deleted."""

    rows: list[Row]
    deleted: list[tuple[str, str]]


def settle(
    ledger: Ledger,
    rows: Iterable[Row],
    plan: Plan,
    panes: Panes,
    as_of_ms: int,
    span_ms: int,
    *,
    recount: bool = False,
    stands_until_ms: int | None = None,
) -> tuple[Ledger, Changes, int | None]:
    """Bring ``panes`` to ``rows`` and return the new ledger and what has to be told.

    With ``recount`` the old ledger was counted by another plan. ``span_ms`` is how far what is
    clipped has grown: the clock, or earlier. ``stands_until_ms``, if it is known, is the next
    moment at which time alone changes a contribution of the old ledger. The third value is that of
    the new one, if there is such a moment.
    """
    new: Ledger = {}
    changes = Changes([], [])
    due_ms: int | None = None
    stands = not recount and stands_until_ms is not None and as_of_ms < stands_until_ms
    for row in rows:
        old = ledger.get(row.fact_id)
        digest = digest_of(row.fact)
        if old is None or old.digest != digest:
            changes.rows.append(row)
        elif not recount and not plan.is_timed(row.kind):
            new[row.fact_id] = old
            continue
        if stands and old is not None and old.digest == digest:
            new[row.fact_id] = old
        else:
            contributions = plan.contributions(row.kind, row.fact, as_of_ms, span_ms)
            before = old.contributions if old is not None else ()
            if before != contributions:
                panes.change(before, contributions, corrects=not recount)
            new[row.fact_id] = Entry(row.kind, digest, contributions)
        row_due_ms = plan.due_ms(row.kind, row.fact, as_of_ms, span_ms)
        if row_due_ms is not None and (due_ms is None or row_due_ms < due_ms):
            due_ms = row_due_ms
    for fact_id, entry in ledger.items():
        if fact_id not in new:
            panes.change(entry.contributions, (), corrects=not recount)
            changes.deleted.append((fact_id, entry.kind))
    return new, changes, due_ms


def digest_of(told: object) -> int:
    """56 bits that differ where the content differs."""
    content = msgspec.msgpack.encode(told)
    return int.from_bytes(hashlib.blake2b(content, digest_size=7).digest(), "big")
