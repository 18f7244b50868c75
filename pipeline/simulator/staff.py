"""Agents: who they are, when they work, and the states they report."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from math import ceil
from typing import Final

from pipeline.simulator.contact import Center
from pipeline.simulator.profiles import CAPACITY, CHANNELS, QUEUES, STATE_CHANNEL, Media
from pipeline.simulator.schedules import Schedules
from pipeline.simulator.timeline import Event

DAY_MS: Final = 86_400_000
SLOT_MS: Final = 900_000
SHIFT_MS: Final = 8 * 3_600_000
GIG_SHIFT_MS: Final = 4 * 3_600_000
BREAKS: Final = ((0.25, 900_000, "break"), (0.5, 1_800_000, "meal"), (0.75, 900_000, "break"))
"""When within a shift (its share), how long, and why agents are away."""
LOGIN_SPREAD_SECONDS: Final = 120
LEAST_AGENTS: Final = 4
GOLDEN: Final = 0.6180339887498949
"""Multiples of it, modulo 1, spread evenly however few or many are taken."""


@cache
def _traits(
    client: str, site: str, location: str, employment: str, team: str, vendor: str | None
) -> Event:
    """Fields of all agents alike; one dict for all of them, never changed."""
    fields: Event = {
        "client": client, "site": site, "location": location, "employment": employment,
        "team": team,
    }  # fmt: skip
    if vendor is not None:
        fields["vendor"] = vendor
    return fields


@dataclass(slots=True, eq=False)
class Agent:
    """One live agent.

    Attributes:
        performer_id: Its id, the same over all starts.
        media: What it serves.
        queues: Queues it serves, its home queue first.
        who: Performer fields of all its events.
        traits: Further fields of its acceptances and states, shared by all agents alike.
        load: Contacts it is occupied with, offers and wrap-up included.
        on_duty: Within its shift.
        ready: Takes contacts as far as its capacity goes.
        leaving: Its shift is over: it goes offline once it is free.
        absence: Reason and length of a break it begins once it is free.
    """

    performer_id: str
    media: Media
    queues: tuple[str, ...]
    who: Event
    traits: Event
    shift_ms: int
    capacity: int
    load: int = 0
    on_duty: bool = False
    ready: bool = False
    leaving: bool = False
    absence: tuple[str, int] | None = None

    @property
    def has_room(self) -> bool:
        """Whether one more contact may be offered."""
        return self.ready and self.load < self.capacity


class Staff:
    """All agents of the center.

    Args:
        center: Shared parts.
        start_ms: When the simulation begins.
        expected_load: Mean contacts in handling at a time, by (queue, media), over a day.
        on_ready: Called with (at_ms, agent) whenever an agent has room for one more contact.
        on_unready: Called with (agent,) whenever an agent takes no more contacts.
        schedules: Tells what is planned for shifts.
    """

    def __init__(
        self,
        center: Center,
        start_ms: int,
        expected_load: dict[tuple[str, Media], float],
        on_ready: Callable[[int, Agent], None],
        on_unready: Callable[[Agent], None],
        schedules: Schedules,
    ) -> None:
        self._center = center
        self._schedules = schedules
        self._on_ready = on_ready
        self._on_unready = on_unready
        self.on_duty: dict[tuple[str, Media], int] = dict.fromkeys(expected_load, 0)
        """Agents within their shift, by (queue, media)."""
        self.agents: list[Agent] = []
        for (queue, media), load in expected_load.items():
            needed = load / CAPACITY[media] / center.config.occupancy * DAY_MS / (0.93 * SHIFT_MS)
            for position in range(max(LEAST_AGENTS, ceil(needed))):
                self._hire(queue, media, position)
        self._plan_shifts(start_ms)

    def _hire(self, queue: str, media: Media, position: int) -> None:
        number = len(self.agents) + 1
        performer_id = f"agent-{number:05d}"
        # Every third agent helps out in one more queue; every sixth is a gig worker.
        others = [other for other, kind in self.on_duty if kind == media and other != queue]
        second = others[number % len(others)] if others and position % 3 == 2 else None
        gig = number % 6 == 0
        traits = (
            QUEUES[queue].client,
            f"site-{number % 3 + 1}",
            "home" if gig or number % 5 == 0 else "site",
            "gig" if gig else "employed",
            f"{queue}-{media}-{position % 2 + 1}",
            "vendor-a" if number % 2 == 0 else None,
        )
        self.agents.append(
            Agent(
                performer_id,
                media,
                (queue,) if second is None else (queue, second),
                {"performer_kind": "human", "performer_id": performer_id},
                _traits(*traits),
                GIG_SHIFT_MS if gig else SHIFT_MS,
                CAPACITY[media],
            )
        )

    def _plan_shifts(self, start_ms: int) -> None:
        """Spread the beginnings of shifts so that staffing follows the daily curve."""
        curve = self._center.config.daily_curve
        hours = SHIFT_MS // 3_600_000
        # A shift is worth beginning where the hours it covers are busy; squaring sharpens the
        # curve that covering eight hours at once flattens.
        worth = [
            sum(curve[(slot // 4 + ahead) % 24] for ahead in range(hours)) ** 2
            for slot in range(96)
        ]
        cumulated = list(accumulate(worth))
        offset_ms = self._center.config.utc_offset_minutes * 60_000
        for position, agent in enumerate(self.agents):
            target = (position * GOLDEN) % 1.0 * cumulated[-1]
            slot = bisect_right(cumulated, target)
            since_ms = (start_ms + offset_ms - slot * SLOT_MS) % DAY_MS
            if since_ms < agent.shift_ms - SLOT_MS:
                login_ms = start_ms + self._center.between_ms(0, LOGIN_SPREAD_SECONDS)
                begin_ms = start_ms - since_ms
                self._center.timeline.call(login_ms, self._shift_begins, agent, begin_ms)
            else:
                begin_ms = start_ms - since_ms + DAY_MS + self._center.between_ms(0, 300)
                self._center.timeline.call(begin_ms, self._shift_begins, agent, begin_ms)
            self._publish(start_ms, agent, begin_ms)

    def _publish(self, at_ms: int, agent: Agent, begin_ms: int) -> None:
        told: Event = {"channel": STATE_CHANNEL[agent.media], "queue": agent.queues[0]}
        told |= agent.traits
        self._schedules.publish(at_ms, agent.who, told, begin_ms, agent.shift_ms, BREAKS)

    def _report(self, at_ms: int, agent: Agent, state: str, reason: str | None = None) -> None:
        told: Event = {
            "interaction_id": f"performer:{agent.performer_id}",
            "channel": STATE_CHANNEL[agent.media],
            "queue": agent.queues[0],
            "state": state,
        }
        if reason is not None:
            told["reason"] = reason
        self._center.timeline.emit(at_ms, "performer_state", agent.who, agent.traits, told)

    def _shift_begins(self, at_ms: int, agent: Agent, begin_ms: int) -> None:
        agent.on_duty = True
        for queue in agent.queues:
            self.on_duty[queue, agent.media] += 1
        timeline = self._center.timeline
        for share, length_ms, reason in BREAKS:
            break_ms = begin_ms + int(agent.shift_ms * share)
            if break_ms > at_ms:
                timeline.call(break_ms, self._absence_due, agent, (reason, length_ms))
        timeline.call(begin_ms + agent.shift_ms, self._shift_ends, agent)
        timeline.call(begin_ms + DAY_MS, self._shift_begins, agent, begin_ms + DAY_MS)
        self._publish(at_ms, agent, begin_ms + DAY_MS)
        self._come(at_ms, agent)

    def _shift_ends(self, at_ms: int, agent: Agent) -> None:
        agent.on_duty = False
        for queue in agent.queues:
            self.on_duty[queue, agent.media] -= 1
        agent.leaving = True
        self._stop(at_ms, agent)

    def _absence_due(self, at_ms: int, agent: Agent, absence: tuple[str, int]) -> None:
        if agent.on_duty and agent.ready:
            agent.absence = absence
            self._stop(at_ms, agent)

    def _stop(self, at_ms: int, agent: Agent) -> None:
        """Take no more contacts, and go once free."""
        agent.ready = False
        self._on_unready(agent)
        if agent.load == 0:
            self._go(at_ms, agent)

    def _go(self, at_ms: int, agent: Agent) -> None:
        if agent.leaving:
            agent.leaving = False
            agent.absence = None
            self._report(at_ms, agent, "offline")
        elif agent.absence is not None:
            reason, length_ms = agent.absence
            agent.absence = None
            self._report(at_ms, agent, "away", reason)
            self._center.timeline.call(at_ms + length_ms, self._come_back, agent)

    def _come_back(self, at_ms: int, agent: Agent) -> None:
        if agent.on_duty and not agent.ready and agent.absence is None:
            self._come(at_ms, agent)

    def _come(self, at_ms: int, agent: Agent) -> None:
        agent.ready = True
        agent.leaving = False
        self._report(at_ms, agent, "available")
        self._on_ready(at_ms, agent)

    def reserve(self, at_ms: int, agent: Agent) -> None:
        """Occupy one place of an agent who has room, from the offer on."""
        agent.load += 1
        if agent.load == 1:
            self._report(at_ms, agent, "busy")
        if agent.load >= agent.capacity:
            self._on_unready(agent)

    def wrap(self, at_ms: int, agent: Agent) -> None:
        """Report wrap-up, where an agent serves one contact at a time; ``at_ms`` may lie ahead."""
        if agent.capacity == 1:
            self._report(at_ms, agent, "wrap")

    def release(self, at_ms: int, agent: Agent) -> None:
        """Free one place: work on a contact is complete."""
        agent.load -= 1
        if agent.ready:
            if agent.load == 0:
                self._report(at_ms, agent, "available")
            self._on_ready(at_ms, agent)
        elif agent.load == 0:
            self._go(at_ms, agent)

    def decline(self, at_ms: int, agent: Agent) -> None:
        """Free the place of an offer that was not taken, and leave the agent away for a minute."""
        agent.load -= 1
        if agent.ready:
            agent.absence = ("not_responding", 60_000)
            self._stop(at_ms, agent)
        elif agent.load == 0:
            self._go(at_ms, agent)


def expected_load(
    contacts_per_second: float, channels: dict[str, float], queues: dict[str, float]
) -> dict[tuple[str, Media], float]:
    """Mean contacts in handling at a time, by (queue, media); shares are of the whole."""
    found: dict[tuple[str, Media], float] = {}
    for queue, queue_share in queues.items():
        for name, channel_share in channels.items():
            channel = CHANNELS[name]
            if channel.human_share > 0 and queue_share * channel_share > 0:
                key = (queue, channel.media)
                rate = contacts_per_second * queue_share * channel_share * channel.human_share
                found[key] = found.get(key, 0.0) + rate * channel.occupied_mean
    return found
