"""Reads a file through a platform, as intake does, and keeps what came of it."""

from __future__ import annotations

import io
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.folds.event import Event, epoch_ms, reduce
from pipeline.folds.interaction import fold
from schemas.interaction import InteractionEvent
from schemas.platforms import find_platform
from schemas.platforms.base import BadPayload
from schemas.platforms.jsonfile import open_input
from schemas.platforms.records import Oversized


@dataclass
class Outcome:
    records: int = 0
    events: list[InteractionEvent] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    restarts_ms: list[int] = field(default_factory=list)
    keys: set[bytes] = field(default_factory=set)
    keys_of: defaultdict[str, set[bytes]] = field(default_factory=lambda: defaultdict(set))

    @property
    def kinds(self) -> dict[str, int]:
        return dict(Counter(event.kind for event in self.events))

    def facts(self, kind: str, *, until: str | None = None) -> list[Any]:
        """Facts of a kind, as of a time, else of the last event; duplicates count once."""
        small: dict[str, dict[str, Event]] = defaultdict(dict)
        for event in self.events:
            known = small[event.interaction_id].get(event.event_id)
            if known is None or known.record_version <= event.record_version:
                small[event.interaction_id][event.event_id] = reduce(event)
        last_ms = max(event.occurred_ms for events in small.values() for event in events.values())
        as_of_ms = epoch_ms(datetime.fromisoformat(until)) if until else last_ms
        return [
            row.fact
            for identity, events in sorted(small.items())
            for row in fold(identity, list(events.values()), as_of_ms).rows
            if row.kind == kind
        ]


def read(platform_name: str, source: Path | bytes, *pairs: str) -> Outcome:
    outcome = Outcome()
    platform = find_platform(platform_name)
    options = platform.options(pairs)
    stream: BinaryIO = io.BytesIO(source) if isinstance(source, bytes) else open_input(source)
    with stream:
        for record in platform.split(stream):
            outcome.records += 1
            if isinstance(record, Oversized):
                outcome.refused.append("too_large")
                continue
            key = platform.key(record)
            outcome.keys.add(key)
            try:
                parsed = platform.parse(record, options)
            except BadPayload as refusal:
                outcome.refused.append(refusal.reason)
                continue
            outcome.events += parsed.events
            for event in parsed.events:
                outcome.keys_of[event.interaction_id].add(key)
            outcome.ignored.update(parsed.ignored)
            if parsed.restart_ms is not None:
                outcome.restarts_ms.append(parsed.restart_ms)
    return outcome


def shown(event: InteractionEvent, *names: str) -> dict[str, Any]:
    """An event as its producer would write it, without its id, or only the fields named."""
    told = json.loads(event.model_dump_json(exclude_defaults=True))
    told.pop("event_id")
    return {name: told.get(name) for name in names} if names else told
