"""Queue stays: who waits where, who is offered which contact, and the ways out of a queue."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pipeline.simulator.contact import Center, Contact, EndContact
from pipeline.simulator.profiles import QUEUES, Media
from pipeline.simulator.records import QueueStay
from pipeline.simulator.staff import Agent, Staff
from pipeline.simulator.timeline import Event, rfc3339

RING_SECONDS: Final = (1.0, 8.0)
NO_ANSWER_SECONDS: Final = 15.0
EMPTY_QUEUE_SECONDS: Final = 12.0
CALL_WAYS: Final = (
    (0.020, 0.4, 4.9, "abandoned"), (0.140, 30, 75, "callback"), (0.170, 8, 60, "key"),
    (0.400, 45, 90, "overflow"), (0.450, 60, 90, "timeout"), (0.452, 5, 60, "system"),
)  # fmt: skip
"""Ways out of a call's queue besides impatience: cumulated share, from, to (seconds), reason."""
DUE_WITHIN_MS: Final = 4 * 3_600_000
"""Deferred work is promised within this."""
CALLBACK_PATIENCE_MS: Final = 2 * 3_600_000

Serve = Callable[[int, Contact, Agent, str], None]
"""Lets an agent accept a contact: at, contact, agent, via."""


@dataclass(slots=True, eq=False)
class Waiting:
    """A contact in a queue: how it will leave unless an agent takes it before."""

    contact: Contact
    stay: QueueStay
    exit_ms: int
    exit_reason: str
    active: bool = True


class _Pool:
    """Contacts that wait for, and agents with room for, one kind of work."""

    __slots__ = ("idle", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Waiting] = deque()
        self.idle: OrderedDict[Agent, None] = OrderedDict()

    def first_waiting(self) -> Waiting | None:
        """Take the contact that waits longest; those that have left are forgotten on the way."""
        self.forget_gone()
        return self.waiting.popleft() if self.waiting else None

    def forget_gone(self) -> None:
        while self.waiting and not self.waiting[0].active:
            self.waiting.popleft()


