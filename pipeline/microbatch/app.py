"""The Faust app of one consumer group whose agents take batches."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import faust
from faust.app.base import BootStrategy
from faust.events import Event
from faust.transport.conductor import Conductor
from faust.transport.drivers.aiokafka import Transport
from faust.types import TP, Message
from mode import Service
from mode.supervisors import CrashingSupervisor
from yarl import URL

from pipeline.microbatch.batch import Batch
from pipeline.microbatch.broker import Broker
from pipeline.microbatch.consumer import BatchConsumer
from pipeline.microbatch.garbage import tune_garbage_collection
from pipeline.microbatch.observer import Observer
from pipeline.microbatch.stage import Stage
from pipeline.microbatch.store import MemoryStores, Stores


class BatchConductor(Conductor):  # type: ignore[misc]
    """Subscribes once, when all agents have started; delivery is :meth:`BatchApp.deliver`."""

    @Service.task
    async def _subscriber(self) -> None:
        await self.app.agents.wait_until_agents_started()
        if not self.should_stop:
            await self.app.consumer.subscribe(await self._update_indices())


class BatchTransport(Transport):  # type: ignore[misc]
    """Faust's aiokafka transport with the consumer and conductor of this package."""

    Consumer = BatchConsumer
    Conductor = BatchConductor


class _BatchBoot(BootStrategy):  # type: ignore[misc]
    """Starts what a batch app uses: consumer, agents, conductor."""

    def server(self) -> Iterable[Any]:
        return [self.app.consumer, self.app.agents, self.app.topics]


class BatchApp(faust.App):  # type: ignore[misc]
    """A Faust app on the micro-batch transport.

    Args:
        group: Consumer group, also the app's id.
        broker: Where Kafka is and what it can do.
        observer: Told what happens.
        stores: Where state is kept that has a changelog; in memory if none are given.
    """

    BootStrategy = _BatchBoot

    def __init__(
        self,
        group: str,
        broker: Broker,
        observer: Observer | None = None,
        stores: Stores | None = None,
    ) -> None:
        self.broker = broker
        self.observer = observer or Observer()
        self.stores = stores or MemoryStores()
        self.stages: list[Stage] = []
        self.failure: Exception | None = None
        self.ended = asyncio.Event()
        urls = [URL(f"kafka://{address.strip()}") for address in broker.bootstrap.split(",")]
        super().__init__(
            group,
            broker=urls,
            autodiscover=False,
            web_enabled=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            worker_redirect_stdouts=False,
            agent_supervisor=CrashingSupervisor,
            store="memory://",
        )
        self.transport = BatchTransport(urls, self)

    async def on_start(self) -> None:
        """Let the process look for cyclic garbage less often."""
        tune_garbage_collection()
        await super().on_start()

    def _create_directories(self) -> None:
        """Make none of Faust's: state in files is a matter of the stores."""

    @property
    def batch_consumer(self) -> BatchConsumer:
        """The consumer, by its own type."""
        consumer: BatchConsumer = self.consumer
        return consumer

    def add_stage(self, stage: Stage) -> None:
        """Register a stage; called by :class:`Stage` itself."""
        self.stages.append(stage)
        self.observer.added(stage.name)

    async def deliver(self, stage: Stage, batch: Batch) -> None:
        """Put ``batch`` into the queue of the agent of ``stage``, as one Faust event."""
        tp = batch.partition.tp
        message = Message(
            tp.topic, tp.partition, batch.next_offset, 0.0, 0, None, None, None, None,
            tp=TP(tp.topic, tp.partition),
            generation_id=self.consumer_generation_id,
        )  # fmt: skip
        for channel in self.topics:
            if channel.topics and tp.topic in channel.topics and stage.topics == (*channel.topics,):
                await channel.queue.put(Event(self, None, batch, None, message))

    async def rebalanced(self, assigned: set[TP]) -> None:
        """Tell Faust's agents and topics about the new assignment."""
        revoked, newly_assigned = self._update_assignment(assigned)
        await self.agents.on_rebalance(revoked, newly_assigned)
        await self.topics.on_partitions_assigned(assigned)
        self.flow_control.resume()

    async def fail(self, error: Exception) -> None:
        """End this app: nothing more is processed, the process must be started anew."""
        if self.failure is None:
            self.failure = error
        self.ended.set()
