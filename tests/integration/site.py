"""A whole site for tests: real Kafka, workers as processes of their own, their metrics, the clock.

Workers are the product's own command line. What a test reads, it reads from outside: topics
(read_committed), consumer groups, ``/metrics``, ClickHouse.
"""

from __future__ import annotations

import http.client
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from prometheus_client.parser import text_string_to_metric_families

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.process import free_ports
from pipeline.identity import make_key
from pipeline.stages.clock import tick_record
from pipeline.stages.wire import Tick
from schemas.topics import (
    CONTACTS,
    DEAD_LETTERS,
    FACTS,
    INTERACTIONS,
    KPIS,
    MAX_RECORD_BYTES,
    PARTIALS,
    PERFORMANCES,
    raw_topic,
)

RAW = raw_topic("interactions")
PARTITIONS = 4
SESSION_TIMEOUT_MS = 6_000
GROUPS: dict[str, tuple[str, ...]] = {
    "intake": (RAW,),
    "lifecycle": (INTERACTIONS,),
    "journeys": (CONTACTS,),
    "performers": (PERFORMANCES,),
    "exhibits": (PARTIALS,),
    "sink": (INTERACTIONS, FACTS, KPIS, DEAD_LETTERS),
}
"""What each role reads, upstream first."""

QUIET = {"log_level": 0}
"""A client's complaints about a server that is being stopped are no news."""

_NOT_NOW = frozenset((
    KafkaError._TIMED_OUT,
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
))  # fmt: skip
"""A coordinator that is busy, or moves."""
_COMMAND = Path(sys.executable).with_name("cxstream")
_prefixes = itertools.count(1)


