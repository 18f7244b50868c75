"""The benchmark's findings, which other tools read from their file."""

from __future__ import annotations

import msgspec
import pytest

from tests.bench import report
from tests.bench.harness import Measurement
from tests.bench.report import Goal, Report, median_row

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
