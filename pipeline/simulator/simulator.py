"""The simulator: a contact center from a seed, told as unified events."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from random import Random

from pipeline.simulator.aftermath import Aftermath
from pipeline.simulator.arrivals import CUSTOMER_SPAN, Arrivals, contacts_per_second
from pipeline.simulator.bots import Bots
from pipeline.simulator.config import SimulatorConfig
from pipeline.simulator.contact import Center
from pipeline.simulator.handling import Handling
from pipeline.simulator.judgements import KINDS as JUDGEMENTS
from pipeline.simulator.judgements import Judgements
from pipeline.simulator.plans import Plans
from pipeline.simulator.queueing import Queues
from pipeline.simulator.schedules import Schedules
from pipeline.simulator.staff import Staff, expected_load
from pipeline.simulator.timeline import Event, Timeline, rfc3339
from pipeline.simulator.truth import Truth

SOURCE = "simulator"


class Simulator:
    """A contact center that lives in event time.

    The same arguments give the same events, however the caller cuts them. Another ``id_prefix``
    gives the same story under other ids and other customers, so that two starts do not mix.

    Args:
        config: What the center is like.
        seed: Decides everything that is left to chance.
        start_ms: Event time at which it begins, UTC epoch milliseconds.
        id_prefix: Begins every id of an event, interaction or survey; unique per start.

    Attributes:
        truth: What really happened.
        now_ms: Everything up to this time has been given out.
    """

    def __init__(self, config: SimulatorConfig, seed: int, start_ms: int, id_prefix: str) -> None:
        self._timeline = Timeline()
        self.now_ms = start_ms - 1
        self.truth = Truth(self.now_ms, keep=config.keep_truth)
        self._id_prefix = f"{id_prefix}-{seed}"
        self._events = 0
        self._second = -1
        self._second_text = ""
        center = Center(config, Random(seed), self._timeline, self.truth, self._id_prefix)  # noqa: S311
        customer_base = Random(self._id_prefix).randrange(CUSTOMER_SPAN)  # noqa: S311
        arrivals = Arrivals(center, start_ms, customer_base)
        judgements = Judgements(center, seed)
        aftermath = Aftermath(center, arrivals.reopen, arrivals.set_free, judgements.ended)
        load = expected_load(
            contacts_per_second(config.events_per_second, dict(config.channels)),
            _shares(dict(config.channels)),
            _shares(dict(config.queues)),
        )
        queues = Queues(center, list(load), aftermath.end)
        schedules = Schedules(self._timeline, seed, self._id_prefix)
        staff = Staff(center, start_ms, load, queues.ready, queues.unready, schedules)
        self._plans = (
            Plans(config, seed, start_ms, self._id_prefix, staff.agents, load)
            if config.plans
            else None
        )
        handling = Handling(center, queues, staff, aftermath.end)
        queues.connect(staff, handling.serve)
        bots = Bots(center, aftermath.end, queues.enter, judgements.answered)
        arrivals.connect(bots, queues, handling, staff, aftermath.end)

    def generate(self, until_ms: int) -> Iterator[Event]:
        """Events up to and including ``until_ms``, in order of time, from where it stopped before.

        Each is a JSON-ready dict of its own. An iterator may be left unfinished: the next one goes
        on after the last event taken.
        """
        timeline = self._timeline
        while (at_ms := timeline.peek(until_ms)) is not None:
            yield from self._planned(at_ms)
            _, _, kind, fields = timeline.pop()
            yield self._stamped(at_ms, kind, fields)
        yield from self._planned(until_ms)
        self.now_ms = max(self.now_ms, until_ms)
        self.truth.known_until_ms = self.now_ms

    def _planned(self, until_ms: int) -> Iterator[Event]:
        return iter(()) if self._plans is None else self._plans.until(until_ms)

    def take(self, limit: int, until_ms: int) -> list[Event]:
        """At most ``limit`` events up to ``until_ms``; fewer mean that there are no more."""
        return list(islice(self.generate(until_ms), limit))

    def next_event_ms(self) -> int | None:
        """Time of the next event, None when nothing is left to happen."""
        return self._timeline.peek()

    def _stamped(self, at_ms: int, kind: object, fields: tuple[Event, ...]) -> Event:
        """Add identity and time. The sequence is that of all events, so it orders each contact.

        Judgements and plans are told beside the story: they have ids of their own and do not count,
        so that they change no other event.
        """
        planned = kind == "plan"
        self._events += kind not in JUDGEMENTS and not planned
        second, millisecond = divmod(at_ms, 1000)
        if second != self._second:
            self._second = second
            self._second_text = rfc3339(second * 1000)[:-4]
        event: Event = {
            "event_id": f"{self._id_prefix}-{self._events}",
            "kind": kind,
            "source": SOURCE,
            "source_seq": self._events,
            "occurred_at": f"{self._second_text}{millisecond:03d}Z",
        }
        for part in fields:
            event.update(part)
        if planned:
            del event["source_seq"]
        return event


def _shares(weights: dict[str, float]) -> dict[str, float]:
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}
