"""Two ways to run worked examples: a replay of files, and one center on a real Kafka.

Both see what any user sees: a command that prints rows, and records on ``cx.kpis``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from pipeline import topics_admin
from pipeline.identity import make_key
from pipeline.kpi import catalogue
from pipeline.stages.clock import tick_record
from pipeline.stages.wire import Tick
from schemas.topics import (
    CONTACTS,
    INTERACTIONS,
    KPIS,
    PARTIALS,
    PERFORMANCES,
    TOPICS,
    raw_topic,
    raw_topic_row,
)
from tests.golden.table import Check, Example, Json, Published, Value

CXSTREAM = Path(sys.executable).parent / "cxstream"
QUIET_SECONDS = 120.0
PARTITIONS = 3

NO_QUOTIENT = ("intent_drift", "confidence_drift")
"""KPIs whose value is no numerator over a denominator."""

LONG_AGO = {
    # Examples lie where the calendar needs them, so a broker must not refuse records for the
    # distance between their time and today.
    "log.message.timestamp.after.max.ms": str(2**63 - 1),
}
"""Properties of a Kafka that examples are played on."""

_CHOOSING = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)

STAGES = {
    "intake": raw_topic("interactions"),
    "lifecycle": INTERACTIONS,
    "journeys": CONTACTS,
    "performers": PERFORMANCES,
    "exhibits": PARTIALS,
}
"""What each stage reads, in the order in which records pass them."""


# --- comparing --------------------------------------------------------------------------------


def differences(rows: Iterable[Json], values: Iterable[Value]) -> list[str]:
    """What of ``values`` is not in ``rows``, in words; nothing if all is as it must be."""
    found = {_place(row): row for row in rows}
    wrong = []
    for value in values:
        place = (value.kpi.name, value.window, frozenset(value.dimensions.items()), value.state)
        row = found.get(place)
        if row is None:
            others = [
                f"{key[3]} {_fraction(r)}" for key, r in found.items() if key[:3] == place[:3]
            ]
            wrong.append(f"{value}: no {value.state} value, but {others or 'nothing'}")
            continue
        expected = (value.numerator, value.denominator, value.n, value.revision)
        numerator = row["numerator"]
        if value.about and _within_a_percent(numerator, value.numerator):
            numerator = value.numerator
        got = (numerator, row["denominator"], row["n"], row["revision"])
        if got != expected:
            wrong.append(f"{value}: numerator, denominator, n, revision {got}, expected {expected}")
        if value.status and row["status"] != value.status:
            wrong.append(f"{value}: status {row['status']}, expected {value.status}")
        if not value.about and _rounded(row["value"], value.value) != value.value:
            wrong.append(f"{value}: value {row['value']}, expected {value.value}")
        if row["value"] != _quotient(row):
            wrong.append(f"{value}: value {row['value']} is not {_fraction(row)}")
    return wrong


def _place(row: Json) -> tuple[str, tuple[str, str | None, str | None], frozenset[object], str]:
    window = row["window"]
    start = window["start"] if window["kind"] == "tumbling" else None
    dimensions = {name: value for name, value in row["dimensions"].items() if value != "*"}
    return (
        row["as"], (window["kind"], window["size"], start),
        frozenset(dimensions.items()), row["state"],
    )  # fmt: skip


def _fraction(row: Json) -> str:
    return f"{row['numerator']}/{row['denominator']}"


def _within_a_percent(got: int | None, expected: int | None) -> bool:
    return got is not None and expected is not None and 100 * abs(got - expected) <= expected


def _rounded(value: float | None, like: str) -> str:
    if value is None:
        return "null"
    return f"{value:.{len(like.partition('.')[2])}f}"


def _quotient(row: Json) -> Any:
    """The value by the contract's rule of its unit."""
    numerator, denominator = row["numerator"], row["denominator"]
    if row["unit"] == "count":  # none of what is counted, and none of what it is counted among
        return None if row["value"] is None else numerator
    if row["kpi"] in NO_QUOTIENT:
        return row["value"]
    if denominator is None and numerator is not None and row["value"] is not None:
        denominator = 1  # a total, or a gauge
    if numerator is None or not denominator:  # nothing was counted
        return None
    scale = {"ratio": 1, "score": 1, "seconds": 1 / 1000, "points": 100}[row["unit"]]
    if catalogue.load().definition(row["kpi"]).micro:
        scale = 1 / 1_000_000
    quotient = numerator / denominator * scale
    return row["value"] if abs(row["value"] - quotient) <= 1e-9 * abs(quotient) else quotient


# --- replay -----------------------------------------------------------------------------------


