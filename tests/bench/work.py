"""The work that every contestant does on the same bytes.

Read a topic of JSON events from its beginning, check their types, and keep for each key and each
tumbling window of event time: how many events, how long they took, how many answered the survey,
and the sum of their answers. Send changed aggregates on, and commit what was read. The output holds
the latest value of each aggregate under its key, so that the sums can be checked afterwards.

Three forms of it: ``few`` keys (queue and channel, windows of a minute), where a second of events
folds into some hundred aggregates, ``many`` (customers, one window of a day), where next to nothing
folds, and ``spread``, the few keys over 64 partitions instead of 4.
"""

from __future__ import annotations

import os
from typing import Annotated, Final, Literal, NamedTuple

import msgspec

PARTITIONS: Final = 4
SEED: Final = 7
START_MS: Final = 1_780_272_000_000
"""Event time of the first event, 2026-06-01T00:00:00Z; each next one is a millisecond later."""

QUEUES: Final = tuple(
    f"{subject}-{tier}"
    for subject in ("billing", "sales", "support", "returns", "claims")
    for tier in ("tier1", "tier2", "vip", "intl")
)
CHANNELS: Final = ("voice", "chat", "email", "sms", "social", "video", "callback")

NotNegative = Annotated[float, msgspec.Meta(ge=0)]


class Event(msgspec.Struct):
    """A completed interaction, 327 bytes as JSON on average."""

    event_id: str
    type: str
    interaction_id: str
    customer_id: str
    queue: str
    channel: Literal["voice", "chat", "email", "sms", "social", "video", "callback"]
    agent_kind: Literal["bot", "human"]
    agent_id: str
    ts: int
    talk_s: NotNegative
    hold_s: NotNegative
    acw_s: NotNegative
    csat: Annotated[int, msgspec.Meta(ge=1, le=5)] | None


decode_event: Final = msgspec.json.Decoder(Event).decode

Aggregate = list[float]
"""Events, their seconds, survey answers, sum of the answers."""


class Form(NamedTuple):
    """One form of the work."""

    topic: str
    window_ms: int
    partitions: int = PARTITIONS


FORMS: Final = {
    "few": Form("bench.by-queue", 60_000),
    "many": Form("bench.by-customer", 86_400_000),
    "spread": Form("bench.by-queue-spread", 60_000, 64),
}


class Task(NamedTuple):
    """What one worker is to do, as the harness tells it in its environment."""

    bootstrap: str
    topic: str
    output: str
    group: str
    by_customer: bool
    window_ms: int
    events: int
    partitions: int = PARTITIONS

    @classmethod
    def of_environment(cls) -> Task:
        """The task this process was started with."""
        return msgspec.json.decode(os.environ["BENCH_TASK"], type=cls)

    def fold(
        self, event: Event, aggregates: dict[tuple[object, ...], Aggregate]
    ) -> tuple[object, ...]:
        """Add ``event`` to its aggregate; the key of that."""
        window = event.ts // self.window_ms
        key = (
            (event.customer_id, window)
            if self.by_customer
            else (event.queue, event.channel, window)
        )
        aggregate = aggregates.get(key)
        if aggregate is None:
            aggregate = aggregates[key] = [0, 0.0, 0, 0]
        aggregate[0] += 1
        aggregate[1] += event.talk_s + event.hold_s + event.acw_s
        if event.csat is not None:
            aggregate[2] += 1
            aggregate[3] += event.csat
        return key


class Sums(NamedTuple):
    """All aggregates of a topic added up."""

    events: int
    seconds: float
    answers: int
    answered: int


def say_first() -> None:
    """Tell the harness that the first event is here: the clock starts."""
    os.write(1, b"BENCH_FIRST\n")


def say_last(events: int) -> None:
    """Tell the harness that all is counted, sent, acknowledged and committed: the clock stops."""
    os.write(1, b"BENCH_LAST %d\n" % events)
