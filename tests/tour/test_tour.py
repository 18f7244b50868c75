"""docs/tour.md, block by block."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.page import ROOT, blocks, running, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse, pytest.mark.prometheus]

READY = ("first KPI values", "Server is ready to receive web requests")


def _ready(folder: Path) -> None:
    """The demo shows values; Prometheus answers."""
    told = folder / "background.txt"
    wait_for(
        lambda: any(words in told.read_text("utf-8") for words in READY),
        300,
        "what was started does not get ready",
    )


def test_the_first_hour(tmp_path: Path) -> None:
    with running(tmp_path, _ready) as runner:
        assert runner.run(blocks(ROOT / "docs" / "tour.md")) == 8
