"""Quix Streams: a tumbling window over the message key, RocksDB state, changelog on."""

from __future__ import annotations

import os
from datetime import timedelta

from quixstreams import Application
from quixstreams.models.serializers import Deserializer

from tests.bench.work import Aggregate, Event, Task, decode_event, say_first, say_last

task = Task.of_environment()
seen = 0


class EventDeserializer(Deserializer):
    """Typed decoding, as everybody here does it."""

    def __call__(self, value: bytes, ctx: object) -> Event:  # noqa: ARG002 - named so by Quix
        return decode_event(value)


def add(aggregate: Aggregate, event: Event) -> Aggregate:
    answered = event.csat is not None
    return [
        aggregate[0] + 1,
        aggregate[1] + event.talk_s + event.hold_s + event.acw_s,
        aggregate[2] + answered,
        aggregate[3] + (event.csat or 0),
    ]


def processed(_topic: str, _partition: int, _offset: int) -> None:
    global seen  # noqa: PLW0603 - one worker, one thread
    if not seen:
        say_first()
    seen += 1
    if seen == task.events:
        app.stop()


app = Application(
    task.bootstrap,
    consumer_group=task.group,
    auto_offset_reset="earliest",
    state_dir=os.environ["BENCH_STATE"],
    commit_interval=1.0,
    loglevel="WARNING",
    on_message_processed=processed,
    consumer_extra_config={"fetch.queue.backoff.ms": 5},
)
events = app.dataframe(
    app.topic(
        task.topic,
        key_deserializer="str",
        value_deserializer=EventDeserializer(),
        timestamp_extractor=lambda value, _headers, _timestamp, _kind: value.ts,
    )
)
window = events.tumbling_window(timedelta(milliseconds=task.window_ms), grace_ms=0)
sums = window.reduce(reducer=add, initializer=lambda event: add([0, 0.0, 0, 0], event)).final()
sums = sums.apply(lambda sum_: [*sum_["value"], sum_["start"]])
sums.to_topic(app.topic(task.output, key_serializer="str", value_serializer="json"))

if __name__ == "__main__":
    app.run()  # its end flushes and writes the checkpoint
    say_last(seen)
