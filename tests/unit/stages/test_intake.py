"""The edge: what is taken in, what is refused, and what goes no further."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from pipeline.identity import CustomerKeys
from pipeline.stages.intake import Counts, Intake, Source
from pipeline.stages.wire import WRITTEN_HEADER, written_again
from schemas.platforms.base import Options
from schemas.platforms.interactions import PLATFORM
from schemas.topics import DEAD_LETTERS, INTERACTIONS
from schemas.values import rfc3339
from tests.counterexamples.center import START_MS
from tests.properties.world import Overlay, World

GOOD = {
    "event_id": "e1", "kind": "queued", "source": "test", "interaction_id": "k",
    "occurred_at": "2026-03-02T09:00:00Z", "channel": "voice", "queue": "sales",
    "customer": "+49 30 1234567", "customer_kind": "phone",
}  # fmt: skip
BAD: dict[str, bytes | None] = {
    "bad_json": b'{"event_id": ',
    "null_value": None,
    "unknown_kind": json.dumps(GOOD | {"kind": "teleported"}).encode(),
    "invalid_event": json.dumps(GOOD | {"interaction_id": 5}).encode(),
    "time_in_future": json.dumps(GOOD | {"occurred_at": "2199-01-01T00:00:00Z"}).encode(),
}


class Raw(NamedTuple):
    value: bytes | None
    offset: int = 7
    topic: str = "cx.raw.interactions"
    partition: int = 2
    timestamp: int = START_MS
    headers: Sequence[tuple[str, bytes]] = ()


class Sent(Overlay):
    """What intake sends on; it has no state."""

    def __init__(self) -> None:
        world = World.__new__(World)
        world.partitions = 4
        super().__init__(world, {})


def taken(*values: bytes | None) -> tuple[Sent, Counts]:
    out, counts = Sent(), Counts.none()
    intake = Intake(CustomerKeys(b"k" * 32), 4)
    for value in values:
        intake.take(Source(PLATFORM, Options()), Raw(value), out, counts)
    return out, counts


@pytest.mark.parametrize("reason", BAD)
def test_what_cannot_be_taken_in_is_a_dead_letter_with_its_own_bytes(reason):
    out, counts = taken(BAD[reason])
    ((topic, _, letter),) = out.sent
    assert (topic, letter.value) == (DEAD_LETTERS, BAD[reason] or b"")
    said = {name: value.decode() for name, value in letter.headers}
    place = (said["topic"], said["partition"], said["offset"])
    assert place == ("cx.raw.interactions", "2", "7")
    assert said["reason"] == reason
    assert said["sha256"] == hashlib.sha256(BAD[reason] or b"").hexdigest()
    assert counts.dead_letters == {reason: 1}


def test_a_good_record_between_bad_ones_is_an_event():
    out, counts = taken(BAD["bad_json"], json.dumps(GOOD).encode(), BAD["unknown_kind"])
    assert [topic for topic, _, _ in out.sent] == [DEAD_LETTERS, INTERACTIONS, DEAD_LETTERS]
    assert (counts.records.total(), counts.events.total()) == (3, 1)


def test_a_record_that_is_written_again_is_as_old_as_it_says():
    """A dead letter that is sent back was too early when it was told, and not when it comes."""
    minute, day = 60_000, 86_400_000
    ahead = json.dumps(GOOD | {"occurred_at": rfc3339(START_MS + day + minute)}).encode()

    def outcome(headers: Sequence[tuple[str, bytes]], timestamp: int) -> tuple[str, str | None]:
        out, counts = Sent(), Counts.none()
        raw = Raw(ahead, timestamp=timestamp, headers=headers)
        Intake(CustomerKeys(b"k" * 32), 4).take(Source(PLATFORM, Options()), raw, out, counts)
        ((topic, _, sent),) = out.sent
        said = dict(sent.headers)
        return topic, said["timestamp"].decode() if "timestamp" in said else None

    first, later = START_MS, START_MS + 2 * day
    assert outcome((), later) == (INTERACTIONS, None)
    assert outcome(written_again(first), later) == (DEAD_LETTERS, str(first))
    # Nothing was written in the time to come, nor at no time.
    assert outcome(written_again(later), first) == (DEAD_LETTERS, str(first))
    for nonsense in (b"", b"soon", b"-1", b"9" * 500, "²".encode()):
        assert outcome([(WRITTEN_HEADER, nonsense)], later) == (INTERACTIONS, None)


def test_no_name_or_number_of_a_customer_goes_further():
    out, _ = taken(json.dumps(GOOD).encode())
    ((_, _, accepted),) = out.sent
    event = json.loads(accepted.value or b"")
    assert event.get("customer") is None
    assert len(event["customer_key"]) == 32
    assert b"1234567" not in (accepted.value or b"")
    # The same number, written otherwise, is the same customer; another key is another installation.
    other, _ = taken(json.dumps(GOOD | {"customer": "0049301234567"}).encode())
    assert json.loads(other.sent[0][2].value or b"")["customer_key"] == event["customer_key"]
    assert CustomerKeys(b"x" * 32).key(GOOD["customer"], "phone") != event["customer_key"]
