"""Disorder: what a network does to a stream, with a bound and from a seed."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from random import Random

from pipeline.simulator.timeline import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class DisorderConfig:
    """How much disorder.

    Attributes:
        duplicate_ratio: Share of events that arrive twice, each copy at a time of its own.
        shuffle_within_ms: Every arrival is late by up to this.
        delayed_ratio: Share of arrivals that are late by up to ``delay_within_ms`` more.
        delay_within_ms: Longest further delay.
    """

    duplicate_ratio: float = 0.02
    shuffle_within_ms: int = 2_000
    delayed_ratio: float = 0.005
    delay_within_ms: int = 60_000

    def __post_init__(self) -> None:
        """Refuse what is no share or no time.

        Raises:
            ValueError: For a ratio outside 0..1 or a negative time.
        """
        for name in ("duplicate_ratio", "delayed_ratio"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must lie between 0 and 1")
        for name in ("shuffle_within_ms", "delay_within_ms"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")

    @property
    def bound_ms(self) -> int:
        """No copy of an event arrives later than this after it occurred."""
        return self.shuffle_within_ms + (self.delay_within_ms if self.delayed_ratio else 0)


class Disorder:
    """Gives events out in the order of their arrival instead of their occurrence.

    Events are put in in order of ``occurred_at``; held are only those on their way, which occurred
    within ``config.bound_ms``. Events are not changed; a duplicate is a second dict.
    """

    def __init__(self, config: DisorderConfig, seed: int) -> None:
        self._config = config
        self._rng = Random(seed)  # noqa: S311
        self._on_the_way: list[tuple[int, int, Event]] = []
        self._order = 0
        self.duplicates = 0
        """Copies added so far."""

    def __len__(self) -> int:
        """Events on their way."""
        return len(self._on_the_way)

    def put(self, event: Event) -> None:
        """Send one event on its way."""
        occurred_ms = occurred_at_ms(event)
        self._send(occurred_ms, event)
        if self._rng.random() < self._config.duplicate_ratio:
            self.duplicates += 1
            self._send(occurred_ms, dict(event))

    def arrived(self, until_ms: int) -> Iterator[Event]:
        """Events that arrive up to ``until_ms``; nothing that occurred by then may be put later."""
        while self._on_the_way and self._on_the_way[0][0] <= until_ms:
            yield heapq.heappop(self._on_the_way)[2]

    def rest(self) -> Iterator[Event]:
        """Everything still on its way."""
        while self._on_the_way:
            yield heapq.heappop(self._on_the_way)[2]

    def stream(self, events: Iterable[Event]) -> Iterator[Event]:
        """All events of an ordered iterable in order of arrival, the rest at its end."""
        for event in events:
            # Of this very instant there may be more to come.
            yield from self.arrived(occurred_at_ms(event) - 1)
            self.put(event)
        yield from self.rest()

    def _send(self, occurred_ms: int, event: Event) -> None:
        config, rng = self._config, self._rng
        arrives_ms = occurred_ms + int(rng.random() * (config.shuffle_within_ms + 1))
        if rng.random() < config.delayed_ratio:
            arrives_ms += int(rng.random() * (config.delay_within_ms + 1))
        self._order += 1
        heapq.heappush(self._on_the_way, (arrives_ms, self._order, event))


def occurred_at_ms(event: Event) -> int:
    """UTC epoch milliseconds of an event's ``occurred_at``.

    Raises:
        ValueError: If it is no RFC 3339 time with an offset.
    """
    at = datetime.fromisoformat(event["occurred_at"])
    if at.tzinfo is None:
        raise ValueError("occurred_at has no offset")
    return round(at.timestamp() * 1000)
