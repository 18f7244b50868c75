"""What each stage costs an event, in memory: no Kafka, no network, one thread.

The log is that of a simulated center at 100 events a second, with a tick each second. Stages are
driven batch by batch exactly as their agents drive them; CPU is that of this thread.

    python -m tests.bench.stages --minutes 10 --batch 5000 [--profile lifecycle]
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.table import Table

from agents.exhibits import take
from pipeline.folds.event import reduce
from pipeline.folds.silence import Silence
from pipeline.identity import CustomerKeys
from pipeline.microbatch import partition_for
from pipeline.microbatch.garbage import tune_garbage_collection
from pipeline.simulator import Simulator, SimulatorConfig
from pipeline.stages.clock import tick_record
from pipeline.stages.configuration import Configuration, decode_configuration
from pipeline.stages.exhibits import Exhibits, Place
from pipeline.stages.intake import Counts, Intake, Source, accepted_event, fold_key
from pipeline.stages.journeys import Journeys
from pipeline.stages.lifecycle import Lifecycle
from pipeline.stages.performers import Performers
from pipeline.stages.publisher import Publisher, sources
from pipeline.stages.wire import (
    EXHIBIT,
    EXHIBITS,
    RATE,
    TICK,
    Headers,
    Tick,
    control_kind,
    decode_contact,
    decode_performance,
    decode_rate,
    decode_tick,
)
from schemas.exhibit_file import load_exhibit
from schemas.platforms import interactions
from schemas.platforms.base import Options
from schemas.topics import CONTACTS, INTERACTIONS, PARTIALS, PERFORMANCES, raw_topic
from schemas.values import rfc3339

RAW: Final = raw_topic("interactions")
START_MS: Final = 1_780_300_800_000
"""2026-06-01T08:00:00Z."""


WARM_UP_MINUTES: Final = 12


class Message(NamedTuple):
    """A record of a log in memory."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@dataclass
class Memory:
    """Logs, and the state of each stage."""

    logs: defaultdict[str, list[Message]] = field(default_factory=lambda: defaultdict(list))
    bytes_out: Counter[str] = field(default_factory=Counter)


class Checkpoint:
    """One batch: reads and writes as a checkpoint does, and is committed at its end."""

    def __init__(self, memory: Memory, state: dict[bytes, bytes], timestamp_ms: int) -> None:
        self._memory = memory
        self._state = state
        self._timestamp_ms = timestamp_ms
        self.overlay: dict[bytes, bytes | None] = {}
        self.outputs: list[Message] = []

    def get(self, key: bytes) -> bytes | None:
        return self.overlay[key] if key in self.overlay else self._state.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        self.overlay[key] = value

    def delete(self, key: bytes) -> None:
        self.overlay[key] = None

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Headers = (),
    ) -> None:
        if partition is None:
            partition = partition_for(key or b"", 4)
        at_ms = self._timestamp_ms if timestamp_ms is None else timestamp_ms
        self.outputs.append(Message(topic, 0, 0, at_ms, key, value, headers))

    def commit(self) -> None:
        for key, value in self.overlay.items():
            if value is None:
                self._state.pop(key, None)
            else:
                self._state[key] = value
        for message in self.outputs:
            self._memory.logs[message.topic].append(message)
            self._memory.bytes_out[message.topic] += len(message.value or b"")


class Cost(NamedTuple):
    """CPU of a stage, and the records it read and wrote.

    ``early_seconds`` and ``late_seconds`` are the CPU of the whole log, had all of it cost what the
    first and the last fifth of its batches did.
    """

    seconds: float
    read: int
    written: int
    state_writes: int
    early_seconds: float
    late_seconds: float


def raw_log(minutes: float, rate: float) -> list[Message]:
    """Raw events of a simulated center, once the shifts of its first day are planned."""
    config = SimulatorConfig(events_per_second=rate, daily_curve=(1.0,) * 24, keep_truth=False)
    center = Simulator(config, 1, START_MS, "b")
    found = []
    end_ms = START_MS + round((WARM_UP_MINUTES + minutes) * 60_000)
    begin = rfc3339(START_MS + WARM_UP_MINUTES * 60_000)
    for number, event in enumerate(center.generate(end_ms)):
        if event["occurred_at"] >= begin:
            key = event["interaction_id"].encode()
            found.append(Message(RAW, 0, number, end_ms, key, json.dumps(event).encode()))
    return found


def with_ticks(log: list[Message]) -> Iterator[Message]:
    """The log of accepted events as a worker on the wall clock leaves it: a tick each second."""
    last_ms = 0
    for message in log:
        at_ms = _occurred_ms(message)
        while last_ms and at_ms // 1000 > last_ms // 1000:
            last_ms = last_ms // 1000 * 1000 + 1000
            value, headers = tick_record(Tick("", 0, last_ms))
            yield Message(INTERACTIONS, 0, 0, last_ms, None, value, headers)
        last_ms = max(last_ms, at_ms)
        yield message


def _occurred_ms(message: Message) -> int:
    event = accepted_event(message)
    return reduce(event).occurred_ms if event is not None else 0


