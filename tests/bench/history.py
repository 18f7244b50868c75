"""What a touch of one performer costs as the history grows, in memory: CPU of this thread.

Each day is a shift of eight hours with a contact each ten minutes; a touch tells of a state and of
a stint that begins, is left or is closed, and passes a tick.

    python -m tests.bench.history --days 7 --kpis 31 128
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.table import Table

from pipeline.folds.event import Event
from pipeline.folds.performances import ShiftRow, StintRow
from pipeline.microbatch.garbage import tune_garbage_collection
from pipeline.stages.configuration import Configuration
from pipeline.stages.performers import Performers
from pipeline.stages.wire import PerformanceMessage, Tick
from schemas.facts import Header
from tests.bench.growth import exhibit_of
from tests.bench.stages import START_MS, Checkpoint, Memory, memory_of

KEY: Final = b"ann"
MINUTE_MS: Final = 60_000
DAY_MS: Final = 1_440 * MINUTE_MS
_WHO: Final = Header(performer_id="ann", channel="voice", queue="sales")


def state_told(at_ms: int, state: str) -> PerformanceMessage:
    """The performer is in ``state`` from ``at_ms`` on."""
    event = Event(
        occurred_ms=at_ms, kind="performer_state", event_id=f"{at_ms}", content_hash=at_ms,
        channel="voice", source="bench", performer_id="ann", queue="sales", state=state,
    )  # fmt: skip
    return PerformanceMessage(event.event_id, 0, state=event)


def stint_told(begin_ms: int, minutes: tuple[int | None, int | None]) -> PerformanceMessage:
    """A contact from ``begin_ms`` on; it is left and closed so many minutes later, if it is."""
    left_ms, closed_ms = (None if m is None else begin_ms + m * MINUTE_MS for m in minutes)
    version = 1 + sum(minute is not None for minute in minutes) << 16
    row = StintRow(
        _WHO, is_contact=True, accepted_ms=begin_ms, left_ms=left_ms, closed_ms=closed_ms
    )
    return PerformanceMessage(f"stint {begin_ms}", version, row)


def day(number: int) -> Iterator[tuple[int, list[PerformanceMessage]]]:
    """What is told at each touch of a day, with its instant."""
    begin_ms = START_MS + number * DAY_MS
    shift = ShiftRow(_WHO, "on_queue", begin_ms, begin_ms + 480 * MINUTE_MS)
    planned = PerformanceMessage(f"schedule/{number}", 1 << 16, shift)
    yield begin_ms, [planned, state_told(begin_ms, "available")]
    for contact in range(47):
        at_ms = begin_ms + (10 * contact + 5) * MINUTE_MS
        yield at_ms, [stint_told(at_ms, (None, None)), state_told(at_ms, "busy")]
        left_ms, closed_ms = at_ms + 4 * MINUTE_MS, at_ms + 5 * MINUTE_MS
        yield left_ms, [stint_told(at_ms, (4, None)), state_told(left_ms, "wrap")]
        yield closed_ms, [stint_told(at_ms, (4, 5)), state_told(closed_ms, "available")]
    end_ms = begin_ms + 480 * MINUTE_MS
    yield end_ms, [state_told(end_ms, "offline")]


def main() -> None:
    """Print the cost of a touch and the size of the record, day by day."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--kpis", type=int, nargs="+", default=[31, 128])
    chosen = parser.parse_args()
    tune_garbage_collection()
    table = Table("KPIs", "day", "ms/touch", "KiB of its record")
    for kpis in chosen.kpis:
        state: dict[bytes, bytes] = {}
        exhibits = Configuration.of([exhibit_of(kpis, ("channel", "queue"))])
        stage: Performers = memory_of("performers", exhibits, state)
        memory = Memory()
        for number in range(chosen.days):
            spent, touches = 0.0, 0
            for at_ms, messages in day(number):
                checkpoint = Checkpoint(memory, state, at_ms)
                before = time.thread_time()
                for message in messages:
                    stage.take(KEY, message)
                stage.tick(Tick("lifecycle/0", 1, at_ms))
                stage.flush(checkpoint)
                spent += time.thread_time() - before
                touches += 1
                checkpoint.commit()
            size = f"{len(state[KEY]) / 1024:.0f}"
            table.add_row(str(kpis), str(number + 1), f"{spent / touches * 1e3:.2f}", size)
    Console().print(table)


if __name__ == "__main__":
    main()
