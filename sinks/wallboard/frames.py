"""What the page is told: the records of the stream, and which of them a page has chosen."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import msgspec

from schemas.values import State, Status, Unit, WindowRef
from sinks.wallboard.silence import SilentSource

FreshnessState = Literal["live", "stale", "waiting"]

SEVERITY: Final[dict[Status, int]] = {
    "missed": 0, "trending": 1, "met": 2, "n_below_min": 3, "undefined": 4, "no_target": 5,
}  # fmt: skip
"""Order of tiles, the worst first."""


class Selection(NamedTuple):
    """What a page shows; None and empty choose what the exhibit itself suggests.

    Attributes:
        dimensions: Names and values of one cell, sorted by name; those left out are totals.
    """

    exhibit: str | None = None
    window: str | None = None
    dimensions: tuple[tuple[str, str], ...] = ()


class Freshness(msgspec.Struct, frozen=True):
    """Whether an exhibit's values may be read as current.

    Attributes:
        as_of_ms: Clock of the values, None before the first tick.
        reason: In words, why they may not; empty while they may.
    """

    state: FreshnessState
    as_of_ms: int | None = None
    reason: str = ""


class Other(msgspec.Struct, frozen=True):
    """The second reading of a cohort: provisional beside final."""

    state: State
    value: float | int | None
    n: int | None


class LastWeek(msgspec.Struct, frozen=True):
    """The value of ``[start_ms, end_ms)``, which stands for the same window a week ago."""

    value: float | int | None
    start_ms: int
    end_ms: int


class Compared(msgspec.Struct, frozen=True):
    """What a value is compared with, where it is known.

    Attributes:
        forecast: What was planned for the part of the window that has passed.
    """

    last_week: LastWeek | None = None
    forecast: float | None = None


class FloorRow(msgspec.Struct, frozen=True):
    """Performers of one cell by state: how many, and the longest in it in seconds."""

    cell: tuple[str, ...]
    counts: dict[str, int]
    longest: dict[str, float]


class Tile(msgspec.Struct, frozen=True):
    """One KPI in one cell and window, in base units.

    Attributes:
        id: Exhibit and name of the KPI's rows, unique on the page.
        label: Name of the rows where it differs from the KPI's.
        target: Ends of the range, each None where it is open; None without a target.
        shortfall: Distance from the target over the size of its nearer bound; 0 where it is met.
    """

    id: str
    exhibit: str
    name: str
    title: str
    label: str
    unit: Unit
    value: float | int | None
    n: int | None
    low: float | None
    high: float | None
    target: tuple[float | None, float | None] | None
    status: Status
    state: State
    revision: int
    window: WindowRef
    other: Other | None = None
    shortfall: float = 0.0
    compared: Compared | None = None


class Section(msgspec.Struct, frozen=True):
    """One exhibit: its tiles, the worst first, or why there are none.

    Attributes:
        cells: Cells that have values, as values of ``by`` in its order.
        silent: Why no tile is shown; empty if tiles are.
        silent_sources: Sources that the numbers rest on, and that are not heard any more.
        floor: Performers by cell, of an exhibit that asks for them; the total first.
    """

    exhibit: str
    title: str
    version: int
    time_zone: str
    by: tuple[str, ...]
    windows: tuple[str, ...]
    window: str
    cells: list[tuple[str, ...]]
    freshness: Freshness
    silent: str
    silent_sources: list[SilentSource]
    tiles: list[Tile]
    floor: list[FloorRow]


class BoardFrame(msgspec.Struct, frozen=True):
    """Everything a page shows, but for trends. ``exhibits`` names all there are."""

    exhibits: list[str]
    sections: list[Section]


encode: Final = msgspec.json.Encoder().encode


def event(name: str, body: bytes) -> bytes:
    """One server-sent event; ``body`` is JSON, which has no line ends."""
    return b"event: " + name.encode() + b"\ndata: " + body + b"\n\n"
