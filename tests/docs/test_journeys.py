"""docs/journeys.md: one journey, told and counted as the page says."""

from __future__ import annotations

from tests.docs.page import ROOT, blocks, running


def test_the_page_works(tmp_path):
    with running(tmp_path) as runner:
        assert runner.run(blocks(ROOT / "docs" / "journeys.md")) == 2
