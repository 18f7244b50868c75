"""Every alert fires on its own cause, made before Kafka or in a process, and clears after it.

Windows are those of the rules, shorter by one factor; that the long ones are what they say is shown
by `promtool test rules` (docker/prometheus/tests). That no alert is left out is asked by
tests/unit/test_ops.py.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.alerts.conftest import Watched, spoiling
from tests.integration.process import Process, wait_for
from tests.integration.warehouse import client_of

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse, pytest.mark.prometheus]

OTHER_VERSION = """
import importlib.metadata as metadata
real = metadata.version
metadata.version = lambda name: "9.9.9" if name == "cxstream" else real(name)
"""
NO_RESTORE = """
import pipeline.microbatch.takeover as takeover
from aiokafka.errors import KafkaError
real = takeover.read_log
async def read_log(*given, **named):
    if (FLAGS / "no-restore").exists():
        raise KafkaError("spoiled")
    async for records in real(*given, **named):
        yield records
takeover.read_log = read_log
"""
NO_CHECKPOINT = """
import asyncio
from pipeline.microbatch.checkpoint import Checkpoint
from aiokafka.errors import KafkaError
real = Checkpoint.commit
async def commit(self):
    if (FLAGS / "no-checkpoint").exists():
        raise KafkaError("spoiled")
    if (FLAGS / "slow-checkpoint").exists():
        await asyncio.sleep(25)
    await real(self)
