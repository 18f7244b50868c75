"""How to reach the broker and what may be expected of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pipeline.microbatch.pacing import Pacer


@dataclass(frozen=True)
class Broker:
    """Connection and guarantees of one Kafka cluster.

    Attributes:
        bootstrap: ``host:port[,host:port]``.
        transactional: Outputs, state and offsets are one transaction, which also fences zombies.
            False only for a broker without transactions; then a failed checkpoint ends the process.
        session_timeout_ms: A member silent for this long loses its partitions.
        transaction_timeout_ms: The broker aborts a transaction open for longer. It bounds how long
            a dead worker's open transaction holds back readers where no other takes its partition.
        request_timeout_ms: Longest wait for one answer of the broker.
        security: Further arguments for every aiokafka client (SASL, TLS).
        pacer: Makes writers wait for readers, for a broker that drops unread records.
        skips_gone: Read on behind records that the broker removed unread, instead of ending.
    """

    bootstrap: str
    transactional: bool = True
    session_timeout_ms: int = 15_000
    transaction_timeout_ms: int = 60_000
    request_timeout_ms: int = 40_000
    security: dict[str, Any] = field(default_factory=dict)
    pacer: Pacer | None = None
    skips_gone: bool = False
