"""State that is damaged, and clocks of workers that jump: the worker ends, no number is wrong."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pipeline.stages.lifecycle import decode_state
from pipeline.stages.wire import decode_tick
from schemas.topics import INTERACTIONS, changelog_topic
from tests.faults.checker import Outcome, committed_now
from tests.faults.conftest import Begin
from tests.faults.disk import fill, small_disk
from tests.faults.kafka import ProxiedKafka
from tests.faults.spoils import moved_clock
from tests.integration.process import wait_for
from tests.integration.site import site

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]

CHANGELOG = changelog_topic("lifecycle")


def test_a_damaged_record_of_state_ends_the_worker_and_names_its_place(
    begin: Begin, reference: Outcome
) -> None:
    with begin("damaged state") as faulty:
        worker = faulty.start()
        faulty.feed(8)
        faulty.place.drain(60, alive=[worker])
        assert worker.stop() == 0
        newest = {r.key: r for r in faulty.place.read(CHANGELOG) if r.key and r.key[:1] == b"i"}
        whole = next(r for r in newest.values() if r.value and decode_state(r.value).events)
        assert whole.key is not None
        before = committed_now(faulty.place, "lifecycle")
        for damage in ((whole.value or b"")[:-7], b"\xc1no longer what it was"):
            faulty.place.produce(damage, whole.key, topic=CHANGELOG, partition=whole.partition)
            faulty.place.flush()
            refused = faulty.place.worker()
            assert refused.wait(120) == 1
            assert (
                f"the state of lifecycle/{whole.partition} is damaged at the key" in refused.tail()
            )
            assert committed_now(faulty.place, "lifecycle") == before
            faulty.evidence["refused"] += 1
        # The record as it was, from a copy of the log, is all that it needs.
        faulty.place.produce(whole.value, whole.key, topic=CHANGELOG, partition=whole.partition)
        faulty.place.flush()
        faulty.start()
        faulty.finish(reference, "refused")


def test_the_disk_of_the_state_is_full(begin: Begin, reference: Outcome, tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    with small_disk(folder, 64) as mounted:
        if not mounted:
            pytest.skip("no small file system can be mounted here: that needs root")
        environment = {"CXSTREAM_STATE": "rocksdb", "CXSTREAM_STATE_DIR": str(folder / "state")}
        with begin("disk of state full", environment=environment) as faulty:
            worker = faulty.start()
            faulty.wait_for_progress("lifecycle")
            fill(folder / "ballast")
            faulty.feed_until(lambda: not worker.running, "the worker to end", 120)
            assert worker.wait(10) == 1
            assert "No space left on device" in worker.tail()
            faulty.evidence["full by mount"] += 1
            (folder / "ballast").unlink()
            faulty.start()
            faulty.finish(reference, "full by mount")


def test_a_clock_that_jumps_writes_no_tick(kafka: ProxiedKafka, tmp_path: Path) -> None:
    """By an hour, while the worker runs; and an hour wrong from the start."""
    offset, role = tmp_path / "offset", ("lifecycle",)
    with site(kafka.bootstrap, tmp_path) as place:

        def ticks() -> list[int]:
            records = place.read(INTERACTIONS)
            return [decode_tick(record.value or b"").tick_ms for record in records]

        worker = place.worker(role, spoiled=moved_clock(offset), CXSTREAM_TICKS="wall")
        wait_for(ticks, "a tick", 40)
        offset.write_text("3600")
        assert worker.wait(30) == 1
        assert "this machine's clock jumped by +36" in worker.tail()
        written = ticks()
        assert max(written) <= time.time_ns() // 1_000_000
        wrong = place.worker(role, spoiled=moved_clock(offset), CXSTREAM_TICKS="wall")
        assert wrong.wait(120) == 1
        assert "s from the broker's: ticks would be wrong" in wrong.tail()
        assert ticks() == written
