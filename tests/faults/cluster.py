"""Three brokers, each also a controller, so that leaders and coordinators have somewhere to go."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka.admin import AdminClient

from pipeline.embedded.kafka import HOST, KafkaServer
from tests.integration.logs import QUIET
from tests.integration.process import wait_for
from tests.support.services import UNHURRIED

BROKERS = 3


class Member(KafkaServer):
    """One broker of a cluster.

    Args:
        folder: Its home.
        number: Its id, from 1.
        cluster: What it belongs to.
    """

    def __init__(self, folder: Path, number: int, cluster: Cluster) -> None:
        super().__init__(folder, UNHURRIED)
        self.number = number
        self._cluster = cluster

    @property
    def voter(self) -> str:
        """How the other controllers find it."""
        return f"{self.number}@{HOST}:{self._controller_port}"

    def _cluster_id(self) -> str:
        return self._cluster.id

    def _all_properties(self) -> dict[str, str]:
        three, two = str(BROKERS), str(BROKERS - 1)
        return super()._all_properties() | {
            "node.id": str(self.number),
            "controller.quorum.voters": ",".join(m.voter for m in self._cluster.members),
            "min.insync.replicas": two,
            "offsets.topic.replication.factor": three,
            "transaction.state.log.replication.factor": three,
            "transaction.state.log.min.isr": two,
            "share.coordinator.state.topic.replication.factor": three,
            "share.coordinator.state.topic.min.isr": two,
            "group.min.session.timeout.ms": "1000",
        }


class Cluster:
    """Three brokers on a folder: ``with Cluster(folder) as cluster: cluster.bootstrap``."""

    def __init__(self, folder: Path) -> None:
        self.id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self.members: list[Member] = []
        for number in range(1, BROKERS + 1):
            self.members.append(Member(folder / str(number), number, self))

    @property
    def bootstrap(self) -> str:
        """Addresses for ``bootstrap.servers``."""
        return ",".join(member.bootstrap for member in self.members)

    @property
    def admin(self) -> AdminClient:
        """A client that may ask for everything."""
        return AdminClient({"bootstrap.servers": self.bootstrap, **QUIET})

    def start(self, numbers: Iterable[int] = range(1, BROKERS + 1)) -> None:
        """Start brokers at once: one alone waits for a majority of controllers."""
        members = [self.members[number - 1] for number in numbers]
        with ThreadPoolExecutor() as pool:
            list(pool.map(KafkaServer.start, members))

    def kill(self, number: int) -> None:
        """Kill one broker."""
        self.members[number - 1].kill()

    def leader(self, topic: str, partition: int) -> int:
        """Who leads a partition, -1 while nobody does."""
        return int(
            self.admin.list_topics(topic, timeout=20).topics[topic].partitions[partition].leader
        )

    def coordinator(self, group: str) -> int:
        """Who keeps the members and offsets of a group."""
        admin = self.admin  # what it was asked ends with it
        told = admin.describe_consumer_groups([group])[group].result(20)
        return int(told.coordinator.id)

    def wait_until_in_sync(self) -> None:
        """Return once every replica of every partition is in sync."""

        def in_sync() -> bool:
            topics = self.admin.list_topics(timeout=20).topics.values()
            partitions = [p for topic in topics for p in topic.partitions.values()]
            return all(len(p.isrs) == BROKERS for p in partitions)

        wait_for(in_sync, "all replicas to be in sync", 120)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(KafkaServer.stop, self.members))
