"""Late records, stored and counted and in no number; what was frozen; what has become dirty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from pipeline.folds.event import ANNOTATING, Event
from pipeline.stages.wire import CONTROL_HEADER, DIRTY, FROZEN, LATE, Out
from schemas.topics import FACTS

if TYPE_CHECKING:
    from pipeline.stages.publisher import Publisher

_encode = msgspec.json.Encoder().encode


class LateRecord(msgspec.Struct, frozen=True):
    """An accepted event that is counted nowhere: what it tells of is frozen.

    ``reason``: late; or detached, of an annotation whose interaction is not known (any more), which
    is withdrawn once the interaction comes.
    """

    event_id: str
    interaction_id: str
    kind: str
    source: str
    channel: str
    occurred_ms: int
    clock_ms: int
    content_hash: int
    reason: str
    version: int
    deleted: bool = False

    @property
    def key(self) -> bytes:
        """Record key."""
        return f"{self.reason}:{self.interaction_id}:{self.event_id}".encode()


class FrozenInteraction(msgspec.Struct, frozen=True):
    """Which events were counted of an interaction that is frozen: what comes again is no news.

    ``content_hashes`` tell a repetition from a correction.
    """

    interaction_id: str
    event_ids: tuple[str, ...]
    content_hashes: tuple[int, ...]
    clock_ms: int

    @property
    def key(self) -> bytes:
        """Record key."""
        return f"frozen:{self.interaction_id}".encode()


class Dirty(msgspec.Struct, frozen=True):
    """A quarter hour of a cell that was corrected after the stream had let it go."""

    exhibit: str
    exhibit_version: int
    cell: tuple[str, ...]
    start_ms: int
    clock_ms: int

    @property
    def key(self) -> bytes:
        """Record key."""
        return _encode(("dirty", self.exhibit, self.exhibit_version, self.cell, self.start_ms))


AGE_DAYS: Final = (10, 35, 100)


def age_bucket(age_ms: int) -> str:
    """Label of how long ago a late record occurred."""
    days = age_ms / 86_400_000
    for limit in AGE_DAYS:
        if days < limit:
            return f"under_{limit}d"
    return f"over_{AGE_DAYS[-1]}d"


class LateRecords:
    """Tells of late records of one partition.

    Attributes:
        counts: How many were told, by kind and age, since it was last emptied.
    """

    def __init__(self, publisher: Publisher) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self._publisher = publisher

    def tell(self, key: str, events: Iterable[Event], out: Out) -> None:
        """Tell of events that came too late."""
        for event in events:
            age_ms = self._publisher.tick_ms - event.occurred_ms
            self.counts[event.kind, age_bucket(age_ms)] += 1
            self._send(key, event, "late", out)

    def tell_detached(
        self, key: str, before: Sequence[Event], after: Sequence[Event], out: Out
    ) -> None:
        """Tell which annotations stand alone; take it back once their interaction comes."""
        if _acts(after):
            if not _acts(before):
                for event in before:
                    if event.kind in _ATTACHED:
                        self._send(key, event, "detached", out, deleted=True)
            return
        known = {event.event_id for event in before}
        for event in after:
            if event.kind in _ATTACHED and event.event_id not in known:
                self._send(key, event, "detached", out)

    def tell_frozen(self, key: str, events: Sequence[Event], out: Out) -> None:
        """Tell which events were counted of what is forgotten now."""
        events = sorted(events, key=lambda event: event.event_id)
        told = FrozenInteraction(
            key,
            tuple(event.event_id for event in events),
            tuple(event.content_hash for event in events),
            self._publisher.tick_ms,
        )
        out.send(FACTS, told.key, _encode(told), headers=((CONTROL_HEADER, FROZEN),))

    def _send(
        self, key: str, event: Event, reason: str, out: Out, *, deleted: bool = False
    ) -> None:
        told = LateRecord(
            event_id=event.event_id, interaction_id=key, kind=event.kind, source=event.source,
            channel=event.channel, occurred_ms=event.occurred_ms,
            clock_ms=self._publisher.tick_ms, content_hash=event.content_hash,
            reason=reason, version=2 if deleted else 1, deleted=deleted,
        )  # fmt: skip
        out.send(FACTS, told.key, _encode(told), headers=((CONTROL_HEADER, LATE),))


_ATTACHED: Final = frozenset(("survey_sent", "survey_answered", "record"))
"""Annotations that say nothing without their interaction."""


def _acts(events: Iterable[Event]) -> bool:
    return any(event.kind not in ANNOTATING for event in events)


def tell_dirty(dirty: Dirty, out: Out) -> None:
    """Tell of a quarter hour that is to be computed again."""
    out.send(FACTS, dirty.key, _encode(dirty), headers=((CONTROL_HEADER, DIRTY),))
