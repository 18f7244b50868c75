from __future__ import annotations

import json
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.docs.page import ROOT, blocks, running, wait_for
from tests.support.services import kafka_server

PAGE = ROOT / "docs" / "your-own-events.md"


def _live(folder: Path) -> None:
    """The demo tells its first values once every stage is ready."""
    told = folder / "background.txt"
    wait_for(lambda: "first KPI values" in told.read_text("utf-8"), 90, "the demo shows no values")


def _gauges(folder: Path) -> dict[str, float]:
    address = json.loads((folder / "var/run.json").read_text("utf-8"))["metrics"]
    with urlopen(address) as answer:  # noqa: S310 - an address on this machine
        lines = answer.read().decode().splitlines()
    return {
        line.split('as="')[1].partition('"')[0]: float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith("cx_exhibit_value{") and 'queue="*"' in line and 'window="all"' in line
    }


def _follow_the_page(folder: Path, environment: dict[str, str]) -> None:
    with running(folder, _live) as runner:
        runner.environment.update(environment)
        assert runner.run(blocks(PAGE)) == 4 - len(runner.missing[:1])
        if not runner.missing:
            assert _gauges(folder) == {"offered": 2.0, "asa": 12.0, "aht": 240.0}


def test_the_page_works_with_the_broker_in_the_process(tmp_path):
    _follow_the_page(tmp_path, {})


@pytest.mark.kafka
def test_the_page_works_with_a_real_kafka(tmp_path):
    with kafka_server() as kafka:
        _follow_the_page(tmp_path, {"CXSTREAM_BOOTSTRAP": kafka.bootstrap})
