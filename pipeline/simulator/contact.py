"""One running interaction, and what all parts of the center share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final, Protocol

from pipeline.simulator.config import SimulatorConfig
from pipeline.simulator.profiles import Channel, Queue
from pipeline.simulator.records import BotSession, Interaction
from pipeline.simulator.timeline import Event, Timeline
from pipeline.simulator.truth import Truth

MAX_DURATION_MS: Final = 4 * 3_600_000


class Center:
    """The shared parts: configuration, chance, agenda and truth."""

    __slots__ = ("config", "id_prefix", "rng", "timeline", "truth")

    def __init__(
        self, config: SimulatorConfig, rng: Random, timeline: Timeline, truth: Truth, id_prefix: str
    ) -> None:
        self.config = config
        self.rng = rng
        self.timeline = timeline
        self.truth = truth
        self.id_prefix = id_prefix
        """Begins every id of events, interactions and surveys of this start."""

    def chance(self, share: float) -> bool:
        """True with the given probability."""
        return self.rng.random() < share

    def around_ms(self, median_seconds: float, sigma: float, least_ms: int = 1000) -> int:
        """A log-normal duration, bounded to ``least_ms`` .. 4 h."""
        drawn = int(self.rng.lognormvariate(0.0, sigma) * median_seconds * 1000)
        return min(max(drawn, least_ms), MAX_DURATION_MS)

    def about_ms(self, mean_seconds: float, least_ms: int = 1) -> int:
        """An exponential duration, bounded to ``least_ms`` .. 4 h."""
        drawn = int(self.rng.expovariate(1.0) * mean_seconds * 1000)
        return min(max(drawn, least_ms), MAX_DURATION_MS)

    def between_ms(self, low_seconds: float, high_seconds: float) -> int:
        """A uniform duration."""
        return int((low_seconds + (high_seconds - low_seconds) * self.rng.random()) * 1000)


@dataclass(slots=True, eq=False)
class Contact:
    """One interaction while it runs.

    Attributes:
        record: Its truth.
        channel: How its channel behaves.
        queue: Where it is routed, None when no queue is involved.
        base: Fields that every event of the present leg carries.
        task: Fields of its first event, its queue entries and its acceptances.
        customer_number: Number of a known customer, None when withheld.
        leg: Ordinal of the present leg; each transfer begins one.
        handoff: Bot session that waits for a human.
        context_lost: The customer has to repeat what the bot or agent before knew.
        known_to: Queues of the agents who have served it.
    """

    record: Interaction
    channel: Channel
    queue: Queue | None
    base: Event
    task: Event
    customer_number: int | None
    leg: int = 1
    handoff: BotSession | None = None
    context_lost: bool = False
    known_to: set[str] = field(default_factory=set)

    def route(self, queue: Queue) -> None:
        """Send it to another queue; events planned before keep theirs."""
        self.queue = queue
        self.base = {**self.base, "queue": queue.name}

    def next_leg(self) -> None:
        """Begin a new leg after the present one; events planned before keep theirs."""
        root = self.record.interaction_id
        previous = self.base.get("leg_id", root)
        self.leg += 1
        self.base = {**self.base, "leg_id": f"{root}/{self.leg}", "previous_leg_id": previous}


class EndContact(Protocol):
    """Ends a contact, now or at a time already certain; the caller emits the event of it."""

    def __call__(
        self, at_ms: int, contact: Contact, ended_by: str, *, resolved: bool | None
    ) -> None:
        """End ``contact`` at ``at_ms``."""


EnqueueContact = Callable[[int, Contact], None]
"""Puts a contact into the queue it is routed to, at a time that is now."""