def drive(
    stage: str, memory: Memory, log: list[Message], size: int, exhibits: Configuration
) -> Cost:
    """Let one stage read ``log`` in batches of ``size`` records."""
    state: dict[bytes, bytes] = {}
    owned = memory_of(stage, exhibits, state)
    before = {topic: len(found) for topic, found in memory.logs.items()}
    state_writes = 0
    begins = range(0, len(log), size)
    a_fifth = -(-len(begins) // 5)
    marks = [time.thread_time()]
    for at in begins:
        batch = log[at : at + size]
        checkpoint = Checkpoint(memory, state, batch[-1].timestamp)
        process(stage, owned, batch, checkpoint)
        checkpoint.commit()
        state_writes += len(checkpoint.overlay)
        marks.append(time.thread_time())
    written = sum(len(found) - before.get(topic, 0) for topic, found in memory.logs.items())
    ends = [min(at + size, len(log)) for at in begins]
    a_first = marks[a_fifth] - marks[0]
    a_last = marks[-1] - marks[-1 - a_fifth]
    early = a_first * len(log) / ends[a_fifth - 1]
    late = a_last * len(log) / (len(log) - begins[-a_fifth])
    return Cost(marks[-1] - marks[0], len(log), written, state_writes, early, late)


def memory_of(stage: str, exhibits: Configuration, state: dict[bytes, bytes]) -> Any:
    if stage == "intake":
        return Intake(CustomerKeys(b"benchmark" * 4), 1)
    if stage == "exhibits":
        places = dict.fromkeys(("lifecycle", "journeys", "performers"), 1)
        return Exhibits(exhibits, state, Place(0, 1, places))
    topics = dict.fromkeys((CONTACTS, PERFORMANCES), 1) if stage == "lifecycle" else {}
    publisher = Publisher(
        f"{stage}/0", state, partial_partitions=1, clock_topics=topics, partitions=1
    )
    if stage == "lifecycle":
        return Lifecycle(exhibits, publisher, state, Silence())
    follow = Journeys if stage == "journeys" else Performers
    return follow(exhibits, publisher, state, sources("lifecycle", 1))


def process(stage: str, owned: Any, batch: list[Message], out: Checkpoint) -> None:
    if stage == "intake":
        counts = Counts.none()
        source = Source(interactions.PLATFORM, Options())
        for record in batch:
            owned.take(source, record, out, counts)
        return
    if stage == "exhibits":
        for record in batch:
            take(owned, record)
        aligned = owned.let_pass()
        if aligned is not None:
            deque(owned.publish(aligned, out, lambda _key, _value: None), maxlen=0)
        return
    for record in batch:
        kind = control_kind(record.headers) if record.headers else None
        if kind == TICK:
            owned.tick(decode_tick(record.value or b""))
        elif kind == EXHIBITS:
            owned.configure(decode_configuration(record.value or b""), out)
        elif kind == RATE:
            owned.rate(decode_rate(record.value or b""), out)
        elif kind == EXHIBIT:
            continue
        elif stage == "lifecycle":
            event = accepted_event(record)
            if event is not None:
                owned.take(fold_key(event), reduce(event))
        elif stage == "performers":
            owned.take(record.key or b"", decode_performance(record.value or b""))
        else:
            owned.take(record.key or b"", decode_contact(record.value or b""))
    owned.flush(out)


def main() -> None:
    """Print the cost of each stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--batch", type=int, default=5000)
    parser.add_argument("--exhibit", default="schemas/exhibits/default.yaml")
    parser.add_argument("--profile", default="")
    chosen = parser.parse_args()
    exhibits = Configuration.of([load_exhibit(Path(chosen.exhibit).read_text(), chosen.exhibit)])
    memory = Memory()
    raw = raw_log(chosen.minutes, chosen.rate)
    events = len(raw)
    exhibits.plan()
    tune_garbage_collection()
    table = Table(
        "stage", "us/event", "early", "late", "us/record", "read/event", "written/event",
        "state/event",
    )  # fmt: skip
    totals = [0.0, 0.0, 0.0]
    for stage, topic in (
        ("intake", RAW), ("lifecycle", INTERACTIONS), ("journeys", CONTACTS),
        ("performers", PERFORMANCES), ("exhibits", PARTIALS),
    ):  # fmt: skip
        log = raw if stage == "intake" else memory.logs[topic]
        if stage == "lifecycle":
            log = list(with_ticks(log))
        log = list(log)
        profiler = cProfile.Profile() if chosen.profile == stage else None
        if profiler:
            profiler.enable()
        cost = drive(stage, memory, log, chosen.batch, exhibits)
        if profiler:
            profiler.disable()
            pstats.Stats(profiler).sort_stats("tottime").print_stats(45)
        spent = (cost.seconds, cost.early_seconds, cost.late_seconds)
        totals = [total + one for total, one in zip(totals, spent, strict=True)]
        per_event = (cost.read / events, cost.written / events, cost.state_writes / events)
        table.add_row(
            stage,
            *(f"{one / events * 1e6:.1f}" for one in spent),
            f"{cost.seconds / max(cost.read, 1) * 1e6:.1f}",
            *(f"{count:.2f}" for count in per_event),
        )
    table.add_row("all", *(f"{total / events * 1e6:.1f}" for total in totals))
    Console().print(table, f"{events} events")
    for topic, log in memory.logs.items():
        size = memory.bytes_out[topic] / events
        Console().print(f"{topic}: {len(log)} records, {size:.0f} bytes an event")


if __name__ == "__main__":
    main()
