"""Restore: the layer takes over partitions whose state lies in a changelog.

The clock runs from the assignment of the partitions until the last of them is ready.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from pipeline.microbatch import Batch, BatchApp, Broker, Observer, Stage
from tests.bench.work import PARTITIONS, Task, say_first, say_last


class Restored(Observer):
    """Waits for all partitions."""

    def __init__(self) -> None:
        self.all = asyncio.Event()
        self._keys: dict[tuple[str, int], int] = {}

    def assigned(self, stage: str, owned: int, total: int) -> None:  # noqa: ARG002
        """The clock starts."""
        if owned == total:
            say_first()

    def restored(self, stage: str, topic: str, partition: int, keys: int) -> None:  # noqa: ARG002
        """The clock stops with the last one."""
        self._keys[topic, partition] = keys
        if len(self._keys) == PARTITIONS:
            say_last(sum(self._keys.values()))
            self.all.set()


async def main() -> None:
    """Do the task of the environment: its output is the changelog to restore from."""
    task = Task.of_environment()
    restored = Restored()
    app = BatchApp(task.group, Broker(task.bootstrap), restored)
    stage = Stage(app, "restore", topics=[task.topic], changelog=task.output)

    @app.agent(stage.channel, name="restore")
    async def read_nothing(batches: AsyncIterator[Batch]) -> None:
        async for _ in stage.batches(batches):
            return

    await app.start()
    await restored.all.wait()
    await app.stop()


if __name__ == "__main__":
    asyncio.run(main())
