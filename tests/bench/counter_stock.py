"""Stock Faust with default settings: an agent that counts raw values."""

from __future__ import annotations

import os
import sys
import time

import faust

TOTAL = int(os.environ["BENCH_TOTAL"])

app = faust.App(
    os.environ["BENCH_GROUP"],
    broker="kafka://" + os.environ["BENCH_BOOTSTRAP"],
    store="memory://",
    web_enabled=False,
    consumer_auto_offset_reset="earliest",
    topic_allow_declare=False,
    topic_disable_leader=True,
    worker_redirect_stdouts=False,
    datadir=os.environ["BENCH_FOLDER"],
)
events = app.topic(os.environ["BENCH_TOPIC"], value_type=bytes, value_serializer="raw")


@app.agent(events)
async def count(values: faust.StreamT[bytes]) -> None:
    began = cpu = 0.0
    records = size = 0
    async for value in values:
        if not records:
            began, cpu = time.monotonic(), time.process_time()
        records += 1
        size += len(value)
        if records == TOTAL:
            seconds, busy = time.monotonic() - began, time.process_time() - cpu
            os.write(1, f"counted {records} {size} {seconds} {busy}\n".encode())
            os._exit(0)


if __name__ == "__main__":
    sys.argv = [sys.argv[0], "worker", "--loglevel", "error", "--without-web"]
    app.main()
