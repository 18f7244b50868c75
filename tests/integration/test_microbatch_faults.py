"""The lifecycle stage between any two of its steps: killed, failing, frozen. Nothing counts twice.

Events go straight to ``cx.interactions`` as intake would have written them, so that the same log is
read by runs with faults and by one without. What must be alike afterwards: the facts that readers
of committed records see, each version of each once, and the state.
"""

from __future__ import annotations

import hashlib
import json
import signal
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from rocksdict import Options, Rdict

from pipeline.embedded.kafka import KafkaServer
from pipeline.microbatch import partition_for
from pipeline.simulator import Simulator, SimulatorConfig
from pipeline.stages.clock import META_KEY
from pipeline.stages.folding import CONFIGURATION_KEY
from pipeline.stages.lifecycle import decode_state
from schemas.topics import FACTS, INTERACTIONS, changelog_topic
from tests.integration.logs import PARTITIONS
from tests.integration.process import Process, wait_for
from tests.integration.site import Site, site

pytestmark = pytest.mark.kafka

START_MS = 1_740_996_000_000
EVENTS = 1_500
SLICES = 10
ONE_CHECKPOINT = EVENTS // SLICES
"""Most keys that change in one checkpoint: a slice is one or more in each partition."""
ROLE = ("lifecycle",)
NOT_EVENTS = (META_KEY, CONFIGURATION_KEY)
CHANGELOG = changelog_topic("lifecycle")
ACCEPTED = [("cx-accepted", b"1")]
SESSION_TIMEOUT_MS = 2_000
POSITION_KEY = b"p"


def events() -> list[tuple[bytes, bytes]]:
    """Keys and values of accepted events, each interaction in its partition."""
    center = Simulator(
        SimulatorConfig(events_per_second=5.0, daily_curve=(1.0,) * 24), 3, START_MS, "faults"
    )
    found = []
    for event in islice(center.generate(START_MS + 3_600_000), EVENTS):
        customer = event.pop("customer", None)
        if customer is not None:
            event["customer_key"] = hashlib.sha256(customer.encode()).hexdigest()[:32]
        is_state = event["kind"] == "performer_state"
        key = event["performer_id"] if is_state else event["interaction_id"]
        found.append((key.encode(), json.dumps(event).encode()))
    return found


EVENTS_IN_ORDER = events()
TICK_MS = START_MS + 3_600_000


class Outcome(NamedTuple):
    """What is left of a run: facts with how many events they knew, and the state."""

    facts: dict[str, dict[str, Any]]
    known: dict[str, int]
    state: dict[bytes, bytes]


def write(place: Site, number: int) -> None:
    """One slice of the log."""
    size = EVENTS // SLICES
    for key, value in EVENTS_IN_ORDER[number * size : (number + 1) * size]:
        place.produce(
            value, key, topic=INTERACTIONS, partition=partition_for(key, PARTITIONS),
            headers=ACCEPTED,
        )  # fmt: skip
    place.flush()


def finish(place: Site, worker: Process) -> Outcome:
    """Let the worker do the rest, then a day pass, which ends what was left open."""
    place.drain(90, alive=[worker], roles=ROLE)
    place.tick(TICK_MS + 86_400_000)
    place.drain(90, alive=[worker], roles=ROLE)
    return outcome(place)


def outcome(place: Site) -> Outcome:
    """Committed facts and state. No version of a fact may stand there twice."""
    versions: dict[str, int] = {}
    facts: dict[str, dict[str, Any]] = {}
    for record in place.read(FACTS):
        fact = json.loads(record.value or b"")
        version = fact.pop("version")
        assert version > versions.get(fact["fact_id"], -1), "versions of a fact only rise"
        versions[fact["fact_id"]] = version
        facts[fact["fact_id"]] = fact
    state: dict[bytes, bytes] = {}
    for record in place.read(CHANGELOG):
        assert record.key is not None
        assert record.value is not None
        state[record.key] = record.value
    # The clock also counts how often its partition was taken over; exhibits are no events.
    state = {key: value for key, value in state.items() if key not in NOT_EVENTS}
    known = {fact_id: version >> 16 & 0xFFFF_FFFF for fact_id, version in versions.items()}
    return Outcome(facts, known, state)


