"""Records that stages write for each other: ticks, shares, facts, contacts, dead letters."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Final, NamedTuple, Protocol

import msgspec

from pipeline.folds.event import Event
from pipeline.folds.performances import ShiftRow, StintRow
from pipeline.folds.rows import CasePart, ContactRow, Link, Place
from pipeline.kpi.panes import Grain, PaneKey
from schemas.facts import PlanItem

CONTROL_HEADER: Final = "cx-control"
NOT_UNPACKED_HEADER: Final = "cx-not-unpacked"
"""As in :mod:`pipeline.microbatch.fetch`: the record stands for a batch that inflates too much."""
WRITTEN_HEADER: Final = "cx-written"
"""When a record that was written again was written first, in epoch milliseconds."""
TICK: Final = b"tick"
RESTART: Final = b"restart"
GENERATION: Final = b"generation"
EXHIBIT: Final = b"exhibit"
EXHIBITS: Final = b"exhibits"
RATE: Final = b"rate"
HEARTBEAT: Final = b"heartbeat"
FROZEN: Final = b"frozen"
LATE: Final = b"late"
DIRTY: Final = b"dirty"

GENERATION_MAX: Final = 15
"""Generations of a log that versions of facts can tell apart: four bits."""

Headers = Sequence[tuple[str, bytes]]


class HasHeaders(Protocol):
    """What of a record tells its kind."""

    @property
    def value(self) -> bytes | None: ...  # noqa: D102
    @property
    def headers(self) -> Headers: ...  # noqa: D102


class HasTime(Protocol):
    """What of a record tells when it was written."""

    @property
    def timestamp(self) -> int: ...  # noqa: D102
    @property
    def headers(self) -> Headers: ...  # noqa: D102


class Out(Protocol):
    """Where a stage puts its state and its output records: a checkpoint."""

    def get(self, key: bytes) -> bytes | None:
        """Value of ``key`` in the stage's state."""

    def put(self, key: bytes, value: bytes) -> None:
        """Set ``key`` in the stage's state."""

    def delete(self, key: bytes, headers: Headers = ()) -> None:
        """Remove ``key`` from the stage's state; ``headers`` stand on the record that says so."""

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Headers = (),
    ) -> None:
        """Add an output record."""


class Tick(msgspec.Struct, frozen=True, array_like=True):
    """The clock of a log. ``epoch`` counts how often the source has begun anew.

    ``publish_all`` asks for every value, changed or not; ``complete`` says that nothing more comes;
    ``moving_only`` leaves buckets to a later tick. ``still_ms``, if not 0, is when what is clipped
    stopped growing: a replay lets cohorts mature after its last event, but nobody works on.
    ``covers`` are the versions of exhibits for which the source has counted everything.
    ``floor_ms``: the source holds no quarter hours before this; what is older is frozen.
    """

    source: str
    epoch: int
    tick_ms: int
    publish_all: bool = False
    complete: bool = False
    moving_only: bool = False
    still_ms: int = 0
    covers: dict[str, int] = {}
    floor_ms: int = 0

    @property
    def keeps_all(self) -> bool:
        """Whether everything is asked for, as at the end of a replay: nothing is frozen by it."""
        return self.publish_all or self.complete

    @property
    def span_ms(self) -> int:
        """How far what is clipped has grown."""
        return self.still_ms or self.tick_ms


class Restart(msgspec.Struct, frozen=True, array_like=True):
    """A platform began anew: every contact of ``source`` open at that time ended unknown."""

    source: str
    at_ms: int


class Generation(msgspec.Struct, frozen=True, array_like=True):
    """The log was made anew: what is read behind this is newer than all that was told before.

    ``number`` counts how often; versions of facts begin with it.
    """

    number: Annotated[int, msgspec.Meta(ge=0, le=GENERATION_MAX)]


class Heartbeat(msgspec.Struct, frozen=True):
    """Written into ``source``, a topic and partition, at ``at_ms``; came by the stage ``via``.

    It may be written by anybody who may write to a raw topic, so all of it is bounded.
    """

    source: Annotated[str, msgspec.Meta(max_length=300)]
    at_ms: Annotated[int, msgspec.Meta(ge=0, lt=4_102_444_800_000)]
    via: Annotated[str, msgspec.Meta(max_length=100)] = ""


class Rate(msgspec.Struct, frozen=True, array_like=True):
    """What an activity costs, told to every partition; ``item`` is None once it is withdrawn.

    ``version`` counts the distinct events that told of it: the highest is the newest.
    """

    plan_id: str
    version: int
    item: PlanItem | None


class Share(msgspec.Struct, frozen=True, array_like=True):
    """What one source has in one pane, as of its tick."""

    epoch: int
    tick_ms: int
    vector: tuple[int, ...] | dict[str, int]


class _ShareKey(NamedTuple):
    source: str
    group: int
    cell: tuple[str, ...]
    grain: Grain
    number: int


