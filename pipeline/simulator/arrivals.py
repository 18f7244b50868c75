"""Who contacts the center, when, on which channel and about what."""

from __future__ import annotations

from itertools import accumulate
from typing import Final

from pipeline.simulator.bots import Bots
from pipeline.simulator.contact import Center, Contact, EndContact
from pipeline.simulator.handling import Handling
from pipeline.simulator.profiles import CHANNELS, LANGUAGES, QUEUES, Channel, Media, Queue
from pipeline.simulator.queueing import Queues
from pipeline.simulator.records import Interaction
from pipeline.simulator.staff import Agent, Staff
from pipeline.simulator.timeline import Event

CUSTOMER_SPAN: Final = 10**10
"""Customers are numbered below this, each start from a place of its own."""
REPEAT_SHARE: Final = 0.11
"""Measured share of repeats in all contacts; only scales arrivals to the rate asked for."""
FREE_AGENTS_FOR_OUTBOUND: Final = 2
QUEUE_OF_INTENT: Final = {intent: queue for queue in QUEUES.values() for intent in queue.intents}


def _cumulated(weights: dict[str, float]) -> list[tuple[float, str]]:
    total = sum(weights.values())
    shares = accumulate(weight / total for weight in weights.values())
    return list(zip(shares, weights, strict=True))


def _drawn(cumulated: list[tuple[float, str]], chance: float) -> str:
    return next((name for total, name in cumulated if chance < total), cumulated[-1][1])


def contacts_per_second(config_rate: float, channels: dict[str, float]) -> float:
    """Contacts of customers that give ``config_rate`` events a second, as a mean over a day."""
    total = sum(channels.values())
    mean = sum(
        CHANNELS[name].events_per_contact * weight / total for name, weight in channels.items()
    )
    return config_rate / mean