@pytest.fixture(scope="module")
def undisturbed(kafka: KafkaServer, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The same log, and nothing happens."""
    with quick_site(kafka, tmp_path_factory.mktemp("undisturbed")) as place:
        for number in range(SLICES):
            write(place, number)
        clean = finish(place, place.worker(ROLE))
    kinds = Counter(fact["kind"] for fact in clean.facts.values())
    assert min(kinds[kind] for kind in ("queue_segment", "handling_segment", "interaction")) > 20
    assert len(clean.state) > 100
    return clean


def quick_site(kafka: KafkaServer, folder: Path) -> Any:
    return site(kafka.bootstrap, folder, session_timeout_ms=SESSION_TIMEOUT_MS)


def assert_whole(place: Site) -> dict[tuple[str, int], int]:
    """State is that of exactly the committed records, and no fact knows of more; the offsets."""
    committed = place.committed("lifecycle")
    taken: Counter[bytes] = Counter()
    for record in place.read(INTERACTIONS):
        if record.key is None or record.offset >= committed[record.topic, record.partition]:
            continue
        # States of performers go on to their own stage and are not kept.
        if json.loads(record.value or b"")["kind"] != "performer_state":
            taken[record.key] += 1
    found = outcome(place)
    assert {key[1:]: len(decode_state(value).events) for key, value in found.state.items()} == taken
    for fact_id, fact in found.facts.items():
        assert found.known[fact_id] <= taken[_key_of(fact)], fact_id
    return committed


def on_disk(folder: Path) -> dict[str, str]:
    """Settings of a worker that keeps its state in files."""
    return {"CXSTREAM_STATE": "rocksdb", "CXSTREAM_STATE_DIR": str(folder / "state")}


@pytest.mark.parametrize("state", ["memory", "rocksdb"])
@pytest.mark.parametrize(
    "point", ["before_outputs", "after_outputs", "after_state", "after_commit"]
)
def test_killed_between_two_steps_of_a_checkpoint(
    kafka: KafkaServer, undisturbed: Outcome, tmp_path: Path, point: str, state: str
) -> None:
    kept = on_disk(tmp_path) if state == "rocksdb" else {}
    with quick_site(kafka, tmp_path) as place:
        # Each slice is a checkpoint or more in each of four partitions.
        victim = place.worker(ROLE, CXSTREAM_FAIL_POINT=f"lifecycle.{point}:9", **kept)
        number = 0
        while victim.running:
            assert number < SLICES, "the fail point was never reached"
            write(place, number)
            number += 1
            wait_for(lambda: not victim.running or not place.lag("lifecycle"), "a slice", 30, 0.05)
        assert victim.wait(10) == -signal.SIGKILL
        reborn = place.worker(ROLE, **kept)
        wait_for(lambda: len(ready(reborn)) >= PARTITIONS, "the partitions to be taken over", 40)
        # The offsets it found, before it did anything: all is done again that was not committed.
        found_at = {line["partition"]: line["offset"] for line in ready(reborn)[:PARTITIONS]}
        written = number * (EVENTS // SLICES)
        if point == "after_commit":
            assert sum(found_at.values()) <= written
        else:
            assert sum(found_at.values()) < written
        restored = ready(reborn)[:PARTITIONS]
        assert sum(line["keys"] for line in restored) > 30
        if state == "memory":
            assert all(line["read"] >= line["keys"] for line in restored)
        else:
            # Of a checkpoint that the broker took and the disk did not, and no more. The partition
            # that died after its commit has one; others may, whose answer was on its way.
            assert all(line["read"] <= ONE_CHECKPOINT for line in restored)
            behind = [line["read"] > 0 for line in restored]
            assert any(behind) if point == "after_commit" else not all(behind)
        for rest in range(number, SLICES):
            write(place, rest)
        found = finish(place, reborn)
        assert_whole(place)
    assert found.facts == undisturbed.facts
    assert found.state == undisturbed.state


@pytest.mark.parametrize("what", ["broken", "ahead", "of another topic"])
def test_files_that_cannot_be_trusted_are_filled_again(
    kafka: KafkaServer, undisturbed: Outcome, tmp_path: Path, what: str
) -> None:
    kept = on_disk(tmp_path)
    with quick_site(kafka, tmp_path) as place:
        first = place.worker(ROLE, **kept)
        for number in range(SLICES // 2):
            write(place, number)
        place.drain(40, alive=[first], roles=ROLE)
        assert first.stop() == 0
        stores = sorted((tmp_path / "state" / f"{place.prefix}-lifecycle.lifecycle").iterdir())
        assert [path.name for path in stores] == ["0", "1", "2", "3"]
        for path in stores:
            spoil(path, what)
        second = place.worker(ROLE, **kept)
        for number in range(SLICES // 2, SLICES):
            write(place, number)
        found = finish(place, second)
        restored = ready(second)[:PARTITIONS]
        assert all(line["read"] >= line["keys"] > 10 for line in restored)
        emptied = [line for line in told(second) if line["event"] == "state_emptied"]
        assert sorted(line["partition"] for line in emptied) == [0, 1, 2, 3]
        assert_whole(place)
    assert found.facts == undisturbed.facts
    assert found.state == undisturbed.state


def spoil(path: Path, what: str) -> None:
    """Let the files of a store be what they must not be."""
    if what == "broken":
        for file in path.glob("*.sst"):
            content = file.read_bytes()
            file.write_bytes(bytes(byte ^ 0xFF for byte in content[:200]) + content[200:])
        return
    rocks = Rdict(str(path), Options(raw_mode=True))
    topic_id, position, as_of_seconds = msgspec.msgpack.decode(rocks[POSITION_KEY])
    assert position > 10
    if what == "ahead":
        position += 1_000_000
    else:
        topic_id = "x" * len(topic_id)
    rocks[POSITION_KEY] = msgspec.msgpack.encode((topic_id, position, as_of_seconds))
    # A key that no changelog has ever held: it must be gone.
    rocks[b"sghost"] = b"no state"
    rocks.close()


def test_a_partition_that_comes_back_reads_what_another_wrote_meanwhile(
    kafka: KafkaServer, undisturbed: Outcome, tmp_path: Path
) -> None:
    """Two workers with files of their own take turns; what lies in their files is never alike."""
    homes = [on_disk(tmp_path / name) for name in ("one", "two")]
    with quick_site(kafka, tmp_path) as place:
        workers: list[Process] = []
        for number in range(SLICES):
            if workers:
                workers[-1].kill()
            workers.append(place.worker(ROLE, **homes[number % 2]))
            write(place, number)
            place.drain(60, alive=[workers[-1]], roles=ROLE)
        found = finish(place, workers[-1])
        for worker in workers[2:]:
            restored = ready(worker)[:PARTITIONS]
            # Of the changelog, what the other wrote; not what was there when this one was killed.
            assert all(line["read"] > 0 for line in restored)
            assert sum(line["read"] for line in restored) <= 2 * EVENTS // SLICES
        assert sum(line["keys"] for line in ready(workers[-1])[:PARTITIONS]) > 100
        assert_whole(place)
    assert found.facts == undisturbed.facts
    assert found.state == undisturbed.state


def _key_of(fact: dict[str, Any]) -> bytes:
    if fact["kind"] == "plan":
        return str(fact["fact_id"]).split("/")[1].encode()
    return str(fact["interaction_id"]).encode()


def ready(worker: Process) -> list[dict[str, Any]]:
    """What a worker told of partitions that it took over."""
    return [line for line in told(worker) if line["event"] == "partition_ready"]


def told(worker: Process) -> list[dict[str, Any]]:
    """Lines of a worker's log that are events."""
    lines = worker.log.read_text("utf-8", "replace").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


FAILS_ONCE = """
from pipeline.stages.lifecycle import Lifecycle

take = Lifecycle.take

def fail(self, key, event):
    if event.event_id == {event_id!r}:
        raise ArithmeticError("a bug in the middle of a batch")
    take(self, key, event)

Lifecycle.take = fail
"""


def test_an_agent_that_fails_commits_nothing_past_the_failure(
    kafka: KafkaServer, undisturbed: Outcome, tmp_path: Path
) -> None:
    with quick_site(kafka, tmp_path) as place:
        for number in range(SLICES):
            write(place, number)
        key, value = EVENTS_IN_ORDER[EVENTS // 2]
        failing = (INTERACTIONS, partition_for(key, PARTITIONS))
        code = FAILS_ONCE.format(event_id=json.loads(value)["event_id"])
        worker = place.worker(ROLE, spoiled=code)
        assert worker.wait(30) == 1
        assert "ArithmeticError" in worker.log.read_text("utf-8")
        # Half of the partition's records were taken when it failed, and none of them counts.
        assert assert_whole(place)[failing] == 0
        found = finish(place, place.worker(ROLE))
    assert found.facts == undisturbed.facts
    assert found.state == undisturbed.state


FREEZES = """
import os, signal
from pipeline.microbatch import checkpoint, failpoints

passes = 0

def freeze(name):
    global passes
    if name == "lifecycle.after_state":
        passes += 1
        if passes == 3:
            os.kill(os.getpid(), signal.SIGSTOP)

failpoints.hit = freeze
"""


def test_a_worker_frozen_in_a_checkpoint_is_fenced_when_it_wakes(
    kafka: KafkaServer, undisturbed: Outcome, tmp_path: Path
) -> None:
    with quick_site(kafka, tmp_path) as place:
        write(place, 0)
        zombie = place.worker(ROLE, spoiled=FREEZES)
        wait_for(lambda: zombie.status == "stopped", "the worker to freeze", 30)
        # Its transaction is open: outputs and state are written, the commit is what comes next.
        assert place.lag("lifecycle") > 0
        heir = place.worker(ROLE)
        write(place, 1)
        place.drain(40, alive=[heir], roles=ROLE)
        committed = assert_whole(place)
        facts = len(place.read(FACTS))
        zombie.signal(signal.SIGCONT)
        (fenced, *_) = wait_for(
            lambda: [line for line in told(zombie) if line["event"] == "checkpoint_failed"],
            "the late commit to be refused", 20,
        )  # fmt: skip
        assert "ProducerFenced" in fenced["error"]
        assert place.committed("lifecycle") == committed
        assert len(place.read(FACTS)) == facts
        # Both go on, and the zombie may have some of its partitions back.
        for number in range(2, SLICES):
            write(place, number)
        found = finish(place, heir)
        assert zombie.running
        assert_whole(place)
    assert found.facts == undisturbed.facts
    assert found.state == undisturbed.state
