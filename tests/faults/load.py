"""What a trial is fed: a simulated center, out of order, some of it twice, poison between."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from functools import cache
from random import Random
from typing import NamedTuple

import msgspec

from pipeline.simulator import Disorder, DisorderConfig, Simulator, SimulatorConfig
from pipeline.simulator.disorder import occurred_at_ms
from schemas.values import rfc3339

START_MS = 1_740_996_000_000
"""2025-03-03, 10:00 UTC: long past on any machine, so that nothing is ahead of its record."""
HOURS = 6
POISON_EVERY = 40
"""One record in so many cannot be taken in."""

LATER_EVERY = 7
"""One event in so many has a field that this version does not know."""


class Raw(NamedTuple):
    """One record of the raw topic; either an event or something that must be refused.

    ``written_ms`` is its own time, 0 for when it is written.
    """

    key: bytes | None
    value: bytes | None
    event_id: str = ""
    reason: str = ""
    occurred_ms: int = 0
    written_ms: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()


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
def load(seed: int, events: int, start_ms: int = START_MS) -> Load:
    """About ``events`` events of a center in :data:`HOURS` hours, each up to a minute late."""
    rate = events / (HOURS * 3600)
    center = Simulator(
        SimulatorConfig(events_per_second=rate, daily_curve=(1.0,) * 24, keep_truth=False),
        seed, start_ms, f"faults{seed}",
    )  # fmt: skip
    told = center.take(events, start_ms + 2 * HOURS * 3_600_000)
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


# --- the same in other ways -----------------------------------------------------------------------


def _changed(record: Raw, **fields: object) -> Raw:
    """An event that says something else as well."""
    event = json.loads(record.value or b"") | fields
    return record._replace(value=json.dumps(event).encode(), occurred_ms=occurred_at_ms(event))


def told_twice(found: Load) -> Load:
    """Everything, and then the whole day again."""
    return found._replace(records=found.records * 2)


def in_any_order(found: Load, seed: int) -> Load:
    """The first record may come last."""
    records = list(found.records)
    Random(seed).shuffle(records)  # noqa: S311
    return found._replace(records=tuple(records))


def of_second_version(found: Load, every: int) -> Load:
    """One event in ``every`` bears a higher record version, as a correction does."""
    return found._replace(
        records=tuple(
            _changed(record, record_version=1) if _is_corrected(number, record, every) else record
            for number, record in enumerate(found.records)
        )
    )


def corrected(found: Load, every: int) -> Load:
    """As :func:`of_second_version`, and each such event is also told wrongly.

    In turns before and after the right one: what is right has the higher version.
    """
    records: list[Raw] = []
    for number, record in enumerate(of_second_version(found, every).records):
        if _is_corrected(number, record, every):
            wrong = _changed(record, record_version=0, queue="of nobody", intent="none of these")
            records += (wrong, record) if number // every % 2 else (record, wrong)
        else:
            records.append(record)
    return found._replace(records=tuple(records))


def _is_corrected(number: int, record: Raw, every: int) -> bool:
    return bool(record.event_id) and number % every == 0


SKEW_MS = 3_600_000


def skewed(found: Load) -> Load:
    """A third of interactions told by a clock an hour ahead, a third by one an hour behind.

    Records bear the time at which they truly occurred.
    """
    records = []
    for record in found.records:
        if not record.event_id:
            records.append(record)
            continue
        event = json.loads(record.value or b"")
        moved_ms = (_third(event["interaction_id"]) - 1) * SKEW_MS
        at_ms = record.occurred_ms + moved_ms
        told = _changed(record, occurred_at=rfc3339(at_ms))
        records.append(told._replace(written_ms=record.occurred_ms))
    return Load(tuple(records), found.clock_ms + SKEW_MS)


def ahead(found: Load) -> int:
    """How many events lie more than five minutes ahead of their record."""
    return sum(
        bool(record.written_ms) and record.occurred_ms > record.written_ms + 300_000
        for record in found.records
    )


def _third(name: str) -> int:
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 3
