"""Runs ``recompute.sql`` and compares cells; the numbers come from ClickHouse alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from clickhouse_connect.driver.client import Client

SCRIPT = Path(__file__).with_name("recompute.sql")
ZONE = "Asia/Kolkata"
"""Time zone of the exhibit of truth.yaml."""
COHORTS = ("fcr_repeat", "fcr_repeat_any")


class Cell(NamedTuple):
    """One number: ``start_ms`` is 0 where the window moves with the clock or holds everything."""

    name: str
    reading: str
    kind: str
    size: str
    start_ms: int
    queue: str


Fraction = tuple[int | None, int | None]
"""Numerator and denominator; a gauge has no denominator."""


def recomputed(
    client: Client, events: str, as_of_ms: int, scratch: str, zone: str = ZONE
) -> dict[Cell, Fraction]:
    """Cells as the script computes them, with its tables left in the database ``scratch``.

    Args:
        client: A client that may make databases.
        events: Table of events, with its database.
        as_of_ms: The clock.
        scratch: Made anew.
        zone: Time zone of local days.
    """
    client.command(f"DROP DATABASE IF EXISTS {scratch}")
    client.command(f"CREATE DATABASE {scratch}")
    source, table = events.split(".")
    made = client.database
    try:
        client.database = scratch
        for statement in _statements():
            client.command(
                statement,
                parameters={
                    "source": source, "events": table, "as_of_ms": as_of_ms, "zone": zone,
                },
                settings={"prefer_column_name_to_alias": 1},
            )  # fmt: skip
        rows = client.query(
            "SELECT name, reading, kind, size, start_ms, cell, numerator, denominator"
            " FROM recomputed"
        ).result_rows
    finally:
        client.database = made
    found = {Cell(*row[:6]): (row[6], row[7]) for row in rows}
    assert len(found) == len(rows)
    return found


def published(client: Client, exhibit: str = "truth") -> dict[Cell, Fraction]:
    """Cells as they stand in the view ``kpis``."""
    rows = client.query(
        "SELECT `as`, state, window_kind, window_size, window_start, dimensions['queue'],"
        " numerator, denominator FROM kpis WHERE exhibit = {exhibit:String}",
        parameters={"exhibit": exhibit},
    ).result_rows
    found: dict[Cell, Fraction] = {}
    for name, state, kind, size, start, queue, numerator, denominator in rows:
        reading = ""
        if name in COHORTS:
            reading = "provisional" if state == "provisional" else "final"
        cell = Cell(name, reading, kind, size, _start_ms(kind, start), queue)
        assert cell not in found
        found[cell] = (numerator, denominator)
    return found


def _start_ms(kind: str, start: datetime | None) -> int:
    if start is None or kind in ("all", "sliding"):
        return 0
    return round(start.timestamp() * 1000)


def differences(
    found: Mapping[Cell, Fraction], expected: Mapping[Cell, Fraction]
) -> dict[Cell, tuple[Fraction | None, Fraction | None]]:
    """Cells that are not alike, with both sides; None where a side has no such row."""
    return {
        cell: (found.get(cell), expected.get(cell))
        for cell in {*found, *expected}
        if found.get(cell) != expected.get(cell)
    }


def told(different: Mapping[Cell, object], limit: int = 20) -> str:
    """The first differences, for whoever has to find the reason."""
    lines = [f"{cell}: {different[cell]}" for cell in sorted(different)[:limit]]
    names = sorted({f"{cell.name}/{cell.kind}" for cell in different})
    return "\n".join([f"{len(different)} cells differ, in {', '.join(names)}", *lines])


def _statements() -> list[str]:
    text = re.sub(r"^\s*--.*$", "", SCRIPT.read_text("utf-8"), flags=re.MULTILINE)
    return [statement for part in text.split(";\n") if (statement := part.strip())]
