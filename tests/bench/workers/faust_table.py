"""Stock Faust with default settings: a windowed table in memory, with its changelog."""

from __future__ import annotations

import os
import sys

import faust

from tests.bench.work import PARTITIONS, Event, Task, decode_event, say_first, say_last

task = Task.of_environment()
app = faust.App(
    task.group,
    broker=f"kafka://{task.bootstrap}",
    store="memory://",
    topic_partitions=PARTITIONS,
    topic_replication_factor=1,
    web_enabled=False,
    consumer_auto_offset_reset="earliest",
    worker_redirect_stdouts=False,
    datadir=os.environ["BENCH_STATE"],
)
events = app.topic(task.topic, key_type=bytes, value_type=bytes, value_serializer="raw")
now_s = 0.0
table = app.Table("aggregates", default=list, partitions=PARTITIONS)
windows = table.tumbling(task.window_ms / 1000, expires=86_400).relative_to(lambda _event: now_s)


def add(event: Event) -> None:
    global now_s  # noqa: PLW0603 - the table asks for the time of the event at hand
    now_s = event.ts / 1000
    key = event.customer_id if task.by_customer else f"{event.queue}|{event.channel}"
    known = windows[key].value() or [0, 0.0, 0, 0]
    answered = event.csat is not None
    windows[key] = [
        known[0] + 1,
        known[1] + event.talk_s + event.hold_s + event.acw_s,
        known[2] + answered,
        known[3] + (event.csat or 0),
    ]


@app.agent(events)
async def aggregate(values: faust.StreamT[bytes]) -> None:
    seen = 0
    async for value in values:
        if not seen:
            say_first()
        add(decode_event(value))
        seen += 1
        if seen == task.events:
            await app.consumer.commit()
            say_last(seen)


if __name__ == "__main__":
    sys.argv = [sys.argv[0], "worker", "--loglevel", "error", "--without-web"]
    app.main()