class ContactMessage(msgspec.Struct, frozen=True, array_like=True):
    """The newest word on one interaction of a customer, or on what one says of a case or a link.

    ``row`` is None when it belongs to this history no more. ``frozen``: nothing more will be said.
    A contact that is a guest of this history names the key at ``home`` and how many ``moves`` that
    key has made. A place says where the contacts of this very key are kept; only partition 0, which
    knows all links, sends it.
    """

    interaction_id: str
    version: int
    row: ContactRow | CasePart | Link | Place | None
    frozen: bool = False
    home: str = ""
    moves: int = 0


CASE_PREFIX: Final = b"k"
"""Begins the key of a case's history."""
CUSTOMER_PREFIX: Final = b"c"
"""Begins the key of a customer's history; others are histories of one contact."""
LINKS_KEY: Final = b"\0links"
"""Key of what is said of links: all of it lies in partition 0."""


class PerformanceMessage(msgspec.Struct, frozen=True, array_like=True):
    """What a performer is told: a state, or the newest word on one stint or schedule entry.

    ``name`` is the id of what is told. Without a row and a state it is no longer this performer's,
    or ``frozen``: nothing more will be said.
    """

    name: str
    version: int
    row: StintRow | ShiftRow | None = None
    state: Event | None = None
    frozen: bool = False


encode_tick = msgspec.msgpack.Encoder().encode
decode_tick = msgspec.msgpack.Decoder(Tick).decode
encode_restart = msgspec.msgpack.Encoder().encode
decode_restart = msgspec.msgpack.Decoder(Restart).decode
encode_generation = msgspec.msgpack.Encoder().encode
decode_generation = msgspec.msgpack.Decoder(Generation).decode
encode_heartbeat = msgspec.json.Encoder().encode
_decode_heartbeat = msgspec.json.Decoder(Heartbeat).decode
encode_rate = msgspec.msgpack.Encoder().encode
decode_rate = msgspec.msgpack.Decoder(Rate).decode
encode_share = msgspec.msgpack.Encoder().encode
decode_share = msgspec.msgpack.Decoder(Share).decode
encode_contact = msgspec.msgpack.Encoder().encode
encode_performance = msgspec.msgpack.Encoder().encode
decode_performance = msgspec.msgpack.Decoder(PerformanceMessage).decode
decode_contact = msgspec.msgpack.Decoder(ContactMessage).decode
_decode_share_key = msgspec.msgpack.Decoder(_ShareKey).decode


def share_key(source: str, key: PaneKey) -> bytes:
    """Record key of a share: source, group, cell and pane."""
    return encode_share(_ShareKey(source, *key))


def parse_share_key(key: bytes) -> tuple[str, PaneKey]:
    """Source and pane of a share."""
    source, *pane = _decode_share_key(key)
    return source, PaneKey._make(pane)


def written_again(at_ms: int) -> Headers:
    """What stands on a record that is written again, beside what stood there: when it was first."""
    return ((WRITTEN_HEADER, str(at_ms).encode()),)


def written_ms(record: HasTime) -> int:
    """When a record was written first, in epoch milliseconds.

    In a topic that bears the broker's time, one that is written again says so in a header. Anybody
    may set it, but nobody to a time that is yet to come.
    """
    for name, value in record.headers:
        if name == WRITTEN_HEADER and len(value) <= _DIGITS and value.isdigit():
            return min(int(value), record.timestamp)
    return record.timestamp


_DIGITS: Final = 15


def control_kind(headers: Headers) -> bytes | None:
    """What a control record says, None for a record of data."""
    for name, value in headers:
        if name == CONTROL_HEADER:
            return value
    return None


def heartbeat_in(record: HasHeaders) -> Heartbeat | None:
    """The heartbeat that a record is; None if it is none, or not one of ours."""
    if record.headers and control_kind(record.headers) == HEARTBEAT:
        return decode_heartbeat(record.value)
    return None


def decode_heartbeat(value: bytes | None) -> Heartbeat | None:
    """What a heartbeat says; None if it is not one of ours."""
    with suppress(msgspec.DecodeError):
        return _decode_heartbeat(value or b"")
    return None


def dead_letter_headers(
    *,
    topic: str,
    partition: int,
    offset: int,
    timestamp_ms: int,
    reason: str,
    detail: str,
    payload: bytes | None,
) -> list[tuple[str, bytes]]:
    """Headers of a dead letter; its value is the original bytes."""
    body = payload or b""
    return [
        ("reason", reason.encode()),
        ("detail", detail.encode()),
        ("topic", topic.encode()),
        ("partition", str(partition).encode()),
        ("offset", str(offset).encode()),
        ("timestamp", str(timestamp_ms).encode()),
        ("bytes", str(len(body)).encode()),
        ("sha256", hashlib.sha256(body).hexdigest().encode()),
    ]
