"""The micro-batch layer: the same aggregates, exactly once, with restore and rebalances.

State and output are one topic, as a compacted output is the changelog of what it holds.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from functools import partial

import msgspec

from pipeline.microbatch import Batch, BatchApp, Broker, Stage
from tests.bench.work import Aggregate, Task, decode_event, say_first, say_last

Aggregates = dict[tuple[object, ...], Aggregate]


class Memory:
    """Aggregates of one partition, as objects."""

    def __init__(self, state: Mapping[bytes, bytes]) -> None:
        self.aggregates: Aggregates = {
            _key(key): msgspec.json.decode(value, type=Aggregate) for key, value in state.items()
        }

    def close(self) -> None:
        """Nothing is shown anywhere."""


def _key(text: bytes) -> tuple[object, ...]:
    *names, window = text.decode().split("|")
    return (*names, int(window))


async def main() -> None:
    """Do the task of the environment."""
    task = Task.of_environment()
    app = BatchApp(task.group, Broker(task.bootstrap))
    stage = Stage(
        app, "aggregate", topics=[task.topic], changelog=task.output,
        memory=lambda _number, state: Memory(state),
    )  # fmt: skip
    done = asyncio.Event()
    seen = committed = 0

    def count(records: int) -> None:
        nonlocal committed
        committed += records
        if committed == task.events:
            say_last(committed)
            done.set()

    @app.agent(stage.channel, name="aggregate")
    async def aggregate(batches: AsyncIterator[Batch]) -> None:
        nonlocal seen
        async for batch in stage.batches(batches):
            async with stage.checkpoint(batch) as checkpoint:
                if not seen:
                    say_first()
                seen += len(batch.log_records)
                aggregates: Aggregates = checkpoint.memory.aggregates
                changed = {
                    task.fold(decode_event(record.value), aggregates)
                    for record in batch.log_records
                }
                for key in changed:
                    checkpoint.put(
                        "|".join(map(str, key)).encode(), msgspec.json.encode(aggregates[key])
                    )
                checkpoint.after_commit(partial(count, len(batch.log_records)))

    await app.start()
    finished = asyncio.ensure_future(done.wait())
    ended = asyncio.ensure_future(app.ended.wait())
    await asyncio.wait((finished, ended), return_when=asyncio.FIRST_COMPLETED)
    if app.failure is not None:
        sys.exit(repr(app.failure))
    await app.stop()


if __name__ == "__main__":
    asyncio.run(main())
