"""Heartbeats: records that go the way of an interaction through every stage, and are none.

The owner of each raw partition writes one into it now and then. Each stage that has committed one
sends it on, so its age at a stage is how old a number there can be at most. Nothing else is done
with it: it enters no KPI.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from threading import Lock

from aiokafka.structs import TopicPartition

from pipeline import metrics
from pipeline.microbatch import Checkpoint, Observer
from pipeline.stages.wire import (
    CONTROL_HEADER,
    HEARTBEAT,
    Heartbeat,
    encode_heartbeat,
)


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


HEADERS = ((CONTROL_HEADER, HEARTBEAT),)
_Place = tuple[str, int, str]


class Passed(Observer):
    """Shows of each stage the oldest heartbeat among those that its places committed last."""

    def __init__(self) -> None:
        self._at_ms: dict[str, dict[_Place, int]] = {}
        self._lock = Lock()

    def passed(self, stage: str, topic: str, partition: int, beat: Heartbeat) -> None:
        """A heartbeat is committed."""
        with self._lock:
            places = self._at_ms.setdefault(stage, {})
            place = (topic, partition, beat.via)
            places[place] = max(beat.at_ms, places.get(place, 0))
            self._show(stage)

    def lost(self, stage: str, topic: str, partition: int) -> None:
        """Somebody else's now."""
        with self._lock:
            places = self._at_ms.get(stage, {})
            for place in [place for place in places if place[:2] == (topic, partition)]:
                del places[place]
            self._show(stage)

    def _show(self, stage: str) -> None:
        if places := self._at_ms.get(stage):
            metrics.HEARTBEAT.labels(stage).set(min(places.values()) / 1000)
        elif stage in self._at_ms:
            metrics.HEARTBEAT.remove(stage)
            del self._at_ms[stage]


PASSED = Passed()
"""Of this process, as its metrics are."""


def pass_on(beat: Heartbeat, checkpoint: Checkpoint, topics: Iterable[str] = ()) -> None:
    """Send a heartbeat on to the same partition of ``topics``; once committed it is shown."""
    stage, (came_by, number) = checkpoint.stage.name, checkpoint.partition.tp
    key = f"heartbeat:{stage}/{number}".encode()
    value = encode_heartbeat(Heartbeat(beat.source, beat.at_ms, stage))
    for topic in topics:
        checkpoint.send(topic, key, value, partition=number, headers=HEADERS)
    checkpoint.after_commit(partial(PASSED.passed, stage, came_by, number, beat))


class Beater:
    """Writes heartbeats into the raw partitions that this worker owns.

    Args:
        every_seconds: How often.
        now_ms: The clock.
    """

    def __init__(self, every_seconds: float, now_ms: Callable[[], int] = _wall_ms) -> None:
        self._now_ms = now_ms
        self._every_ms = round(every_seconds * 1000)
        self._last_ms: dict[TopicPartition, int] = {}

    def beat(self, checkpoint: Checkpoint) -> None:
        """Write one into the partition of ``checkpoint``, if it is time."""
        place, now_ms = checkpoint.partition.tp, self._now_ms()
        if now_ms - self._last_ms.get(place, 0) >= self._every_ms:
            self._last_ms[place] = now_ms
            topic, number = place
            value = encode_heartbeat(Heartbeat(f"{topic}/{number}", now_ms, ""))
            checkpoint.send(
                topic, b"heartbeat", value, partition=number, timestamp_ms=now_ms, headers=HEADERS
            )
