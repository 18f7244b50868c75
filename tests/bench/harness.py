"""Runs a worker once and says what it cost.

A worker is a process of its own, pinned to one core with all its threads; broker and harness have
the others. The clock runs between the two lines that a worker writes (:mod:`tests.bench.work`), so
the start of a process is left out. CPU is user and system time of its process tree between the same
two moments. Afterwards the output is read back: its sums must be the producer's.
"""

from __future__ import annotations

import math
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import IO, Final, Self

import msgspec
import psutil
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.bench.work import FORMS, Sums, Task

WORKER_CORE: Final = 0
LIMIT_SECONDS: Final = 600.0
_SAMPLE_SECONDS: Final = 0.25
_COMMITTED_POLL_SECONDS: Final = 0.1
_READ_BACK_SECONDS: Final = 60.0


class BenchError(RuntimeError):
    """A worker ended early, ran out of time, or gave sums that are not the producer's."""


@dataclass(frozen=True)
class Worker:
    """How to start one of the contestants.

    Attributes:
        name: As the table shows it.
        command: Program and arguments.
        environment: Added to this process's.
        guarantee: What it promises as run.
        checked: Its output holds the latest value of every aggregate, so sums can be compared.
    """

    name: str
    command: Sequence[str]
    guarantee: str
    environment: Mapping[str, str] = field(default_factory=dict)
    checked: bool = True

    @classmethod
    def of_module(cls, name: str, module: str, guarantee: str, *arguments: str) -> Self:
        """A worker of this package."""
        command = (sys.executable, "-m", f"tests.bench.workers.{module}", *arguments)
        return cls(name, command, guarantee)


class Measurement(msgspec.Struct, frozen=True):
    """What one run cost."""

    events: int
    seconds: float
    cpu_seconds: float
    peak_rss_bytes: int

    @property
    def cpu_us(self) -> float:
        """CPU microseconds an event, or CPU seconds a million."""
        return self.cpu_seconds / self.events * 1e6

    @property
    def rate(self) -> float:
        """Events a second on the wall clock."""
        return self.events / self.seconds


