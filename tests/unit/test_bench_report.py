"""The benchmark's findings, which other tools read from their file."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import msgspec
import pytest

from tests.bench import report
from tests.bench.harness import Measurement
from tests.bench.plot import Bar, Panel, panels, svg
from tests.bench.report import Goal, Histogram, Report, median_row

PLAIN = [Measurement(1_000_000, 4.0, seconds, 100) for seconds in (2.0, 4.0, 2.5)]
LAYER = [Measurement(1_000_000, 5.0, seconds, 200) for seconds in (3.0, 4.4, 5.0)]


def test_a_ratio_is_taken_within_each_round():
    row = median_row("layer", "few", "exactly once", LAYER, PLAIN)
    # 3.0 / 2.0 = 1.5, 4.4 / 4.0 = 1.1, 5.0 / 2.5 = 2.0: the median is 1.5.
    assert (row.ratio, row.cpu_us, row.runs) == (pytest.approx(1.5), pytest.approx(4.4), 3)
    assert row.cpu_us_of_runs == pytest.approx([3.0, 4.4, 5.0])
    assert row.rate == 200_000
    assert row.peak_rss_bytes == 200


def test_goals_are_bounds_from_above_or_below():
    assert Goal("cpu", 1.7, 1.7, at_most=True).reached
    assert not Goal("cpu", 1.7, 1.71, at_most=True).reached
    assert Goal("keys", 150_000, 150_000, at_most=False).reached
    assert not Goal("keys", 150_000, 149_999, at_most=False).reached


def test_the_file_is_what_tools_read(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "FOLDER", tmp_path)
    row = median_row("layer", "few", "exactly once", LAYER, PLAIN)
    goal = Goal("cpu", 1.7, 1.5, at_most=True)
    file = Report.of("layer", 1_000_000, [row], [goal]).write()
    assert file == tmp_path / "layer.json"
    told = msgspec.json.decode(file.read_bytes())
    assert told["schema"] == 1
    assert (told["part"], told["events"]) == ("layer", 1_000_000)
    assert sorted(told["machine"]) == ["architecture", "cpus", "python"]
    assert told["goals"] == [{"name": "cpu", "limit": 1.7, "measured": 1.5, "at_most": True}]
    assert [(r["name"], r["form"], r["cpu_us"]) for r in told["rows"]] == [
        ("layer", "few", pytest.approx(4.4))
    ]


def test_a_histogram_counts_by_upper_bounds_and_ranks_are_times_that_were_measured():
    # 100 times, 0.01 to 1.00 s: the 50th is 0.5 and the 99th 0.99.
    told = Histogram.of("event to gauge", [n / 100 for n in range(100, 0, -1)])
    assert (told.p50_seconds, told.p99_seconds, told.longest_seconds) == (0.5, 0.99, 1.0)
    assert told.bounds_seconds[:5] == [0.1, 0.2, 0.3, 0.4, 0.5]
    # A time equal to a bound belongs below it: ten in each of the first five, 25 more to 0.75.
    assert told.counts == [10, 10, 10, 10, 10, 25, 25, 0, 0, 0, 0, 0, 0]
    assert Histogram.of("one", [11.0]).counts[-1] == 1


def test_the_plot_has_a_bar_a_row_and_a_bucket():
    row = median_row("layer <new>", "few", "exactly once", LAYER, PLAIN)
    plain = median_row("plain loop", "few", "", PLAIN, PLAIN)
    layer = Report.of("layer", 1_000_000, [plain, row])
    latency = Report.of("latency", 10, [row], histograms=[Histogram.of("gauge", [0.05, 0.15, 0.2])])
    drawn = panels([layer, latency])
    assert [len(panel.bars) for panel in drawn] == [2, 13]
    assert [bar.value for bar in drawn[1].bars][:3] == [1, 2, 0]
    root = ElementTree.fromstring(svg(drawn))  # noqa: S314 - made here
    space = "{http://www.w3.org/2000/svg}"
    bars = [b for b in root.iter(f"{space}rect") if b.get("class")]
    assert len(bars) == 15
    # 4.4 us is the longest: 860 - 330 - 120 = 410 wide. The plain loop's 2.5 us are 232.95.
    assert [(b.get("class"), b.get("width")) for b in bars[:2]] == [
        ("plain", "233.0"),
        ("bar", "410.0"),
    ]
    assert "layer <new>, few" in {text.text for text in root.iter(f"{space}text")}


def test_very_different_bars_are_drawn_by_their_logarithm_and_say_so():
    # e**5 times as long is ln + 1 = 6 to 1: a sixth of 410.
    text = svg([Panel("peers", [Bar("a", 1.0, "1"), Bar("b", math.exp(5), "148")])])
    assert "peers (logarithmic)" in text
    assert 'width="68.3"' in text