def cxstream(*arguments: str | Path, environment: Json | None = None) -> str:
    """Standard output of a run of the command, which must succeed."""
    done = subprocess.run(
        [CXSTREAM, *arguments], capture_output=True, text=True, check=False,
        env={**os.environ, **(environment or {})},
    )  # fmt: skip
    assert done.returncode == 0, f"cxstream ended with {done.returncode}:\n{done.stderr}"
    return done.stdout


def json_lines(text: str) -> tuple[list[Json], Json]:
    """Rows and summary of ``--json``."""
    *rows, last = (json.loads(line) for line in text.splitlines())
    return rows, last["summary"]


def replay_as_of(folder: Path, example: Example, check: Check) -> list[Json]:
    """Rows of ``cxstream replay`` as of a check. Events that lie after it are in the file, too."""
    events = [*example.arrived_before(check), *example.later_than(check)]
    assert check.clock is not None
    return _replay(folder, [example], events, check.clock.isoformat())


def replay_final(folder: Path, examples: Sequence[Example]) -> list[Json]:
    """Rows of one ``cxstream replay`` of all examples, when everything is over."""
    last = [(e, check) for e in examples for check in e.checks if check.clock is None]
    events = [event for e, check in last for event in e.arrived_before(check)]
    return _replay(folder, examples, events, "final")


def replay_facts(folder: Path, examples: Sequence[Example]) -> Path:
    """A file with the facts of all examples in the end, as ``cxstream replay`` prints them."""
    log = folder / "events.jsonl"
    steps = [step for example in examples for step in example.steps if isinstance(step, list)]
    log.write_text("".join(json.dumps(event) + "\n" for step in steps for event in step))
    facts = folder / "facts.jsonl"
    facts.write_text(cxstream("replay", "--emit=facts", "--json", log))
    return facts


def _replay(
    folder: Path, examples: Sequence[Example], events: Iterable[Json], as_of: str
) -> list[Json]:
    log = folder / "events.jsonl"
    log.write_text("".join(json.dumps(event) + "\n" for event in events))
    exhibits = [f"--exhibit={exhibit_file(folder, example)}" for example in examples]
    rows, _ = json_lines(cxstream("replay", *exhibits, f"--as-of={as_of}", "--json", log))
    return rows


def exhibit_file(folder: Path, example: Example) -> Path:
    """The example's exhibit as a file: JSON, which is YAML."""
    file = folder / f"{example.name}.yaml"
    file.write_text(json.dumps(example.exhibit(), indent=1, default=str))
    return file


# --- a center on Kafka ------------------------------------------------------------------------


@dataclass
class Played:
    """What was on ``cx.kpis``: rows as they stood at each check, and every version ever."""

    at: dict[tuple[str, str], list[Json]] = field(default_factory=dict)
    versions: defaultdict[bytes, list[Json]] = field(default_factory=lambda: defaultdict(list))

    def published(self, example: Example, value: Published) -> tuple[str, ...]:
        """Versions of one value, in order; the same one published again is told once."""
        wanted = (value.kpi.name, value.window, frozenset(value.dimensions.items()))
        told = [
            f"{row['state']} {_fraction(row)}"
            for rows in self.versions.values()
            for row in rows
            if row["exhibit"] == example.name and _place(row)[:3] == wanted
        ]
        return tuple(text for text, _ in groupby(told))


