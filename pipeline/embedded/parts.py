"""The embedded log: a broker in this process with every topic of the product."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from pipeline.embedded.broker import EmbeddedBroker
from pipeline.microbatch import Broker
from pipeline.microbatch.pacing import Pacer
from schemas.topics import (
    CLOCKS,
    CONTACTS,
    DEAD_LETTERS,
    EXHIBITS,
    FACTS,
    INTERACTIONS,
    KPIS,
    PARTIALS,
    PERFORMANCES,
    SOURCES,
    raw_topic,
)

_TOPICS = (
    INTERACTIONS, FACTS, CONTACTS, PERFORMANCES, PARTIALS, KPIS, CLOCKS, DEAD_LETTERS, EXHIBITS,
    SOURCES,
)  # fmt: skip


class EmbeddedLog:
    """``with EmbeddedLog(platforms, partitions) as log: log.broker``.

    Changelogs are not made: this log ends with the process, so state is never restored from it.
    """

    def __init__(self, platforms: Iterable[str], partitions: int) -> None:
        self._server = EmbeddedBroker()
        self.topics = (*_TOPICS, *(raw_topic(name) for name in platforms))
        self.partitions = partitions
        self.pacer = Pacer()

    @property
    def broker(self) -> Broker:
        """How stages reach it."""
        return Broker(self._server.bootstrap, transactional=False, pacer=self.pacer)

    def __enter__(self) -> Self:
        self._server.start()
        for topic in self.topics:
            self._server.create_topic(topic, self.partitions)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()