def run(
    worker: Worker,
    bootstrap: str,
    form: str,
    expected: Sums,
    *,
    processes: int = 1,
    most_events: int = sys.maxsize,
) -> Measurement:
    """Let ``worker`` do the work of ``form`` once, on at most ``most_events`` of its events.

    Raises:
        BenchError: it did not do it, or not rightly.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 3})
    name = f"bench-{uuid.uuid4().hex[:12]}"
    topic, window_ms, partitions = FORMS[form]
    admin.create_topics([NewTopic(name, partitions, 1)])[name].result()
    events = min(expected.events, most_events)
    task = Task(bootstrap, topic, name, name, form == "many", window_ms, events, partitions)
    try:
        found = run_task(worker, task, processes=processes)
        if worker.checked and events == expected.events:
            _check(worker, _sums(bootstrap, name, partitions), expected)
        return found
    finally:
        admin.delete_topics([name])[name].result()


def run_task(
    worker: Worker, task: Task, *, processes: int = 1, limit_seconds: float = LIMIT_SECONDS
) -> Measurement:
    """Run ``worker`` on ``task`` in one process or, as one consumer group, in several."""
    with ExitStack() as stack:
        log = stack.enter_context(tempfile.TemporaryFile("w+"))
        state = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
        children = [
            stack.enter_context(_Child(worker, task, state, log, limit_seconds))
            for _ in range(processes)
        ]
        try:
            begun = [child.wait_for(b"BENCH_FIRST")[0] for child in children]
            if processes == 1:
                ended, words = children[0].wait_for(b"BENCH_LAST")
                ends, events = [ended], int(words[1])
            else:
                _wait_committed(task, limit_seconds)
                ends, events = [child.mark() for child in children], task.events
        except BenchError as failure:
            log.seek(0)
            raise BenchError(f"{failure}\n{log.read()[-2000:]}") from None
        cpu_seconds = sum(e.cpu_seconds - b.cpu_seconds for b, e in zip(begun, ends, strict=True))
        seconds = max(e.at for e in ends) - min(b.at for b in begun)
        return Measurement(events, seconds, cpu_seconds, sum(c.peak_rss_bytes for c in children))


class _Mark(msgspec.Struct, frozen=True):
    at: float
    cpu_seconds: float


class _Child:
    """A pinned worker process, with what it and its children have used."""

    def __init__(
        self, worker: Worker, task: Task, state: str, log: IO[str], limit_seconds: float
    ) -> None:
        self._worker = worker
        environment = {
            **os.environ,
            **worker.environment,
            "BENCH_TASK": msgspec.json.encode(task).decode(),
            "BENCH_STATE": state,
        }
        self._process = subprocess.Popen(
            ["taskset", "--cpu-list", str(WORKER_CORE), *worker.command],
            env=environment, stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
        self._ps = psutil.Process(self._process.pid)
        self._limit = threading.Timer(limit_seconds, self._process.kill)
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._sample, self._listen)
        ]
        self._said: queue.SimpleQueue[tuple[list[bytes], _Mark] | None] = queue.SimpleQueue()
        self._cpu_seconds: dict[int, float] = {}
        self._looking = threading.Lock()
        self.peak_rss_bytes = 0

    def __enter__(self) -> Self:
        self._limit.start()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._limit.cancel()
        self._process.kill()
        self._process.wait()
        for thread in self._threads:
            thread.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def wait_for(self, said: bytes) -> tuple[_Mark, list[bytes]]:
        """Return when the worker says so: what it had used by then, and its words."""
        while (told := self._said.get()) is not None:
            words, mark = told
            if words[0] == said:
                return mark, words
        raise BenchError(f"{self._worker.name} ended without saying {said.decode()}")

    def mark(self) -> _Mark:
        """What has been used up to now."""
        self._look()
        with self._looking:
            return _Mark(time.monotonic(), sum(self._cpu_seconds.values()))

    def _look(self) -> None:
        with self._looking:
            rss_bytes = 0
            try:
                for process in (self._ps, *self._ps.children(recursive=True)):
                    times = process.cpu_times()
                    self._cpu_seconds[process.pid] = times.user + times.system
                    rss_bytes += process.memory_info().rss
            except psutil.Error:
                return  # a process that has just ended counts as last seen
            self.peak_rss_bytes = max(self.peak_rss_bytes, rss_bytes)

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            if line.startswith(b"BENCH_"):
                self._said.put((line.split(), self.mark()))
        self._said.put(None)

    def _sample(self) -> None:
        while not self._ended.wait(_SAMPLE_SECONDS):
            self._look()


def _wait_committed(task: Task, limit_seconds: float) -> None:
    """Return when the group has committed the whole topic."""
    admin = AdminClient({"bootstrap.servers": task.bootstrap, "log_level": 3})
    group = ConsumerGroupTopicPartitions(
        task.group, [TopicPartition(task.topic, n) for n in range(task.partitions)]
    )
    ends_at = time.monotonic() + limit_seconds
    while time.monotonic() < ends_at:
        found = admin.list_consumer_group_offsets([group])[task.group].result()
        if sum(max(tp.offset, 0) for tp in found.topic_partitions) == task.events:
            return
        time.sleep(_COMMITTED_POLL_SECONDS)
    raise BenchError(f"not all of {task.topic} was committed within {limit_seconds:.0f} s")


def _sums(bootstrap: str, topic: str, partitions: int) -> Sums:
    """The latest committed aggregates of an output topic, added up."""
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": topic, "enable.auto.commit": False,
        "isolation.level": "read_committed", "enable.partition.eof": True,
        "fetch.queue.backoff.ms": 5,
    })  # fmt: skip
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    latest: dict[bytes, bytes] = {}
    left = partitions
    ends_at = time.monotonic() + _READ_BACK_SECONDS
    while left and time.monotonic() < ends_at:
        for message in consumer.consume(10_000, 0.5):
            if message.error() is not None:
                left -= 1
            else:
                latest[message.key()] = message.value()
    consumer.close()
    return _added(latest.values())


def _added(values: Iterable[bytes]) -> Sums:
    rows = [msgspec.json.decode(value, type=list[float]) for value in values]
    columns = [math.fsum(row[n] for row in rows) for n in range(4)]
    return Sums(round(columns[0]), columns[1], round(columns[2]), round(columns[3]))


def _check(worker: Worker, found: Sums, expected: Sums) -> None:
    alike = math.isclose(found.seconds, expected.seconds, rel_tol=1e-9)
    if found._replace(seconds=0) != expected._replace(seconds=0) or not alike:
        raise BenchError(f"{worker.name} gave {found}, the producer wrote {expected}")
