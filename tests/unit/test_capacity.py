from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from pipeline.capacity import Load, Measured, Volume, plan
from pipeline.cli.main import app

MEASURED = Measured(
    events_per_interaction=10,
    cpu_us={"intake": 20, "lifecycle": 80, "exhibits": 10},
    topics={"cx.interactions": Volume(1, 400), "cx.lifecycle.changelog": Volume(0.5, 300)},
    tables={"interaction_events": Volume(1, 60), "facts_interaction": Volume(0.1, 20)},
    interaction_bytes=600,
    base_bytes=100_000_000,
    restored_keys_per_second=100_000,
    clickhouse_us=50,
)


def test_a_plan_follows_from_load_and_measurement() -> None:
    """8.64 M contacts a day are 86.4 M events: 1,000 a second, 4,000 at the peak."""
    found = plan(Load(8_640_000, horizon_days=10, stored_days=100), MEASURED)
    assert found.events_per_second == 1_000
    assert found.peak_events_per_second == 4_000
    # 4,000 x 80 us = 0.32 cores; half a core may be busy, so one worker.
    assert [(r.role, round(r.cores, 2), r.workers) for r in found.roles] == [
        ("intake", 0.08, 1), ("lifecycle", 0.32, 1), ("exhibits", 0.04, 1),
    ]  # fmt: skip
    assert found.partitions == 4
    assert found.state_keys == 86_400_000
    # 86.4 M x 600 bytes, and three workers of 100 MB.
    assert found.state_bytes == 51_840_000_000 + 300_000_000
    # 86.4 M / 3 workers / 100,000 a second.
    assert found.restore_seconds == 288
    # A day's events, three copies: 400 bytes for 7 days, 300 for the horizon of 10.
    assert found.kafka_bytes == 86_400_000 * 3 * (400 * 7 + 300 * 10)
    assert found.rows_per_day == pytest.approx(86_400_000 * 1.1)
    assert found.clickhouse_bytes == 86_400_000 * 100 * 80
    # 4,000 x 50 us.
    assert found.clickhouse_cores == 0.2


def test_more_load_takes_more_workers_and_partitions() -> None:
    """100 times as much: 32 cores of lifecycle at the peak, 64 workers at half a core each."""
    found = plan(Load(864_000_000), MEASURED)
    assert {r.role: r.workers for r in found.roles}["lifecycle"] == 64
    assert found.partitions == 128
    assert found.limit.startswith("exhibits: an exhibit lives in one partition")


def test_another_measurement_gives_another_plan(tmp_path: Path):
    def peak_cores(cpu_us: float) -> float:
        file = tmp_path / f"{cpu_us}.json"
        told = msgspec.structs.replace(MEASURED, cpu_us={"lifecycle": cpu_us})
        file.write_bytes(msgspec.json.encode(told))
        result = CliRunner().invoke(
            app, ["plan", "--interactions-per-day", "8640000", "--bench", str(file), "--json"]
        )
        assert result.exit_code == 0, result.output
        cores: float = json.loads(result.stdout)["roles"][0]["cores"]
        return cores

    assert peak_cores(80) == pytest.approx(0.32)
    assert peak_cores(160) == pytest.approx(0.64)


@pytest.mark.parametrize(("text", "said"), [(None, "make bench"), ("{}", "missing required field")])
def test_a_file_that_is_none_is_said_in_one_line(tmp_path: Path, text: str | None, said: str):
    file = tmp_path / "capacity.json"
    if text is not None:
        file.write_text(text, "utf-8")
    result = CliRunner().invoke(
        app, ["plan", "--interactions-per-day", "1000", "--bench", str(file)]
    )
    assert result.exit_code == 2
    assert said in result.output
    assert result.output.count("\n") == 1