class Arrivals:
    """Begins contacts: of customers, of customers who come back, outbound and internal ones."""

    def __init__(self, center: Center, start_ms: int, customer_base: int) -> None:
        config = center.config
        self._center = center
        self._channels = _cumulated(dict(config.channels))
        self._queues_by_chance = _cumulated(dict(config.queues))
        self._contacts = 0
        self._open_customers: set[int] = set()
        self._customer_base = customer_base
        rate = contacts_per_second(config.events_per_second, dict(config.channels))
        self._customers = int(rate * 86_400 * config.customers_per_daily_contact) + 100
        other = config.outbound_share + config.internal_share
        self._outbound = config.outbound_share / (1.0 + other)
        self._internal = other / (1.0 + other)
        mean = sum(config.daily_curve) / 24
        self._relative = [weight / mean for weight in config.daily_curve]
        self._peak = max(self._relative)
        self._peak_per_ms = rate * (1.0 - REPEAT_SHARE) * (1.0 + other) * self._peak / 1000.0
        self._offset_ms = config.utc_offset_minutes * 60_000
        self._next_ms = float(start_ms)

    def connect(
        self, bots: Bots, queues: Queues, handling: Handling, staff: Staff, end: EndContact
    ) -> None:
        """Give the arrivals what is made after them, and plan the first one."""
        self._bots = bots
        self._queues = queues
        self._handling = handling
        self._staff = staff
        self._end = end
        self._plan_next()

    def set_free(self, customer_number: int) -> None:
        """The customer's contact has ended: it may begin another one."""
        self._open_customers.discard(customer_number)

    def reopen(self, at_ms: int, before: Contact, channel: str, intent: str) -> None:
        """The customer of an ended contact comes back, unless already in another contact."""
        number = before.customer_number
        if number is None or number in self._open_customers or self._is_over(at_ms):
            return
        self._of_customer(at_ms, CHANNELS[channel], intent, number)

    def _is_over(self, at_ms: int) -> bool:
        stop_ms = self._center.config.arrivals_stop_ms
        return stop_ms is not None and at_ms >= stop_ms

    def _plan_next(self) -> None:
        """A Poisson process that follows the daily curve, by thinning one at the peak's rate."""
        rng = self._center.rng
        while True:
            self._next_ms += rng.expovariate(self._peak_per_ms)
            hour = int((self._next_ms + self._offset_ms) // 3_600_000) % 24
            if rng.random() * self._peak < self._relative[hour]:
                break
        at_ms = int(self._next_ms)
        if not self._is_over(at_ms):
            self._center.timeline.call(at_ms, self._arrive)

    def _arrive(self, at_ms: int) -> None:
        rng = self._center.rng
        chance = rng.random()
        if chance < self._outbound:
            self._outbound_call(at_ms)
        elif chance < self._internal:
            self._internal_call(at_ms)
        else:
            channel = CHANNELS[_drawn(self._channels, rng.random())]
            queue = QUEUES[_drawn(self._queues_by_chance, rng.random())]
            intent = queue.intents[int(rng.random() * len(queue.intents))]
            self._of_customer(at_ms, channel, intent, self._some_customer(channel))
        self._plan_next()

    def _some_customer(self, channel: Channel) -> int | None:
        """A customer known on this kind of channel who is in no contact, None when withheld."""
        center = self._center
        if center.chance(center.config.withheld_share):
            return None
        for _ in range(5):
            number = 2 * int(center.rng.random() * self._customers)
            number += int(channel.identity == "mail")
            if number not in self._open_customers:
                return number
        return None

    def _of_customer(self, at_ms: int, channel: Channel, intent: str, number: int | None) -> None:
        center = self._center
        queue = QUEUE_OF_INTENT[intent] if channel.name != "field_service" else None
        contact = self._begin(at_ms, channel, queue, intent, number, direction="inbound")
        if number is not None:
            self._open_customers.add(number)
        if queue is None:
            center.timeline.call(
                at_ms + center.between_ms(1800, 4 * 3600), self._visit, contact, 12
            )
        elif center.chance(channel.bot_share):
            self._bots.begin(at_ms, contact)
        else:
            self._queues.enter(at_ms, contact)

    def _visit(self, at_ms: int, contact: Contact, tries: int) -> None:
        """A technician arrives; with none free the visit is put off, and given up in the end."""
        center = self._center
        technician = self._free_agent("onsite")
        if technician is not None:
            self._staff.reserve(at_ms, technician)
            self._handling.serve(at_ms, contact, technician, "direct")
        elif tries > 0:
            center.timeline.call(
                at_ms + center.between_ms(900, 3600), self._visit, contact, tries - 1
            )
        else:
            self._give_up(at_ms, contact)

    def _give_up(self, at_ms: int, contact: Contact) -> None:
        self._center.timeline.emit(
            at_ms, "completed", contact.base, {"ended_by": "system", "resolved": False}
        )
        self._end(at_ms, contact, "system", resolved=False)

    def _free_agent(self, media: Media) -> Agent | None:
        found = (self._queues.free_agent(queue, media) for _, queue in self._queues_by_chance)
        return next((agent for agent in found if agent is not None), None)

    def _outbound_call(self, at_ms: int) -> None:
        """An agent calls somebody of a list of its own, if the queue can spare one."""
        center = self._center
        queue = _drawn(self._queues_by_chance, center.rng.random())
        agent = self._queues.free_agent(queue, "voice")
        if agent is None or self._queues.idle_count(queue, "voice") < FREE_AGENTS_FOR_OUTBOUND:
            return
        number = 2 * (self._customers + int(center.rng.random() * self._customers))
        if number in self._open_customers:
            return
        self._open_customers.add(number)
        contact = self._begin(
            at_ms, CHANNELS["voice"], None, "campaign", number, direction="outbound"
        )
        self._staff.reserve(at_ms, agent)
        answered_ms = at_ms + center.between_ms(4, 25)
        if center.chance(0.45):
            self._handling.serve(answered_ms, contact, agent, "direct")
        else:
            center.timeline.call(answered_ms, self._unanswered, contact, agent)

    def _unanswered(self, at_ms: int, contact: Contact, agent: Agent) -> None:
        self._staff.release(at_ms, agent)
        self._give_up(at_ms, contact)

    def _internal_call(self, at_ms: int) -> None:
        """A colleague of the back office, who is no agent, calls an agent."""
        queue = _drawn(self._queues_by_chance, self._center.rng.random())
        agent = self._queues.free_agent(queue, "voice")
        if agent is None:
            return
        contact = self._begin(at_ms, CHANNELS["voice"], None, "", None, direction="internal")
        self._staff.reserve(at_ms, agent)
        self._handling.serve(at_ms + self._center.between_ms(1, 6), contact, agent, "direct")

    def _begin(
        self,
        at_ms: int,
        channel: Channel,
        queue: Queue | None,
        intent: str,
        number: int | None,
        *,
        direction: str,
    ) -> Contact:
        center = self._center
        self._contacts += 1
        interaction_id = f"{center.id_prefix}-i{self._contacts}"
        customer = "" if number is None else self._customer(channel, number)
        base: Event = {"interaction_id": interaction_id, "channel": channel.name}
        if direction != "inbound":
            base["direction"] = direction
        if customer:
            base["customer"] = customer
        if intent:
            base["intent"] = intent
        language = LANGUAGES[(number or 0) // 2 % len(LANGUAGES)]
        base["language"] = language
        task: Event = {}
        if queue is not None:
            base["queue"] = queue.name
            task = {"kcr_task": queue.kcr_task, "capability": f"{queue.name}-{language}"}
        record = center.truth.add_interaction(
            Interaction(interaction_id, channel.name, direction, intent, customer, at_ms)
        )
        center.timeline.emit(at_ms, "started", base, task)
        return Contact(record, channel, queue, base, task, number)

    def _customer(self, channel: Channel, number: int) -> str:
        """Raw identity as a platform gives it: like a phone number, or like a mail address."""
        shown = (self._customer_base + number) % CUSTOMER_SPAN
        if channel.identity == "phone":
            return f"+1555{shown:010d}"
        return f"customer-{shown}@example.com"
