"""Stock Faust with default settings: one message at a time, a plain dict, no Table.

With a Table, its changelog included, it is some three times slower still (``make bench-peers``).
"""

from __future__ import annotations

import os
import sys

import faust

from tests.bench.work import Aggregate, Task, decode_event, say_first, say_last

task = Task.of_environment()
app = faust.App(
    task.group,
    broker=f"kafka://{task.bootstrap}",
    store="memory://",
    web_enabled=False,
    consumer_auto_offset_reset="earliest",
    topic_allow_declare=False,
    topic_disable_leader=True,
    worker_redirect_stdouts=False,
    datadir=os.environ["BENCH_STATE"],
)
events = app.topic(task.topic, value_type=bytes, value_serializer="raw")


@app.agent(events)
async def aggregate(values: faust.StreamT[bytes]) -> None:
    aggregates: dict[tuple[object, ...], Aggregate] = {}
    seen = 0
    async for value in values:
        if not seen:
            say_first()
        task.fold(decode_event(value), aggregates)
        seen += 1
        if seen == task.events:
            say_last(seen)


if __name__ == "__main__":
    sys.argv = [sys.argv[0], "worker", "--loglevel", "error", "--without-web"]
    app.main()
