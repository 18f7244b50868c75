"""Topics and groups of a site: what tests write to them, and read of them from outside."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

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
from tests.integration.process import Process, wait_for

RAW = raw_topic("interactions")
PARTITIONS = 4
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


class Read(NamedTuple):
    """One committed record."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]


class Logs:
    """The topics of one site, and the groups that read them.

    Args:
        bootstrap: The Kafka.
        prefix: Begins the names of the groups.
        partitions: Partitions of each topic.
        roles: Those that workers of the site have.
    """

    def __init__(self, bootstrap: str, prefix: str, partitions: int, roles: Iterable[str]) -> None:
        self.bootstrap = bootstrap
        self.prefix = prefix
        self.partitions = partitions
        self.roles = tuple(roles)

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

    def disconnect(self) -> None:
        """Ask no more."""
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
