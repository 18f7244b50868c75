"""Draws ``docs/performance.svg`` of the result files under ``var/bench``.

    python -m tests.bench.plot

One panel a part that was measured: bars of CPU an event beside the plain loop's, histograms of
latency, and a line of goals. A panel whose file is not there is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

import msgspec

from tests.bench.report import FOLDER, Histogram, Report, Row

FILE: Final = Path(__file__).resolve().parents[2] / "docs" / "performance.svg"
PARTS: Final = ("layer", "product", "sink", "peers", "latency", "growth")
_WIDTH: Final = 860
_LABELS: Final = 330
_BAR: Final = 16
_STEP: Final = 22
_STYLE: Final = """\
text { font: 12px system-ui, sans-serif; fill: #24292f; }
.title { font-size: 14px; font-weight: 600; }
.number { fill: #57606a; }
.bar { fill: #2f6f9f; }
.plain { fill: #8c959f; }
"""


class Bar(NamedTuple):
    """One bar: what it is of, how long, and what stands behind it."""

    label: str
    value: float
    told: str
    plain: bool = False


class Panel(NamedTuple):
    """Bars under one title."""

    title: str
    bars: Sequence[Bar]


def panels(reports: Iterable[Report]) -> list[Panel]:
    """What is drawn of reports, part by part."""
    found = []
    for report in reports:
        if any(row.cpu_us for row in report.rows) and report.part != "latency":
            title = f"{report.part}: CPU microseconds an event, and ratio to the plain loop"
            found.append(Panel(title, [_bar(row) for row in report.rows]))
        found += [Panel(_title(one), _buckets(one)) for one in report.histograms]
    return found


def _bar(row: Row) -> Bar:
    ratio = "" if row.ratio is None else f", {row.ratio:.2f}"
    plain = row.name == "plain loop"
    return Bar(f"{row.name}, {row.form}", row.cpu_us, f"{row.cpu_us:.2f}{ratio}", plain)


def _title(told: Histogram) -> str:
    return (
        f"{told.name}: {sum(told.counts):,} events, p50 {told.p50_seconds:.2f} s, "
        f"p99 {told.p99_seconds:.2f} s, longest {told.longest_seconds:.2f} s"
    )


def _buckets(told: Histogram) -> list[Bar]:
    ends = [f"up to {bound:g} s" for bound in told.bounds_seconds] + ["longer"]
    return [Bar(end, count, f"{count:,}") for end, count in zip(ends, told.counts, strict=True)]


def svg(drawn: Sequence[Panel]) -> str:
    """The panels below each other; bars of one panel share a scale.

    Where the longest bar is over fifty times the shortest, the scale is that of the logarithm.
    """
    parts: list[str] = []
    y = 10
    for panel in drawn:
        y += 20
        scale = " (logarithmic)" if _is_wide(panel.bars) else ""
        parts.append(f'<text class="title" x="10" y="{y}">{escape(panel.title + scale)}</text>')
        y += 12
        for bar, width in zip(panel.bars, _widths(panel.bars), strict=True):
            middle = y + _BAR - 4
            kind = "plain" if bar.plain else "bar"
            parts += (
                f'<text x="{_LABELS - 8}" y="{middle}" text-anchor="end">'
                f"{escape(bar.label)}</text>",
                f'<rect class="{kind}" x="{_LABELS}" y="{y}" width="{width:.1f}" height="{_BAR}"/>',
                f'<text class="number" x="{_LABELS + width + 6:.1f}" y="{middle}">'
                f"{escape(bar.told)}</text>",
            )
            y += _STEP
        y += 14
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{y}" '
        f'viewBox="0 0 {_WIDTH} {y}" role="img" aria-label="What the bench measured">'
    )
    ground = f'<rect width="{_WIDTH}" height="{y}" fill="#ffffff"/>'
    return "\n".join([head, f"<style>\n{_STYLE}</style>", ground, *parts, "</svg>\n"])


def _is_wide(bars: Sequence[Bar]) -> bool:
    values = [bar.value for bar in bars]
    return min(values) > 0 and max(values) > 50 * min(values)


def _widths(bars: Sequence[Bar]) -> list[float]:
    room = _WIDTH - _LABELS - 120
    longest, shortest = max(bar.value for bar in bars), min(bar.value for bar in bars)
    if not _is_wide(bars):
        return [bar.value / (longest or 1.0) * room for bar in bars]
    span = math.log(longest / shortest) + 1
    return [(math.log(bar.value / shortest) + 1) / span * room for bar in bars]


def read() -> list[Report]:
    """The reports there are, in the order they are drawn in."""
    files = [FOLDER / f"{part}.json" for part in PARTS]
    return [msgspec.json.decode(file.read_bytes(), type=Report) for file in files if file.is_file()]


if __name__ == "__main__":
    FILE.write_text(svg(panels(read())), encoding="utf-8")
