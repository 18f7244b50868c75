"""Bytewax: its Kafka source, an own window in ``stateful_batch``, recovery on (SQLite, each 10 s).

The library's own ``fold_window`` takes one event at a time and costs about twice as much.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import bytewax.operators as op
import msgspec
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main
from confluent_kafka import OFFSET_BEGINNING

from tests.bench.work import Aggregate, Event, Task, decode_event, say_first, say_last

task = Task.of_environment()
seen = 0
Key = tuple[object, ...]


def parse(messages: list) -> list[tuple[str, Event]]:
    global seen  # noqa: PLW0603 - one worker, one thread
    if not seen:
        say_first()
    seen += len(messages)
    events = [decode_event(message.value) for message in messages]
    return [(event.customer_id if task.by_customer else event.queue, event) for event in events]


class Windows(StatefulBatchLogic):
    """Aggregates of one queue or customer."""

    def __init__(self, state: dict[Key, Aggregate] | None) -> None:
        self.aggregates: dict[Key, Aggregate] = state or {}

    def on_batch(self, values: list[Event]) -> tuple[Iterable[tuple[Key, Aggregate]], bool]:
        changed = {task.fold(event, self.aggregates) for event in values}
        return [(key, self.aggregates[key]) for key in changed], StatefulBatchLogic.RETAIN

    def snapshot(self) -> dict[Key, Aggregate]:
        return {key: list(aggregate) for key, aggregate in self.aggregates.items()}


def message(keyed: tuple[str, tuple[Key, Aggregate]]) -> KafkaSinkMessage:
    key, aggregate = keyed[1]
    return KafkaSinkMessage("|".join(map(str, key)).encode(), msgspec.json.encode(aggregate))


flow = Dataflow("bench")
quick = {"fetch.queue.backoff.ms": "5"}
source = KafkaSource(
    [task.bootstrap], [task.topic], tail=False, starting_offset=OFFSET_BEGINNING,
    batch_size=1000, add_config=quick,
)  # fmt: skip
keyed = op.flat_map_batch("parse", op.input("in", flow, source), parse)
changed = op.stateful_batch("aggregate", keyed, Windows)
op.output("out", op.map("message", changed, message), KafkaSink([task.bootstrap], task.output))

if __name__ == "__main__":
    folder = Path(os.environ["BENCH_STATE"])
    init_db_dir(folder, 1)
    cli_main(flow, recovery_config=RecoveryConfig(folder))
    say_last(seen)
