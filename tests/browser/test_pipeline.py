"""The wallboard of a running demonstration: events in at one end, a page at the other."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from tests.integration.process import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.clickhouse]

EXHIBIT = """
exhibit: desk
by: [queue]
windows: [15m, 1h]
kpis:
  - {kpi: abandon_rate, target: "<= 0.40"}
  - {kpi: offered}
"""
LABEL = "document.querySelector('[data-id=\"desk/abandon_rate\"]')?.getAttribute('aria-label')"


class Demo:
    """A demonstration without a simulator, fed by the test."""

    def __init__(self, folder: Path) -> None:
        exhibit = folder / "desk.yaml"
        exhibit.write_text(EXHIBIT, "utf-8")
        data = folder / "var"
        command = Path(sys.executable).with_name("cxstream")
        self.log = folder / "demo.log"
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [str(command), "demo", "--no-simulate", "--data", str(data),
                 "--exhibit", str(exhibit)],
                stdout=out, stderr=subprocess.STDOUT, cwd=folder,
            )  # fmt: skip
        try:
            where = wait_for(lambda: self._where(data / "run.json"), "the demonstration", 60)
        except AssertionError:
            self.end()
            raise
        self.address = where["wallboard"]
        self._producer = Producer({"bootstrap.servers": where["kafka"], "log_level": 0})
        self._numbers = itertools.count(1)

    def _where(self, run: Path) -> Any:
        """What it says of itself, once it does."""
        assert self.process.poll() is None, self.log.read_text("utf-8")
        return json.loads(run.read_text("utf-8")) if run.exists() else None

    def happen(self, interaction: str, *kinds: str) -> None:
        """Let things happen to a call, now and one after the other."""
        for kind in kinds:
            event = {
                "event_id": f"e{next(self._numbers)}", "kind": kind, "source": "test",
                "occurred_at": datetime.now(UTC).isoformat(), "interaction_id": interaction,
                "channel": "voice", "queue": "sales",
            }  # fmt: skip
            if kind == "accepted":
                event |= {"via": "queue", "performer_kind": "human", "performer_id": "p1"}
            body = json.dumps(event).encode()
            self._producer.produce("cx.raw.interactions", body, interaction.encode())
        assert self._producer.flush(30) == 0

    def end(self) -> int:
        """Tell it to end; its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(30)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    running = Demo(tmp_path)
    try:
        yield running
    finally:
        running.end()


async def test_from_an_event_to_the_page_and_back_to_its_interaction(page, demo):
    assert demo.log.read_text("utf-8").startswith(f"wallboard   {demo.address}\n")
    await page.open(demo.address)
    demo.happen("answered-1", "started", "queued", "accepted")
    demo.happen("answered-2", "started", "queued", "accepted")
    # Nobody of two left: 0 / 2.
    await page.until(
        f"{LABEL}?.startsWith('Abandon rate: 0.0 %. met, target at most 40 %. n 2')", 90
    )
    demo.happen("gone-1", "started", "queued", "abandoned")
    demo.happen("gone-2", "started", "queued", "abandoned")
    # Two of four: 50 %, over the target.
    await page.until(f"{LABEL}.startsWith('Abandon rate: 50.0 %. missed')", 60)
    await page.evaluate("document.querySelector('[data-id=\"desk/abandon_rate\"]').click()")
    await page.until("document.querySelector('dialog h3 + button')")
    cells = "document.querySelectorAll('dialog tbody tr td:nth-child(2)')"
    listed = f"[...{cells}].map((cell) => cell.textContent)"
    for _ in range(30):  # ClickHouse may be some seconds behind
        await page.evaluate("document.querySelector('dialog h3 + button').click()")
        await page.until("!document.querySelector('dialog h3 + button').disabled")
        if len(await page.evaluate(listed)) == 4:
            break
    found = await page.evaluate(listed)
    assert sorted(found[:2]) == ["gone-1", "gone-2"]  # those that count against the target first
    assert sorted(found[2:]) == ["answered-1", "answered-2"]
    await page.press("Escape", 27)
    assert demo.end() == 0
    # Whether it gave its partitions up first or not: no number is left that reads as current.
    await page.until("!document.querySelector('#lost').hidden")
    await page.until("!document.querySelector('.tile:not([data-status=old])')")
    assert page.complaints == [one for one in page.complaints if "ERR_" in one]