class Queues:
    """All queues, by (queue, media)."""

    def __init__(self, center: Center, keys: list[tuple[str, Media]], end: EndContact) -> None:
        self._center = center
        self._end = end
        self._pools = {key: _Pool() for key in keys}
        self._serve: Serve
        self._staff: Staff

    def connect(self, staff: Staff, serve: Serve) -> None:
        """Give the queues what is made after them."""
        self._staff = staff
        self._serve = serve

    def enter(self, at_ms: int, contact: Contact, *, called_back: bool = False) -> None:
        """Put a contact into the queue it is routed to, now."""
        queue = contact.queue
        if queue is None:
            raise ValueError("a direct contact has no queue to enter")
        center, record = self._center, contact.record
        due: Event = {}
        if contact.channel.media == "deferred":
            due["due_at"] = rfc3339(at_ms + DUE_WITHIN_MS)
        center.timeline.emit(at_ms, "queued", contact.base, contact.task, due)
        stay = center.truth.add_stay(
            QueueStay(record, queue.name, at_ms, after_bot=contact.handoff is not None)
        )
        if record.first_queued_ms is None:
            record.first_queue, record.first_queued_ms = queue.name, at_ms
        exit_ms, reason = self._way_out(at_ms, contact, called_back=called_back)
        waiting = Waiting(contact, stay, exit_ms, reason)
        agent = self.free_agent(queue.name, contact.channel.media)
        if agent is None:
            self._pools[queue.name, contact.channel.media].waiting.append(waiting)
        center.timeline.call(exit_ms, self._leave, waiting)
        if agent is not None:
            self._offer(at_ms, waiting, agent)

    def is_open(self, queue: str, media: Media) -> bool:
        """Whether the center has such a queue at all."""
        return (queue, media) in self._pools

    def free_agent(self, queue: str, media: Media) -> Agent | None:
        """The agent with room who has been idle longest, None when all are occupied."""
        pool = self._pools.get((queue, media))
        return next(iter(pool.idle), None) if pool is not None else None

    def idle_count(self, queue: str, media: Media) -> int:
        """Agents with room."""
        pool = self._pools.get((queue, media))
        return len(pool.idle) if pool is not None else 0

    def ready(self, at_ms: int, agent: Agent) -> None:
        """An agent has room: offer what waits, in its home queue first, else note it as idle."""
        while agent.has_room:
            for queue in agent.queues:
                waiting = self._pools[queue, agent.media].first_waiting()
                if waiting is not None:
                    self._offer(at_ms, waiting, agent)
                    break
            else:
                for queue in agent.queues:
                    idle = self._pools[queue, agent.media].idle
                    idle.pop(agent, None)
                    idle[agent] = None
                return

    def unready(self, agent: Agent) -> None:
        """An agent takes no more contacts."""
        for queue in agent.queues:
            self._pools[queue, agent.media].idle.pop(agent, None)

    def _way_out(self, at_ms: int, contact: Contact, *, called_back: bool) -> tuple[int, str]:
        """When and how the contact will leave the queue if nobody answers it."""
        center, channel, queue = self._center, contact.channel, contact.queue
        if called_back:
            return at_ms + CALLBACK_PATIENCE_MS, "timeout"
        ways = [(int(channel.timeout * 1000), "timeout")]
        if channel.patience_mean > 0:
            ways.append((center.about_ms(channel.patience_mean), "abandoned"))
        if channel.media == "voice" and queue is not None:
            chance = center.rng.random()
            for cumulated, low_seconds, high_seconds, reason in CALL_WAYS:
                if chance < cumulated:
                    if reason != "overflow" or self.is_open(queue.overflow_to, channel.media):
                        ways.append((center.between_ms(low_seconds, high_seconds), reason))
                    break
            if self._staff.on_duty.get((queue.name, channel.media), 0) == 0:
                ways.append((int(EMPTY_QUEUE_SECONDS * 1000), "empty"))
        wait_ms, reason = min(ways)
        return at_ms + wait_ms, reason

    def _offer(self, at_ms: int, waiting: Waiting, agent: Agent) -> None:
        """Let an agent's device ring; the contact stays in the queue until it is accepted."""
        center, contact = self._center, waiting.contact
        waiting.active = False
        self._staff.reserve(at_ms, agent)
        if agent.has_room:
            self._rotate(agent)
        center.timeline.emit(at_ms, "ringing", contact.base, agent.who)
        no_answer_ms = at_ms + int(NO_ANSWER_SECONDS * 1000)
        if no_answer_ms < waiting.exit_ms and center.chance(center.config.decline_share):
            center.timeline.call(no_answer_ms, self._decline, waiting, agent)
            return
        # An offer is accepted before the contact would have left, so no offer is left hanging.
        accepted_ms = min(at_ms + center.between_ms(*RING_SECONDS), waiting.exit_ms)
        waiting.stay.left_ms = accepted_ms
        waiting.stay.outcome = "answered"
        self._serve(accepted_ms, contact, agent, "queue")

    def _rotate(self, agent: Agent) -> None:
        for queue in agent.queues:
            idle = self._pools[queue, agent.media].idle
            if agent in idle:
                idle.move_to_end(agent)

    def _decline(self, at_ms: int, waiting: Waiting, agent: Agent) -> None:
        contact, media = waiting.contact, agent.media
        self._center.timeline.emit(at_ms, "declined", contact.base, agent.who)
        self._staff.decline(at_ms, agent)
        waiting.active = True
        other = self.free_agent(waiting.stay.queue, media)
        if other is not None:
            self._offer(at_ms, waiting, other)
        else:
            self._pools[waiting.stay.queue, media].waiting.appendleft(waiting)

    def _leave(self, at_ms: int, waiting: Waiting) -> None:
        """The contact leaves the queue in the way that was laid down when it entered."""
        if not waiting.active:
            return
        waiting.active = False
        contact, stay, reason = waiting.contact, waiting.stay, waiting.exit_reason
        self._pools[stay.queue, contact.channel.media].forget_gone()
        stay.left_ms = at_ms
        if reason == "abandoned":
            stay.outcome = "abandoned"
            contact.record.abandoned = True
            self._center.timeline.emit(at_ms, "abandoned", contact.base)
            self._end(at_ms, contact, "customer", resolved=None)
            return
        stay.outcome = "flow_out"
        stay.reason = reason
        self._center.timeline.emit(at_ms, "left_queue", contact.base, {"reason": reason})
        if reason == "overflow":
            contact.route(QUEUES[QUEUES[stay.queue].overflow_to])
            self.enter(at_ms, contact)
        elif reason == "callback":
            due_ms = at_ms + self._center.between_ms(300, 2700)
            self._center.timeline.call(due_ms, self._call_back, contact)
        else:
            ended_by = "customer" if reason == "key" else "system"
            self._center.timeline.emit(
                at_ms, "completed", contact.base, {"ended_by": ended_by, "resolved": False}
            )
            self._end(at_ms, contact, ended_by, resolved=False)

    def _call_back(self, at_ms: int, contact: Contact) -> None:
        contact.next_leg()
        self.enter(at_ms, contact, called_back=True)
