"""What a replay keeps beside exhibit values: events, facts, and the time of the last event."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

import msgspec

from pipeline.microbatch import Batch, BatchApp, Broker, Record, Stage
from pipeline.stages.intake import is_accepted
from pipeline.stages.wire import control_kind
from schemas.topics import FACTS, INTERACTIONS

_decode: Callable[[bytes], dict[str, Any]] = msgspec.json.Decoder(dict[str, Any]).decode
_epoch_ms = 1000


class Collector:
    """Reads the replay's own topics as a consumer of them.

    Args:
        keep_events: Keep the accepted events, not only their number.
        keep_facts: Keep the newest version of every fact, not only its kind.
    """

    def __init__(self, broker: Broker, *, keep_events: bool, keep_facts: bool) -> None:
        self.app = BatchApp("cxstream-replay", broker)
        self.events: list[dict[str, Any]] = []
        self.event_count = 0
        self.last_event_ms: int | None = None
        self._keep_events = keep_events
        self._keep_facts = keep_facts
        self._facts: dict[str, tuple[int, str, dict[str, Any] | None]] = {}
        self._register(INTERACTIONS, self._take_event)
        self._register(FACTS, self._take_fact)

    def _register(self, topic: str, take: Callable[[Record], None]) -> None:
        stage = Stage(self.app, f"replay.{topic}", topics=(topic,))

        @self.app.agent(stage.channel, name=f"replay.{topic}")
        async def agent(batches: AsyncIterator[Batch]) -> None:
            async for batch in stage.batches(batches):
                async with stage.checkpoint(batch):
                    for record in batch.records:
                        take(record)

    def _take_event(self, record: Record) -> None:
        if not is_accepted(record.headers):
            return
        self.event_count += 1
        event = _decode(record.value or b"")
        moment = datetime.fromisoformat(event["occurred_at"])
        occurred_ms = -(-round(moment.timestamp() * 1_000_000) // _epoch_ms)
        self.last_event_ms = max(self.last_event_ms or occurred_ms, occurred_ms)
        if self._keep_events:
            self.events.append(event)

    def _take_fact(self, record: Record) -> None:
        if control_kind(record.headers) is not None:
            return
        fact = _decode(record.value or b"")
        known = self._facts.get(fact["fact_id"])
        if known is None or fact["version"] >= known[0]:
            kept = fact if self._keep_facts and not fact["deleted"] else None
            kind = "" if fact["deleted"] else fact["kind"]
            self._facts[fact["fact_id"]] = (fact["version"], kind, kept)

    @property
    def fact_counts(self) -> dict[str, int]:
        """Number of facts by kind, deleted ones left out."""
        counts = Counter(kind for _, kind, _ in self._facts.values() if kind)
        return dict(sorted(counts.items()))

    @property
    def facts(self) -> list[dict[str, Any]]:
        """The newest version of every fact, sorted by kind and id."""
        kept = [fact for _, _, fact in self._facts.values() if fact is not None]
        return sorted(kept, key=lambda fact: (fact["kind"], fact["fact_id"]))
