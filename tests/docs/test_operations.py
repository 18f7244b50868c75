from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.page import ROOT, blocks, running, wait_for
from tests.support.services import clickhouse_server, kafka_server

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]


def _stages_ready(folder: Path) -> None:
    """Every stage says of each of its partitions that it is ready: nine topics are read, of two."""
    told = folder / "background.txt"
    wait_for(
        lambda: told.read_text("utf-8").count('"event": "partition_ready"') >= 16,
        60,
        "the worker does not take its partitions",
    )


def test_the_first_start_on_a_kafka(tmp_path):
    with kafka_server() as kafka, clickhouse_server() as clickhouse:
        with running(tmp_path, _stages_ready) as runner:
            runner.environment.update(
                CXSTREAM_BOOTSTRAP=kafka.bootstrap,
                CXSTREAM_PARTITIONS="2",
                CXSTREAM_CLICKHOUSE_PORT=str(clickhouse.http_port),
                CXSTREAM_CLICKHOUSE_USER=clickhouse.user,
                CXSTREAM_CLICKHOUSE_PASSWORD=clickhouse.password,
            )
            assert runner.run(blocks(ROOT / "docs" / "operations.md")) == 1
        log = (tmp_path / "background.txt").read_text("utf-8")
    assert '"event": "worker_started"' in log
    assert '"event": "worker_stopping"' in log
    assert '"event": "stage_failed"' not in log
    assert (tmp_path / "var/identity.key").stat().st_mode & 0o777 == 0o600
