"""Backup and restore as docs/deploy.md says it: ClickHouse is lost, then Kafka is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.embedded.kafka import POM, KafkaServer
from pipeline.simulator import Simulator, SimulatorConfig
from tests.docs.page import ROOT, Block, Runner, blocks, running
from tests.integration.site import Site, site
from tests.integration.warehouse import client_of
from tests.support.services import clickhouse_server, kafka_server

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]

DATABASE = "kept"
_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
VALUES = """
SELECT exhibit, `as`, window_kind, window_start, dimensions, numerator, denominator, state, revision
FROM kpis ORDER BY ALL
"""
"""All numbers; last come what a second run need not repeat: whether a bucket was restated."""


def steps() -> dict[str, Block]:
    """Blocks of the page by their names."""
    return {block.how: block for block in blocks(ROOT / "docs" / "deploy.md")}


def group_tool(kafka: KafkaServer, folder: Path) -> None:
    """Kafka's kafka-consumer-groups.sh; its jar is none of a broker's, so Maven brings it."""
    jars = ROOT / ".cache" / "kafka-tools"
    if not list(jars.glob("*.jar")):
        done = subprocess.run(
            ["mvn", "-q", "-f", str(POM), f"{_PLUGIN}:copy", f"-DoutputDirectory={jars}",
             f"-Dartifact=org.apache.kafka:kafka-tools:{_version()}"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
    java = " ".join(f"'{part}'" for part in kafka._java_command()[:-1])
    path = f"{jars}/*:{kafka._java_command()[-1]}"
    tool = folder / "kafka-consumer-groups.sh"
    main = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
    tool.write_text(f"#!/bin/sh\nexec {java} '{path}' {main} \"$@\"\n")
    tool.chmod(0o755)


def _version() -> str:
    found = re.search(r"<artifactId>kafka_2.13</artifactId>\s*<version>([^<]+)", POM.read_text())
    assert found is not None
    return found[1]


def settle(place: Site, at_ms: int) -> None:
    """Let everything be counted as of a clock, and be written."""
    worker = place.workers[-1]
    place.drain(300, alive=[worker], roles=("intake", "lifecycle"))
    place.tick(at_ms)
    place.drain(300, alive=[worker])


def follow(runner: Runner, block: Block) -> None:
    assert runner.run([block]) == 0


def test_backup_and_restore(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    page = steps()
    assert [*page] == ["backup", "restore", "set back", "rebuild"]
    now_ms = time.time_ns() // 1_000_000
    center = Simulator(
        SimulatorConfig(events_per_second=2, daily_curve=(1.0,) * 24, keep_truth=False),
        7, now_ms - 1_800_000, "backup",
    )  # fmt: skip
    events = list(center.generate(now_ms))
    half = len(events) // 2

    with kafka_server() as kafka, clickhouse_server() as clickhouse, running(tmp_path) as runner:

        def values(query: str = VALUES) -> list[Any]:
            with client_of(clickhouse, DATABASE) as client:
                return list(client.query(query).result_rows)

        with site(kafka.bootstrap, tmp_path, clickhouse=clickhouse, database=DATABASE) as place:
            runner.environment.update(
                {k: v for k, v in place.environment.items() if k.startswith("CXSTREAM_")}
            )
            tools = tmp_path / "tools"
            tools.mkdir()
            group_tool(kafka, tools)
            # Python's folder first, as the runner has it; then Kafka's tools.
            runner.environment["PATH"] = os.pathsep.join(
                [str(Path(sys.executable).parent), str(tools), os.environ["PATH"]]
            )
            runner.environment["BEFORE_THE_BACKUP"] = (
                datetime.now(UTC) - timedelta(minutes=5)
            ).strftime("%Y-%m-%dT%H:%M:%S.000")
            worker = place.worker()
            feed(place, events[:half])
            settle(place, now_ms)
            follow(runner, page["backup"])
            feed(place, events[half:])
            settle(place, now_ms + 1_000)
            before = values()
            assert len(before) > 100
            assert worker.stop() == 0

            with client_of(clickhouse, "default") as client:
                client.command(f"DROP DATABASE {DATABASE} SYNC")
            follow(runner, page["restore"])
            assert values() != before  # what came after the backup is not in it
            follow(runner, page["set back"])
            worker = place.worker()
            place.drain(300, alive=[worker])
            assert values() == before
            assert worker.stop() == 0

        with client_of(clickhouse, DATABASE) as client:
            client.command("TRUNCATE TABLE kpi_values SYNC")
        numbers = sorted(map(repr, (row[:-2] for row in before)))
        with (
            kafka_server() as other,
            site(
                other.bootstrap, tmp_path_factory.mktemp("other"), clickhouse=clickhouse,
                database=DATABASE,
            ) as place,
        ):  # fmt: skip
            runner.environment["CXSTREAM_BOOTSTRAP"] = other.bootstrap
            since = datetime.now(UTC) - timedelta(days=35)
            runner.environment["THIRTY_FIVE_DAYS_AGO"] = since.isoformat()
            follow(runner, page["rebuild"])
            place.worker()
            settle(place, now_ms + 1_000)
            assert sorted(map(repr, (row[:-2] for row in values()))) == numbers


def feed(place: Site, events: list[dict[str, Any]]) -> None:
    for event in events:
        place.produce(json.dumps(event).encode(), event["interaction_id"].encode())
    place.flush()