def wait_for(
    condition: Callable[[], Any], what: str, seconds: float, pause_seconds: float = 0.2
) -> Any:
    """Return the first true value of ``condition``.

    Raises:
        AssertionError: it did not come true in time.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s for {what}")
        time.sleep(pause_seconds)
    return found


class Process:
    """One ``cxstream worker``."""

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        (self.port,) = free_ports(1)
        self.log = log
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                command,
                env={**environment, "CXSTREAM_METRICS_PORT": str(self.port)},
                stdout=out,
                stderr=out,
            )

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def status(self) -> str:
        """What the system says of it, such as ``stopped``."""
        return str(self.system.status())

    @property
    def system(self) -> psutil.Process:
        """What the system knows of it: its memory, the time it used."""
        return psutil.Process(self._process.pid)

    @property
    def target(self) -> str:
        """Where Prometheus finds its metrics."""
        return f"127.0.0.1:{self.port}"

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()
        self._process.wait(10)

    def stop(self, seconds: float = 25.0) -> int:
        """End it with SIGTERM; its exit code."""
        if self.running:
            self._process.terminate()
        return self.wait(seconds)

    def wait(self, seconds: float) -> int:
        """Wait until it ended by itself; its exit code, negative for a signal."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
            raise AssertionError(f"a worker did not end: {self.tail()}") from None

    def tail(self) -> str:
        """End of its log."""
        return self.log.read_text("utf-8", "replace")[-3_000:]

    def metrics(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """Samples by name and labels, as anybody scrapes them; none while it does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        except OSError:
            return {}
        finally:
            connection.close()
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def metric(self, name: str, **labels: str) -> float:
        """One sample, 0 where there is none."""
        return self.metrics().get((name, tuple(sorted(labels.items()))), 0.0)


class Read(NamedTuple):
    """One committed record."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]


class Site:
    """Topics, groups and workers on one Kafka. Every site has groups and topics of its own.

    Args:
        bootstrap: The Kafka; topics of an earlier site on it are deleted first.
        folder: Home of logs and the identity key.
        clickhouse: Where the role ``sink`` writes, if workers have it.
        database: Database there, migrated here.
        exhibits: Exhibit files.
        session_timeout_ms: When a group gives up a silent worker.
        replication: Replicas of each topic.
        partitions: Partitions of each topic.
    """

    def __init__(
        self,
        bootstrap: str,
        folder: Path,
        *,
        clickhouse: EmbeddedClickHouse | None = None,
        database: str = "cxstream",
        exhibits: Iterable[Path] = (),
        session_timeout_ms: int = SESSION_TIMEOUT_MS,
        replication: int = 1,
        partitions: int = PARTITIONS,
    ) -> None:
        self.bootstrap = bootstrap
        self.partitions = partitions
        self.folder = folder
        self.prefix = f"site{next(_prefixes)}"
        self.workers: list[Process] = []
        self.environment = {
            **os.environ,
            "CXSTREAM_BOOTSTRAP": bootstrap,
            "CXSTREAM_GROUP_PREFIX": self.prefix,
            "CXSTREAM_PARTITIONS": str(partitions),
            "CXSTREAM_REPLICATION": str(replication),
            "CXSTREAM_TICKS": "external",
            "CXSTREAM_HEARTBEAT_SECONDS": "0",
            "CXSTREAM_LINGER_SECONDS": "0",
            "CXSTREAM_SESSION_TIMEOUT_MS": str(session_timeout_ms),
            "CXSTREAM_IDENTITY_KEY_FILE": str(folder / "identity.key"),
        }
        make_key(folder / "identity.key")
        if files := ",".join(str(path) for path in exhibits):
            self.environment["CXSTREAM_EXHIBITS"] = files
        self.roles = tuple(name for name in GROUPS if clickhouse is not None or name != "sink")
        if clickhouse is not None:
            self.environment |= {
                "CXSTREAM_CLICKHOUSE_HOST": clickhouse.host,
                "CXSTREAM_CLICKHOUSE_PORT": str(clickhouse.http_port),
                "CXSTREAM_CLICKHOUSE_USER": clickhouse.user,
                "CXSTREAM_CLICKHOUSE_PASSWORD": clickhouse.password,
                "CXSTREAM_CLICKHOUSE_DATABASE": database,
            }
            self.command("migrate", "apply")
        self._delete_topics()
        self.command("topics", "apply")
        # One process makes the key; others started at once would find the file half written.
        (folder / "identity.key").write_text("ab" * 32 + "\n", "ascii")
        self.connect()

    def connect(self) -> None:
        """Write and ask by clients that have not seen the topics yet: partitions known stay so."""
        self._groups = {
            role: Consumer(
                {"bootstrap.servers": self.bootstrap, "group.id": f"{self.prefix}-{role}", **QUIET}
            )
            for role in self.roles
        }
        self.producer = Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "linger.ms": 5,
                "message.max.bytes": 2 * MAX_RECORD_BYTES,  # let the broker judge
                **QUIET,
            }
        )

    def _delete_topics(self) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap, **QUIET})

        def ours() -> list[str]:
            return [name for name in admin.list_topics(timeout=10).topics if name.startswith("cx.")]

        if old := ours():
            for future in admin.delete_topics(old, operation_timeout=20).values():
                future.result(20)
            wait_for(lambda: not ours(), "topics to be deleted", 20)

    # --- processes ------------------------------------------------------------------------------

    def command(self, *arguments: str, expect: int = 0) -> str:
        """Run the command line to its end; what it printed."""
        done = subprocess.run(
            [str(_COMMAND), *arguments],
            env=self.environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout

    def refused(self, *arguments: str, code: int = 2) -> str:
        """Run a command line that must end with a mistake of its user; what it complained."""
        done = subprocess.run(
            [str(_COMMAND), *arguments],
            env=self.environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stderr

    def worker(
        self, roles: Iterable[str] = (), *, spoiled: str = "", **environment: str
    ) -> Process:
        """Start one worker, all roles unless named; ``spoiled`` is code that runs in it first."""
        command = [str(_COMMAND)]
        if spoiled:
            main = "from pipeline.cli.main import main\nmain()\n"
            command = [sys.executable, "-c", f"{spoiled}\n{main}"]
        process = Process(
            [*command, "--verbose", "worker", "--roles", ",".join(roles or self.roles)],
            {**self.environment, **environment},
            self.folder / f"worker-{len(self.workers)}.log",
        )
        self.workers.append(process)
        return process

    def close(self) -> None:
        """End what still runs."""
        for process in self.workers:
            if process.running:
                process.signal(signal.SIGCONT)
                process.kill()
        for consumer in self._groups.values():
            consumer.close()

    # --- writing --------------------------------------------------------------------------------

    def produce(
        self,
        value: bytes | None,
        key: bytes | None = None,
        *,
        topic: str = RAW,
        partition: int = -1,
        timestamp_ms: int = 0,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> None:
        """Send one record; :meth:`flush` waits for it."""
        while True:
            try:
                self.producer.produce(
                    topic, value, key, partition=partition, timestamp=timestamp_ms,
                    headers=headers or [], on_delivery=_refuse_failures,
                )  # fmt: skip
            except BufferError:
                self.producer.poll(0.5)
            else:
                self.producer.poll(0)
                return

    def flush(self) -> None:
        """Wait until the broker has acknowledged everything."""
        assert self.producer.flush(60) == 0

    def tick(
        self,
        at_ms: int,
        *,
        complete: bool = True,
        moving_only: bool = False,
        publish_all: bool = True,
    ) -> None:
        """Let the clock of every partition be ``at_ms`` and every value be published."""
        tick = Tick(
            "", 0, at_ms, publish_all=publish_all, complete=complete, moving_only=moving_only
        )
        value, headers = tick_record(tick)
        for number in range(self.partitions):
            self.produce(value, topic=INTERACTIONS, partition=number, headers=headers)
        self.flush()

    def pass_time(self, at_ms: int) -> None:
        """Let the clock of every partition go on, as a worker does: nothing more is asked for."""
        value, headers = tick_record(Tick("", 0, at_ms))
        for number in range(self.partitions):
            self.produce(value, topic=INTERACTIONS, partition=number, headers=headers)
        self.flush()

    # --- reading --------------------------------------------------------------------------------

    def committed(self, role: str, seconds: float = 40.0) -> dict[tuple[str, int], int]:
        """Committed offset of each partition a role reads, 0 where none is.

        Raises:
            KafkaException: a transaction that moves one of them stayed open for all the time.
        """
        partitions = [TopicPartition(t, p) for t in GROUPS[role] for p in range(self.partitions)]
        return {
            (found.topic, found.partition): max(found.offset, 0)
            for found in self._groups[role].committed(partitions, timeout=seconds)
        }

    def ends(self, role: str) -> dict[tuple[str, int], int]:
        """Where the log of each partition that a role reads ends now."""
        consumer = self._groups[role]
        return {
            (topic, number): consumer.get_watermark_offsets(
                TopicPartition(topic, number), timeout=20
            )[1]
            for topic in GROUPS[role]
            for number in range(self.partitions)
        }

    def lag(self, role: str) -> int:
        """Records between a role and the ends of its topics; an open transaction counts as one."""
        try:
            committed = self.committed(role, seconds=2.0)
        except KafkaException as error:
            if error.args[0].code() not in _NOT_NOW:
                raise
            return 1
        ends = self.ends(role)
        return sum(ends[place] - offset for place, offset in committed.items())

    def drain(
        self, seconds: float, *, alive: Iterable[Process] = (), roles: Iterable[str] = ()
    ) -> None:
        """Wait until everything written has gone through every role, or those named."""
        watched = list(alive)
        readers = tuple(roles) or self.roles

        def done() -> bool:
            for process in watched:
                assert process.running, process.tail()
            return not any(self.lag(role) for role in readers)

        wait_for(done, f"the pipeline to drain, {self.prefix}", seconds, pause_seconds=0.5)

    def read(self, topic: str) -> list[Read]:
        """All committed records of ``topic``, by partition and offset."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": f"{self.prefix}-reader",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                **QUIET,
            }
        )
        consumer.assign([TopicPartition(topic, number, 0) for number in range(self.partitions)])
        found: list[Read] = []
        ended = 0
        try:
            while ended < self.partitions:
                for message in consumer.consume(2_000, timeout=0.3):
                    if message.error() is None:
                        found.append(_read(message))
                    else:
                        ended += 1
        finally:
            consumer.close()
        return sorted(found, key=lambda record: (record.partition, record.offset))


def _refuse_failures(error: object, _message: object) -> None:
    assert error is None, error


def _read(message: Message) -> Read:
    headers = message.headers() or []
    return Read(
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        message.timestamp()[1],
        message.key(),
        message.value(),
        {name: value for name, value in headers if isinstance(value, bytes)},
    )


@contextmanager
def site(
    bootstrap: str,
    folder: Path,
    *,
    clickhouse: EmbeddedClickHouse | None = None,
    database: str = "cxstream",
    exhibits: Iterable[Path] = (),
    session_timeout_ms: int = SESSION_TIMEOUT_MS,
) -> Iterator[Site]:
    """A site whose workers are gone afterwards."""
    found = Site(
        bootstrap, folder, clickhouse=clickhouse, database=database, exhibits=exhibits,
        session_timeout_ms=session_timeout_ms,
    )  # fmt: skip
    try:
        yield found
    finally:
        found.close()