class Center:
    """All examples in one log, under one clock; exhibits keep them apart.

    A worker that is told its ticks reads what is written here as it would read anything.
    """

    def __init__(self, bootstrap: str, worker: subprocess.Popen[bytes], log: Path) -> None:
        self._worker = worker
        self._log = log
        client = {"bootstrap.servers": bootstrap, "log_level": 0}
        self._producer = Producer({**client, "acks": "all"})
        self._readers = {
            stage: Consumer({**client, "group.id": f"golden-{stage}"}) for stage in STAGES
        }
        self._kpis = Consumer(
            {
                **client,
                "group.id": "golden-tests",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )
        self._kpis.assign([TopicPartition(KPIS, number, 0) for number in range(PARTITIONS)])
        self._position = [0] * PARTITIONS
        self._standing: dict[bytes, Json] = {}
        self.played = Played()

    def close(self) -> None:
        for consumer in (self._kpis, *self._readers.values()):
            consumer.close()

    def play(self, examples: Sequence[Example]) -> Played:
        """Let every example happen, its checks in the order of the clock."""
        timed = [(c.clock, e, c) for e in examples for c in e.checks if c.clock is not None]
        for clock, example, check in sorted(timed, key=lambda item: (item[0], item[1].name)):
            self._send(self._due(example, check))
            self._tick(clock)
            self._stands(example, check)
        last = [(e, c) for e in examples for c in e.checks if c.clock is None]
        for example, check in last:
            self._send(self._due(example, check))
        self._tick(self._end(examples), complete=True)
        for example, check in last:
            self._stands(example, check)
        return self.played

    @staticmethod
    def _due(example: Example, check: Check) -> list[Json]:
        """Events that arrive between the check before and this one."""
        due: list[Json] = []
        for step in example.steps[: example.steps.index(check)]:
            due = [*due, *step] if isinstance(step, list) else []
        return due

    @staticmethod
    def _end(examples: Sequence[Example]) -> datetime:
        """A moment at which every cohort of every example is mature."""
        times = [
            datetime.fromisoformat(event["occurred_at"])
            for example in examples
            for step in example.steps
            if isinstance(step, list)
            for event in step
        ]
        return max(times) + timedelta(days=30)

    def _send(self, events: Iterable[Json]) -> None:
        for event in events:
            self._producer.produce(
                raw_topic("interactions"), json.dumps(event).encode(),
                key=event["interaction_id"].encode(),
                timestamp=_epoch_ms(datetime.fromisoformat(event["occurred_at"])),
            )  # fmt: skip
        assert self._producer.flush(30) == 0
        self._drain()

    def _tick(self, clock: datetime, *, complete: bool = False) -> None:
        value, headers = tick_record(Tick("", 0, _epoch_ms(clock), complete, complete))
        for number in range(PARTITIONS):
            self._producer.produce(
                INTERACTIONS, value, partition=number, headers=headers, timestamp=_epoch_ms(clock)
            )
        assert self._producer.flush(30) == 0
        self._drain()
        self._read()

    def _stands(self, example: Example, check: Check) -> None:
        rows = [row for row in self._standing.values() if row["exhibit"] == example.name]
        self.played.at[example.name, check.title] = rows

    def _drain(self) -> None:
        """Return when each stage has committed all it was given, in the order they lie."""
        for stage in STAGES:
            self._wait(partial(self._caught_up, stage), f"{stage} has caught up")

    def _caught_up(self, stage: str) -> bool:
        reader = self._readers[stage]
        partitions = [TopicPartition(STAGES[stage], number) for number in range(PARTITIONS)]
        try:
            committed = reader.committed(partitions, timeout=10)
        except KafkaException as error:
            # A broker that has just started still chooses who keeps the offsets of a group.
            if error.args[0].code() not in _CHOOSING:
                raise
            return False
        return all(
            max(tp.offset, 0) == reader.get_watermark_offsets(tp, timeout=10)[1] for tp in committed
        )

    def _read(self) -> None:
        """Read ``cx.kpis`` to its end."""
        ends = [
            self._kpis.get_watermark_offsets(TopicPartition(KPIS, number), timeout=10)[1]
            for number in range(PARTITIONS)
        ]
        self._wait(lambda: self._read_some(ends), "cx.kpis is read")

    def _read_some(self, ends: Sequence[int]) -> bool:
        for message in self._kpis.consume(10_000, timeout=0.05):
            if message.error() is None:
                self._take(message.key(), message.value())
                self._position[message.partition()] = message.offset() + 1
            else:  # the end of the partition: markers of transactions are passed
                self._position[message.partition()] = message.offset()
        return all(at >= end for at, end in zip(self._position, ends, strict=True))

    def _take(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            self._standing.pop(key, None)
            return
        row = json.loads(value)
        self._standing[key] = row
        self.played.versions[key].append(row)

    def _wait(self, done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + QUIET_SECONDS
        while not done():
            assert self._worker.poll() is None, f"the worker ended:\n{self._log.read_text()}"
            assert time.monotonic() < deadline, f"waited in vain: {what}\n{self._log.read_text()}"
            time.sleep(0.02)


@contextmanager
def center(bootstrap: str, folder: Path, examples: Sequence[Example]) -> Iterator[Center]:
    """A center with the topics, and a ``cxstream worker`` with the exhibits of all examples."""
    rows = [*TOPICS.values(), raw_topic_row("interactions")]
    topics_admin.apply(bootstrap, topics_admin.plan(bootstrap, PARTITIONS, 1, rows))
    files = [str(exhibit_file(folder, example)) for example in examples]
    environment = {
        **os.environ,
        "CXSTREAM_BOOTSTRAP": bootstrap,
        "CXSTREAM_GROUP_PREFIX": "golden",
        "CXSTREAM_ROLES": ",".join(STAGES),
        "CXSTREAM_EXHIBITS": ",".join(files),
        "CXSTREAM_TICKS": "external",
        "CXSTREAM_IDENTITY_KEY_FILE": str(folder / "identity.key"),
    }
    make_key(folder / "identity.key")
    log = folder / "worker.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [CXSTREAM, "worker"], env=environment, stdout=output, stderr=output
        ) as worker,
    ):
        running = Center(bootstrap, worker, log)
        try:
            yield running
        finally:
            running.close()
            worker.terminate()


def _epoch_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
