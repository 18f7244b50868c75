"""Resident memory of what the lifecycle keeps of an interaction: open, closed, frozen.

``python -m tests.bench.memory [INTERACTIONS]`` lets a center of five calls a second go through the
stage as its agent does, without Kafka, under the default exhibit, with a tick every ten seconds.
Calls are packed an hour after their end: from then on the growth of memory is that of closed ones.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

import psutil

from pipeline.cli.exhibits import read_exhibits
from pipeline.folds.event import Event
from pipeline.folds.silence import Silence
from pipeline.stages.configuration import Configuration
from pipeline.stages.lifecycle import Lifecycle
from pipeline.stages.packing import is_packed
from pipeline.stages.publisher import Publisher
from pipeline.stages.wire import Headers, Tick

START_MS = 1_740_996_000_000
HOUR_MS = 3_600_000
TICK_MS = 10_000
CALL_EVERY_MS = 200


class State(dict[bytes, bytes]):
    """Committed state that is its own overlay; outputs go nowhere."""

    def put(self, key: bytes, value: bytes) -> None:
        self[key] = value

    def delete(self, key: bytes, headers: Headers = ()) -> None:  # noqa: ARG002
        self.pop(key, None)

    def send(self, *_: object, **__: object) -> None:
        return


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
    publisher = Publisher("lifecycle/0", state, partial_partitions=1, clock_topics={}, partitions=1)
    stage = Lifecycle(Configuration.of(read_exhibits([])), publisher, state, Silence())
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
    clock_ms = START_MS + count * CALL_EVERY_MS + publisher.plan.horizon_ms + HOUR_MS
    for second in range(count // 2_000 + 3):
        tick(clock_ms + second * 1_000)
    grown_bytes = (after - before) / (late - early)
    return Kept(cpu_seconds * 1e6 / count / 7, grown_bytes, open_bytes, closed_bytes, len(state))


def _mean_bytes(state: State, *, packed: bool) -> float:
    told = [one for one in state.items() if one[0][:1] == b"i" and is_packed(one[1]) == packed]
    return sum(sys.getsizeof(key) + sys.getsizeof(value) for key, value in told) / len(told)


def main(count: int) -> None:
    """Measure, and print."""
    kept = measure(count)
    print(f"{count:,} calls of 7 events, {kept.cpu_us:.0f} us an event")
    print(f"resident memory grows by {kept.grown_bytes:.0f} bytes a closed call")
    print(
        f"a record with its key: open {kept.open_bytes:.0f}, closed {kept.closed_bytes:.0f} bytes"
    )
    print(f"frozen: {kept.left} records are left, sums of cells")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
