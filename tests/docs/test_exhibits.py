from __future__ import annotations

from tests.docs.page import ROOT, blocks, running


def test_the_page_prints_what_it_says(tmp_path):
    with running(tmp_path) as runner:
        assert runner.run(blocks(ROOT / "docs" / "exhibits.md")) == 3
