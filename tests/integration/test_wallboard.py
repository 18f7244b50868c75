"""``cxstream wallboard`` on a real Kafka: all partitions, and an outage of the worker."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from schemas.topics import CLOCKS, KPIS, SOURCES
from tests.integration.logs import RAW
from tests.integration.process import wait_for
from tests.integration.site import site

pytestmark = pytest.mark.kafka

NOON_MS = 1_772_452_800_000
"""2026-03-02T12:00:00Z."""
EXHIBIT = """
exhibit: {name}
by: [queue]
windows: [1h]
kpis: [{{kpi: offered}}, {{kpi: abandon_rate, target: "<= 0.40"}}]
"""


class Wallboard:
    """One ``cxstream wallboard``, read as a page reads it."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        command = Path(sys.executable).with_name("cxstream")
        self._log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [str(command), "wallboard"], env={**environment, "PYTHONUNBUFFERED": "1"},
                stdout=out, stderr=out,
            )  # fmt: skip
        said = wait_for(lambda: log.read_text("utf-8"), "the wallboard's address", 60)
        self._address = said.split()[1].removeprefix("http://").rstrip("/")

    def sections(self) -> dict[str, Any]:
        """Sections by exhibit, as a page that opens now gets them."""
        assert self._process.poll() is None, self._log.read_text("utf-8")
        connection = http.client.HTTPConnection(self._address, timeout=10)
        try:
            connection.request("GET", "/events")
            answer = connection.getresponse()
            while answer.readline() != b"event: board\n":
                pass
            told = json.loads(answer.readline().removeprefix(b"data: "))
        finally:
            connection.close()
        return {section["exhibit"]: section for section in told["sections"]}

    def states(self) -> set[str]:
        """Freshness of all exhibits."""
        return {section["freshness"]["state"] for section in self.sections().values()}

    def end(self) -> int:
        """Tell it to end; its exit code."""
        self._process.terminate()
        return self._process.wait(20)


def _happen(place, interaction: str, *kinds: str) -> None:
    for number, kind in enumerate(kinds):
        event = {
            "event_id": f"{interaction}-{number}", "kind": kind, "source": "test",
            "occurred_at": f"2026-03-02T11:50:0{number}Z", "interaction_id": interaction,
            "channel": "voice", "queue": "sales", "via": "queue",
        }  # fmt: skip
        if kind != "accepted":
            del event["via"]
        place.produce(json.dumps(event).encode(), interaction.encode(), timestamp_ms=NOON_MS)
    place.flush()


def test_values_of_all_partitions_and_an_outage(kafka, tmp_path):
    files = []
    for name in ("desk", "shop", "mail", "chat"):
        files.append(tmp_path / f"{name}.yaml")
        files[-1].write_text(EXHIBIT.format(name=name), "utf-8")
    with site(kafka.bootstrap, tmp_path, exhibits=files) as place:
        worker = place.worker()
        _happen(place, "i1", "started", "queued", "accepted")
        _happen(place, "i2", "started", "queued", "abandoned")
        place.drain(60, alive=[worker], roles=("intake", "lifecycle"))
        place.tick(NOON_MS, complete=False)
        place.drain(60, alive=[worker])
        # The wallboard is told nothing of exhibits: it reads them of the log.
        told = {k: v for k, v in place.environment.items() if k != "CXSTREAM_EXHIBITS"}
        wallboard = Wallboard({**os.environ, **told}, tmp_path / "wallboard.log")
        try:
            # Clocks that were there before the wallboard say nothing of now.
            wait_for(lambda: len(wallboard.sections()) == 4, "the exhibits", 30)
            assert wallboard.states() == {"waiting"}
            place.tick(NOON_MS + 1_000, complete=False)
            wait_for(lambda: wallboard.states() == {"live"}, "the first tick", 30)
            for section in wallboard.sections().values():
                told = {tile["name"]: tile for tile in section["tiles"]}
                assert told["offered"]["value"] == 2
                assert (told["abandon_rate"]["value"], told["abandon_rate"]["n"]) == (0.5, 2)
                assert told["abandon_rate"]["status"] == "missed"
                assert section["silent_sources"] == []
            assert {record.key for record in place.read(SOURCES)} >= {
                f'["test","sales","cx.raw.interactions",{number}]'.encode()
                for number in {record.partition for record in place.read(RAW)}
            }
            files[0].write_text(EXHIBIT.format(name="desk") + "version: 2\ntitle: Front desk\n")
            place.command("exhibit", "apply", str(files[0]))
            place.command("exhibit", "end", "chat")

            def followed() -> bool:
                place.tick(NOON_MS + 1_500, complete=False)
                found = wallboard.sections()
                return "chat" not in found and found["desk"]["title"] == "Front desk"

            wait_for(followed, "exhibits to be followed", 60, pause_seconds=0.5)
            assert wallboard.sections()["desk"]["tiles"] != []
            worker.signal(signal.SIGSTOP)
            place.tick(NOON_MS + 2_000, complete=False)
            wait_for(lambda: wallboard.states() == {"stale"}, "the outage to be seen", 30)
            second = place.worker()

            def recovered() -> bool:
                assert second.running, second.tail()
                place.tick(NOON_MS + 3_000, complete=False)
                return wallboard.states() == {"live"}

            wait_for(recovered, "another worker to go on", 90, pause_seconds=1.0)
        finally:
            assert wallboard.end() == 0
        partitions = {record.partition for record in place.read(KPIS)}
        clocks = place.read(CLOCKS)
        assert {record.partition for record in clocks} == partitions
        told = [json.loads(record.value or b"") for record in clocks]
        assert {name for one in told for name in one["exhibits"]} == {
            "desk",
            "shop",
            "mail",
            "chat",
        }
        assert all(one["as_of"] >= "2026-03-02T12:00:00Z" for one in told)
