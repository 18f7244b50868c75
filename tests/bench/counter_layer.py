"""The micro-batch layer: an agent that counts raw values and commits its offsets."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator

from pipeline.microbatch import Batch, BatchApp, Broker, Stage

TOTAL = int(os.environ["BENCH_TOTAL"])


async def main() -> None:
    app = BatchApp(os.environ["BENCH_GROUP"], Broker(os.environ["BENCH_BOOTSTRAP"]))
    stage = Stage(app, "count", topics=[os.environ["BENCH_TOPIC"]])
    done = asyncio.Event()
    told = ""

    @app.agent(stage.channel, name="count")
    async def count(batches: AsyncIterator[Batch]) -> None:
        nonlocal told
        began = cpu = 0.0
        records = size = 0
        async for batch in stage.batches(batches):
            async with stage.checkpoint(batch):
                if not records:
                    began, cpu = time.monotonic(), time.process_time()
                records += len(batch.records)
                size += sum(len(record.value or b"") for record in batch.records)
                if records == TOTAL:
                    seconds, busy = time.monotonic() - began, time.process_time() - cpu
                    told = f"counted {records} {size} {seconds} {busy}\n"
                    done.set()

    await app.start()
    await done.wait()
    os.write(1, told.encode())
    await app.stop()


asyncio.run(main())