Checkpoint.commit = commit
"""


@contextmanager
def repeated(what: Callable[[], None]) -> Iterator[None]:
    """Do something four times a second meanwhile."""
    ends = threading.Event()

    def work() -> None:
        while not ends.wait(0.25):
            what()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join()


@contextmanager
def flag(watched: Watched, name: str) -> Iterator[None]:
    """Spoil what asks for this flag."""
    path = watched.flags / name
    path.touch()
    try:
        yield
    finally:
        path.unlink()


@contextmanager
def second(watched: Watched, roles: tuple[str, ...], spoiled: str = "") -> Iterator[Process]:
    """One more worker, which leaves in order."""
    worker = watched.start("second", roles, spoiled=spoiling(watched.flags, spoiled))
    try:
        yield worker
    finally:
        worker.stop()
        watched.forget("second")


def owns_partitions(worker: Process) -> None:
    wait_for(
        lambda: worker.metric("cx_owned_partitions", stage="performers") > 0,
        "the second worker to own partitions", 180,
    )  # fmt: skip


def test_quiet_when_all_is_well(watched: Watched) -> None:
    offered = 'cx_exhibit_value{as="offered", queue="*", window="1h"} > 0'
    wait_for(lambda: watched.prometheus.query(offered), "contacts to be counted", 300)
    watched.quiet()


def test_a_silent_source(watched: Watched) -> None:
    heard = 'source:cx_silence_seconds{source="simulator"}'
    wait_for(lambda: watched.prometheus.query(heard), "the center to be heard", 300)
    watched.clears("CxSourceSilent", "CxNothingTakenIn")
    watched.center.stand_still()
    try:
        watched.fires("CxSourceSilent", source="simulator")
        watched.fires("CxNothingTakenIn")
    finally:
        watched.center.go_on()
    watched.clears("CxSourceSilent", "CxNothingTakenIn")


def test_refused_records(watched: Watched) -> None:
    watched.clears("CxDeadLettersAny", "CxDeadLetters")
    watched.place.produce(b"nonsense", b"x")
    watched.fires("CxDeadLettersAny")
    with repeated(lambda: watched.place.produce(b"nonsense", b"x")):
        watched.fires("CxDeadLetters")
    watched.clears("CxDeadLetters", "CxDeadLettersAny")


def test_events_ahead_of_their_records(watched: Watched) -> None:
    watched.clears("CxEventsSkewed")
    with repeated(lambda: watched.happen("started", "ahead", ahead_seconds=600)):
        watched.fires("CxEventsSkewed")
    watched.clears("CxEventsSkewed")


def test_a_target_that_is_missed(watched: Watched) -> None:
    watched.clears("CxTargetMissed")
    waiting = [f"storm-{number}" for number in range(250)]
    for one in waiting:
        watched.happen("queued", one)
    watched.fires("CxTargetMissed", **{"as": "queue_depth", "queue": "storm"})
    for one in waiting:
        watched.happen("abandoned", one)
    watched.clears("CxTargetMissed")


def test_ClickHouse_is_away(watched: Watched) -> None:  # noqa: N802 - its name
    watched.clears("CxSinkRetrying", "CxSinkBehind", "CxStageStalled", "CxHeartbeatOld")
    watched.door.shut()
    try:
        watched.fires("CxSinkRetrying")
        watched.fires("CxSinkBehind")
        watched.fires("CxStageStalled")
        watched.fires("CxHeartbeatOld", stage="sink.cx.facts")
    finally:
        watched.door.open()
    watched.clears("CxSinkRetrying", "CxSinkBehind", "CxStageStalled", "CxHeartbeatOld")


def test_a_clock_that_stands(watched: Watched) -> None:
    shown = 'cx_exhibit_clock_timestamp_seconds{exhibit="desk"}'
    wait_for(lambda: watched.prometheus.query(shown), "values to be shown", 180)
    watched.clears("CxPartitionsStale", "CxExhibitMissing")
    watched.clock.runs = False
    try:
        watched.fires("CxPartitionsStale")
        watched.fires("CxExhibitMissing", exhibit="desk")
    finally:
        watched.clock.runs = True
    watched.clears("CxPartitionsStale", "CxExhibitMissing")


def test_a_clock_that_is_behind(watched: Watched) -> None:
    watched.clears("CxExhibitClockBehind")
    watched.clock.lag_ms = 25_000
    try:
        watched.fires("CxExhibitClockBehind", exhibit="desk")
    finally:
        watched.clock.lag_ms = 0
    watched.clears("CxExhibitClockBehind")


def test_a_worker_is_killed_and_then_none_is_left(watched: Watched) -> None:
    watched.clears("CxWorkerDown", "CxNoWorker")
    watched.workers["exhibits"].kill()
    watched.fires("CxWorkerDown")
    watched.start("exhibits", ("exhibits",))
    watched.clears("CxWorkerDown")
    watched.prometheus.scrape([])
    watched.fires("CxNoWorker")
    watched.scrape_all()
    watched.clears("CxNoWorker")


def test_partitions_of_a_worker_that_stands_still(watched: Watched) -> None:
    watched.clears("CxPartitionsUnowned")
    worker = watched.start("second", ("performers",))
    owns_partitions(worker)
    worker.signal(signal.SIGSTOP)
    watched.fires("CxPartitionsUnowned", stage="performers")
    worker.kill()
    watched.forget("second")
    watched.clears("CxPartitionsUnowned")


def test_two_versions(watched: Watched) -> None:
    watched.clears("CxVersionsDiffer")
    with second(watched, ("performers",), OTHER_VERSION):
        watched.fires("CxVersionsDiffer", seconds=150)
    watched.clears("CxVersionsDiffer")


def test_a_restore_that_fails(watched: Watched) -> None:
    watched.clears("CxRestoreFailing", "CxRestoreSlow")
    with flag(watched, "no-restore"), second(watched, ("performers",), NO_RESTORE):
        watched.fires("CxRestoreFailing", stage="performers")
        watched.fires("CxRestoreSlow", stage="performers")
    watched.clears("CxRestoreFailing", "CxRestoreSlow")


def test_checkpoints_that_fail_or_take_long(watched: Watched) -> None:
    watched.clears("CxCheckpointsFailing", "CxStageBehind")
    with second(watched, ("performers",), NO_CHECKPOINT) as worker:
        owns_partitions(worker)
        with flag(watched, "no-checkpoint"):
            watched.fires("CxCheckpointsFailing", stage="performers")
        watched.clears("CxCheckpointsFailing")
        with flag(watched, "slow-checkpoint"):
            watched.fires("CxStageBehind", stage="performers")
        watched.clears("CxStageBehind")


def test_rows_that_ClickHouse_will_never_take(watched: Watched) -> None:  # noqa: N802 - its name
    watched.clears("CxSinkRejects")
    with client_of(watched.clickhouse, "alerts") as client:
        client.command("RENAME TABLE facts_queue_segment TO facts_away")
        watched.fires("CxSinkRejects", table="facts_queue_segment")
        assert watched.workers["sink"].wait(60) == 1
        client.command("RENAME TABLE facts_away TO facts_queue_segment")
    watched.start("sink", ("sink",))
    watched.clears("CxSinkRejects")
