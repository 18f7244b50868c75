"""What trials found, told as one table when all have ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.faults.checker import Outcome

Row = tuple[str, ...]

HEAD: Row = ("trial", "what hit", "events", "letters", "facts", "values", "digest", "MB", "s")
FOUND: list[Row] = []
"""Rows of trials that have ended and are not told yet, in their order."""


def row(
    name: str,
    evidence: Mapping[str, int],
    reference: Outcome,
    outcome: Outcome,
    peak_mb: float,
    seconds: float,
) -> Row:
    """One trial: the faults that hit, and of each count the reference before the result."""
    sizes = zip(reference.sizes().values(), outcome.sizes().values(), strict=True)
    return (
        name,
        ", ".join(f"{what} {count}" for what, count in evidence.items()) or "nothing",
        *(f"{expected} {found}" for expected, found in sizes),
        f"{reference.digest()} {outcome.digest()}",
        f"{peak_mb:.0f}",
        f"{seconds:.0f}",
    )


def table(rows: Sequence[Row]) -> list[str]:
    """Lines of the table."""
    lines = [HEAD, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
