"""What a benchmark found: a table for people, a JSON file for tools.

The file is :class:`Report` as JSON, under ``var/bench/<part>.json``: ``part`` (``layer``,
``peers``, ...), ``measured_at`` (RFC 3339, UTC), ``machine``, ``events`` (of the full work),
``rows``, ``goals`` and ``histograms``. A row is the median of its runs; ``cpu_us`` are CPU
microseconds an event, user and system, of one core, ``ratio`` is the median of each run's
``cpu_us`` over that of the yardstick's run beside it. Readers ignore fields they do not know;
``schema`` rises when one changes its meaning.
"""

from __future__ import annotations

import math
import os
import platform
import statistics
from bisect import bisect_left
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from tests.bench.harness import Measurement

FOLDER: Final = Path(__file__).resolve().parents[2] / "var" / "bench"
_MIB: Final = 2**20


class Machine(msgspec.Struct, frozen=True):
    """Where it was measured: figures of two machines are not comparable, ratios are."""

    cpus: int
    architecture: str
    python: str

    @classmethod
    def this(cls) -> Machine:
        """The machine this runs on."""
        return cls(os.cpu_count() or 1, platform.machine(), platform.python_version())


class Row(msgspec.Struct, frozen=True):
    """One contestant on one form of the work.

    Attributes:
        form: Which work: ``few``, ``many``, or what a part calls it.
        guarantee: What it promises as run.
        runs: How many runs the medians are of.
        cpu_us: CPU microseconds an event.
        cpu_us_of_runs: The same of each run, in their order.
        rate: Events a second on the wall clock; another load on the machine lowers it.
        peak_rss_bytes: Highest resident memory of all its processes together.
        ratio: CPU an event over the yardstick's; None for what has none.
    """

    name: str
    form: str
    guarantee: str
    events: int
    runs: int
    cpu_us: float
    cpu_us_of_runs: list[float]
    rate: float
    peak_rss_bytes: int
    ratio: float | None


class Goal(msgspec.Struct, frozen=True):
    """A figure that was to be reached."""

    name: str
    limit: float
    measured: float
    at_most: bool

    @property
    def reached(self) -> bool:
        """Whether it was."""
        return self.measured <= self.limit if self.at_most else self.measured >= self.limit


BOUNDS_SECONDS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)


class Histogram(msgspec.Struct, frozen=True):
    """How long something took, many times over.

    Attributes:
        bounds_seconds: Upper ends of the buckets; the last bucket has none.
        counts: How many lie in each bucket, one more than there are bounds.
    """

    name: str
    bounds_seconds: list[float]
    counts: list[int]
    p50_seconds: float
    p99_seconds: float
    longest_seconds: float

    @classmethod
    def of(cls, name: str, seconds: Sequence[float]) -> Histogram:
        """Of measured times, of which there is at least one."""
        ordered = sorted(seconds)
        counts = [0] * (len(BOUNDS_SECONDS) + 1)
        for one in ordered:
            counts[bisect_left(BOUNDS_SECONDS, one)] += 1

        def rank(share: float) -> float:
            return ordered[max(math.ceil(share * len(ordered)), 1) - 1]

        return cls(name, list(BOUNDS_SECONDS), counts, rank(0.5), rank(0.99), ordered[-1])


class Report(msgspec.Struct, frozen=True):
    """One part's findings."""

    part: str
    measured_at: datetime
    machine: Machine
    events: int
    rows: list[Row]
    goals: list[Goal]
    schema: int = 1
    histograms: list[Histogram] = []

    @classmethod
    def of(
        cls,
        part: str,
        events: int,
        rows: list[Row],
        goals: Sequence[Goal] = (),
        histograms: Sequence[Histogram] = (),
    ) -> Report:
        """A report of now and here."""
        now = datetime.now(UTC).replace(microsecond=0)
        return cls(
            part, now, Machine.this(), events, rows, list(goals), histograms=list(histograms)
        )

    def write(self) -> Path:
        """Write the file, over that of an earlier run."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        file = FOLDER / f"{self.part}.json"
        file.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")
        return file

    def show(self, console: Console) -> None:
        """Print the table, and each goal with whether it was reached."""
        table = Table("contestant", "work", title=f"{self.part}, {self.events:,} events")
        for heading in ("runs", "CPU s/M", "ratio", "events/s", "MiB"):
            table.add_column(heading, justify="right")
        table.add_column("guarantee as run")
        for row in self.rows:
            table.add_row(
                row.name, row.form, str(row.runs), f"{row.cpu_us:.2f}",
                "" if row.ratio is None else f"{row.ratio:.2f}", f"{row.rate:,.0f}",
                f"{row.peak_rss_bytes / _MIB:,.0f}", row.guarantee,
            )  # fmt: skip
        console.print(table)
        for told in self.histograms:
            ends = [f"up to {bound:g} s" for bound in told.bounds_seconds] + ["longer"]
            of = Table("seconds", "count", title=told.name)
            for end, count in zip(ends, told.counts, strict=True):
                of.add_row(end, str(count))
            console.print(of)
        for goal in self.goals:
            bound = "at most" if goal.at_most else "at least"
            verdict = "reached" if goal.reached else "MISSED"
            console.print(f"{verdict}: {goal.name}: {goal.measured:,.2f} ({bound} {goal.limit:g})")


def median_row(
    name: str,
    form: str,
    guarantee: str,
    runs: Sequence[Measurement],
    yardstick: Sequence[Measurement] | None = None,
) -> Row:
    """The medians of ``runs``; each is compared with the yardstick's run of the same round."""
    ratio = None
    if yardstick is not None:
        pairs = zip(runs, yardstick, strict=False)
        ratio = statistics.median(run.cpu_us / plain.cpu_us for run, plain in pairs)
    return Row(
        name, form, guarantee, runs[0].events, len(runs),
        cpu_us=statistics.median(run.cpu_us for run in runs),
        cpu_us_of_runs=[run.cpu_us for run in runs],
        rate=statistics.median(run.rate for run in runs),
        peak_rss_bytes=max(run.peak_rss_bytes for run in runs),
        ratio=ratio,
    )  # fmt: skip
