"""What a trial is fed: a simulated center, out of order, some of it twice, poison between."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from functools import cache
from typing import NamedTuple

import msgspec

from pipeline.simulator import Disorder, DisorderConfig, Simulator, SimulatorConfig
from pipeline.simulator.disorder import occurred_at_ms

START_MS = 1_740_996_000_000
"""2025-03-03, 10:00 UTC: long past on any machine, so that nothing is ahead of its record."""
HOURS = 6
POISON_EVERY = 40
"""One record in so many cannot be taken in."""

LATER_EVERY = 7
"""One event in so many has a field that this version does not know."""


class Raw(NamedTuple):
    """One record of the raw topic; either an event or something that must be refused."""

    key: bytes | None
    value: bytes | None
    event_id: str = ""
    reason: str = ""
    occurred_ms: int = 0


class Load(NamedTuple):
    """Records in the order of their arrival, and a clock that all of them lie before."""

    records: tuple[Raw, ...]
    clock_ms: int

    @property
    def accepted(self) -> Counter[str]:
        """How often each event is told."""
        return Counter(record.event_id for record in self.records if record.event_id)

    @property
    def refused(self) -> Counter[tuple[str, str]]:
        """Reason and hash of what must become a dead letter."""
        return Counter(
            (record.reason, hashlib.sha256(record.value or b"").hexdigest())
            for record in self.records
            if record.reason
        )


def _contact(**fields: object) -> bytes:
    told = {
        "event_id": "poison", "kind": "queued", "source": "test", "interaction_id": "poison",
        "occurred_at": "2025-03-03T10:00:00Z", "channel": "voice", "queue": "sales",
    }  # fmt: skip
    return json.dumps(told | fields).encode()


POISON: tuple[tuple[str, bytes | None], ...] = (
    ("bad_json", b'{"event_id": "e900", "kind": '),
    ("bad_utf8", b'{"event_id": "\xff\xfe\x00", "kind": "queued"}'),
    ("null_value", None),
    ("unknown_kind", _contact(kind="teleported")),
    ("invalid_event", _contact(interaction_id=5)),
    ("invalid_event", _contact(occurred_at="2025-03-03T10:00:00")),
    ("time_too_old", _contact(occurred_at="1970-01-01T00:00:00Z")),
    ("time_in_future", _contact(occurred_at="2199-01-01T00:00:00Z")),
)


@cache
def load(seed: int, events: int) -> Load:
    """About ``events`` events of a center in :data:`HOURS` hours, each up to a minute late."""
    rate = events / (HOURS * 3600)
    center = Simulator(
        SimulatorConfig(events_per_second=rate, daily_curve=(1.0,) * 24, keep_truth=False),
        seed, START_MS, f"faults{seed}",
    )  # fmt: skip
    told = center.take(events, START_MS + 2 * HOURS * 3_600_000)
    clock_ms = -(-occurred_at_ms(told[-1]) // 1000) * 1000
    told += center.generate(clock_ms)
    disorder = Disorder(DisorderConfig(shuffle_within_ms=60_000, delayed_ratio=0.0), seed)
    records: list[Raw] = []
    for number, event in enumerate(disorder.stream(told)):
        later = {"told_by_a_later_version": {"of": [number]}} if number % LATER_EVERY == 0 else {}
        if number % POISON_EVERY == 0:
            reason, value = POISON[number // POISON_EVERY % len(POISON)]
            records.append(Raw(str(number).encode(), value, reason=reason))
        records.append(
            Raw(
                event["interaction_id"].encode(), msgspec.json.encode(event | later),
                event_id=event["event_id"], occurred_ms=occurred_at_ms(event),
            )
        )  # fmt: skip
    return Load(tuple(records), clock_ms)
