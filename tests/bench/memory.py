"""Resident memory of what the lifecycle keeps of an interaction: open, closed, frozen.

``python -m tests.bench.memory calls 120000`` lets a center of five calls a second go through the
stage as its agent does, without Kafka, under the default exhibit, with a tick every ten seconds.
``open 200000`` lets calls begin and none end; ``customers 1000000`` lets as many customers call
once each, through the journeys stage. What is left alone for five minutes is packed.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import psutil

from pipeline.cli.exhibits import read_exhibits
from pipeline.folds.event import Event
from pipeline.folds.interaction import CODE_VERSION
from pipeline.folds.rows import ContactRow
from pipeline.folds.silence import Silence
from pipeline.kpi.panes import FINE_LIFE_MS
from pipeline.stages.configuration import Configuration
from pipeline.stages.journeys import Journeys
from pipeline.stages.lifecycle import Lifecycle
from pipeline.stages.packing import is_packed
from pipeline.stages.publisher import Publisher, sources
from pipeline.stages.wire import ContactMessage, Headers, Tick
from schemas.facts import Header

START_MS = 1_740_996_000_000
HOUR_MS = 3_600_000
TICK_MS = 10_000
CALL_EVERY_MS = 200
EXHIBITS = Configuration.of(read_exhibits([]))
"""The default one."""


class State(dict[bytes, bytes]):
    """Committed state that is its own overlay; outputs go nowhere."""

    def put(self, key: bytes, value: bytes) -> None:
        self[key] = value

    def delete(self, key: bytes, headers: Headers = ()) -> None:  # noqa: ARG002
        self.pop(key, None)

    def send(self, *_: object, **__: object) -> None:
        return


def publisher(stage: str, state: State) -> Publisher:
    """Panes and clock of the only partition of a stage."""
    return Publisher(f"{stage}/0", state, partial_partitions=1, clock_topics={}, partitions=1)


def lifecycle(state: State) -> Lifecycle:
    """The lifecycle of the only partition, under the default exhibit."""
    return Lifecycle(EXHIBITS, publisher("lifecycle", state), state, Silence())


def call(number: int) -> Iterator[Event]:
    """A call that waits, is answered, held, completed and wrapped up."""
    at_ms = START_MS + number * CALL_EVERY_MS
    queue, agent = f"queue-{number % 8}", f"agent-{number % 400:05}"
    steps = (
        ("started", 0), ("queued", 1_000), ("accepted", 13_000), ("hold", 63_000),
        ("resume", 83_000), ("completed", 200_000), ("wrapup_ended", 230_000),
    )  # fmt: skip
    for place, (kind, after_ms) in enumerate(steps):
        yield Event(
            occurred_ms=at_ms + after_ms,
            kind=kind,
            event_id=f"call-{number:08}-{place}",
            content_hash=hash((number, place)),
            channel="voice",
            source="bench",
            source_seq=number * 7 + place,
            customer_key=f"{number % 50_000:032x}" if place == 0 else "",
            intent="billing" if place == 0 else "",
            queue=queue if kind == "queued" else "",
            performer_kind="human" if place > 1 else "",
            performer_id=agent if place > 1 else "",
            ended_by="customer" if kind == "completed" else "",
        )


def resident() -> int:
    """Bytes of this process that lie in memory."""
    gc.collect()
    return int(psutil.Process().memory_info().rss)


class Kept(NamedTuple):
    """What was found.

    Attributes:
        cpu_us: CPU microseconds an event.
        grown_bytes: Growth of resident memory for each closed call.
        open_bytes: Size of a record that is still open, with its key.
        closed_bytes: Size of a packed one.
        left: Records that are left when all is frozen: sums of cells.
    """

    cpu_us: float
    grown_bytes: float
    open_bytes: float
    closed_bytes: float
    left: int


def measure(count: int) -> Kept:
    """Let ``count`` calls go through the stage, and then let them freeze."""
    state = State()
    stage = lifecycle(state)
    began, marks = time.thread_time(), []
    a_tick = TICK_MS // CALL_EVERY_MS

    def tick(at_ms: int) -> None:
        stage.tick(Tick("", 0, at_ms))
        stage.flush(state)

    for first in range(0, count, a_tick):
        for number in range(first, first + a_tick):
            for event in call(number):
                stage.take(f"call-{number:08}", event)
        tick(START_MS + first * CALL_EVERY_MS)
        if first in (count // 2 // a_tick * a_tick, count - a_tick):
            marks.append((first, resident()))
    cpu_seconds = time.thread_time() - began
    (early, before), (late, after) = marks
    open_bytes, closed_bytes = (_mean_bytes(state, packed=packed) for packed in (False, True))
    clock_ms = START_MS + count * CALL_EVERY_MS + EXHIBITS.plan().horizon_ms + HOUR_MS
    for second in range(count // 2_000 + 3):
        tick(clock_ms + second * 1_000)
    grown_bytes = (after - before) / (late - early)
    return Kept(cpu_seconds * 1e6 / count / 7, grown_bytes, open_bytes, closed_bytes, len(state))


def _mean_bytes(state: State, *, packed: bool) -> float:
    told = [one for one in state.items() if one[0][:1] == b"i" and is_packed(one[1]) == packed]
    return sum(sys.getsizeof(key) + sys.getsizeof(value) for key, value in told) / len(told)


class Growth(NamedTuple):
    """Resident memory that a count of keys took, and the mean size of their records with keys."""

    count: int
    grown_bytes: float
    record_bytes: float


def measure_open(count: int) -> Growth:
    """Let ``count`` calls begin, wait and be accepted, and go on with all of them open."""
    state = State()
    stage = lifecycle(state)
    return _grown(
        count, state, stage, lambda number: _begin(stage, number), lambda key: key[:1] == b"i"
    )


def _begin(stage: Lifecycle, number: int) -> None:
    for event in list(call(number))[:3]:
        stage.take(f"call-{number:08}", event)


def measure_customers(count: int) -> Growth:
    """Let ``count`` customers call once each."""
    state = State()
    stage = Journeys(EXHIBITS, publisher("journeys", state), state, sources("lifecycle", 1))
    return _grown(
        count, state, stage, lambda number: _contact(stage, number), lambda key: key[:1] == b"c"
    )


def _contact(stage: Journeys, number: int) -> None:
    at_ms = START_MS + number * CALL_EVERY_MS
    key = f"{number * 0x9E3779B97F4A7C15 % 2**64:032x}"
    header = Header(
        interaction_id=f"call-{number:08}", customer_key=key,
        channel="voice", queue=f"queue-{number % 8}", intent="billing", performer_kind="human",
        performer_id=f"agent-{number % 400:05}", source="bench",
    )  # fmt: skip
    row = ContactRow(
        header=header, started_ms=at_ms, ended_ms=at_ms + 200_000, handled=True, abandoned=False,
        resolved=True, transferred=False, transfers=0, handoffs_without_context=0,
        authentications=0, info_repeats=0, wait_ms=12_000, bot_sessions=(), handled_by="human",
        queued=True,
    )  # fmt: skip
    message = ContactMessage(header.interaction_id, CODE_VERSION << 48 | 7 << 16, row)
    stage.take(f"c{header.customer_key}".encode(), message)


def _grown(
    count: int,
    state: State,
    stage: Lifecycle | Journeys,
    add: Callable[[int], None],
    counts: Callable[[bytes], bool],
) -> Growth:
    """Add so many keys, with a tick every ten seconds and ten quiet minutes after the last."""
    a_tick = TICK_MS // CALL_EVERY_MS

    def tick(at_ms: int) -> None:
        stage.tick(Tick("lifecycle/0", 0, at_ms))
        stage.flush(state)

    # What comes with the first keys (caches, two hours of panes of seconds) is not theirs.
    before = 0
    warm = min(FINE_LIFE_MS // CALL_EVERY_MS + 5_000, count // 2) // a_tick * a_tick
    for first in range(0, count, a_tick):
        if first == warm:
            before = resident()
        for number in range(first, first + a_tick):
            add(number)
        tick(START_MS + first * CALL_EVERY_MS)
    for step in range(60):
        tick(START_MS + count * CALL_EVERY_MS + step * TICK_MS)
    grown = resident() - before
    sizes = [sys.getsizeof(k) + sys.getsizeof(v) for k, v in state.items() if counts(k)]
    return Growth(count, grown / (count - warm), sum(sizes) / len(sizes))


def main(what: str, count: int) -> None:
    """Measure, and print."""
    if what != "calls":
        measured = measure_open(count) if what == "open" else measure_customers(count)
        named = {"open": "open interactions", "customers": "customers of one contact"}[what]
        print(f"{count:,} {named}: resident memory grows by {measured.grown_bytes:.0f} bytes each")
        print(f"a record with its key: {measured.record_bytes:.0f} bytes")
        return
    kept = measure(count)
    print(f"{count:,} calls of 7 events, {kept.cpu_us:.0f} us an event")
    print(f"resident memory grows by {kept.grown_bytes:.0f} bytes a closed call")
    print(
        f"a record with its key: open {kept.open_bytes:.0f}, closed {kept.closed_bytes:.0f} bytes"
    )
    print(f"frozen: {kept.left} records are left, sums of cells")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("calls", "open", "customers"))
    parser.add_argument("count", type=int)
    chosen = parser.parse_args()
    main(chosen.what, chosen.count)
