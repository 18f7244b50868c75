"""Conversations of agents with customers: holds, consultations, transfers, wrap-up.

Much is decided at once when an agent accepts, up to the end of the contact or to the moment at
which another agent is needed. A stint's talk, hold and wrap-up are added up while the conversation
is made, so the truth does not depend on reading the events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pipeline.simulator.contact import Center, Contact, EndContact
from pipeline.simulator.profiles import QUEUES, Queue
from pipeline.simulator.queueing import Queues
from pipeline.simulator.records import Stint
from pipeline.simulator.staff import Agent, Staff
from pipeline.simulator.timeline import Event

MAX_LEGS: Final = 3

VOICE_TURNS: Final = (
    (0.030, "blind_queue"), (0.045, "blind_direct"), (0.085, "warm"), (0.100, "conference"),
    (0.125, "advice"),
)  # fmt: skip
"""What a call may come to instead of its end, with cumulated probability."""
MESSAGING_TURNS: Final = ((0.05, "blind_queue"),)


@dataclass(slots=True, eq=False)
class _Part:
    """One agent's part in a contact: its stint, and the fields of its events."""

    agent: Agent
    stint: Stint
    fields: Event
    """What all its events carry: the leg it serves, as it was at acceptance, and the agent."""


class Handling:
    """What happens between a customer and agents once one has accepted."""

    def __init__(self, center: Center, queues: Queues, staff: Staff, end: EndContact) -> None:
        self._center = center
        self._queues = queues
        self._staff = staff
        self._end = end

    def serve(self, accepted_ms: int, contact: Contact, agent: Agent, via: str) -> None:
        """An agent with a reserved place accepts a contact at ``accepted_ms``, now or soon."""
        part = self._accept(accepted_ms, contact, agent, via)
        self._greet(accepted_ms, contact, part)
        self._converse(accepted_ms, contact, part)

    def _accept(self, at_ms: int, contact: Contact, agent: Agent, via: str) -> _Part:
        center, record = self._center, contact.record
        center.timeline.emit(
            at_ms,
            "accepted",
            contact.base,
            contact.task,
            agent.who,
            agent.traits,
            {"via": via},
        )
        queue = contact.queue.name if contact.queue is not None else ""
        stint = center.truth.add_stint(
            Stint(record, queue, agent.performer_id, "human", via, at_ms)
        )
        if record.first_queued_ms is None and queue:
            record.first_queue, record.first_queued_ms = queue, at_ms
        record.handled = True
        record.last_performer_id = agent.performer_id
        record.last_queue = queue
        contact.known_to.update(agent.queues)
        if contact.handoff is not None:
            contact.handoff.handoff_accepted_ms = at_ms
            contact.handoff = None
        return _Part(agent, stint, {**contact.base, **agent.who})

    def _greet(self, at_ms: int, contact: Contact, part: _Part) -> None:
        """The customer proves who it is, and repeats what was lost on the way."""
        center, record = self._center, contact.record
        if record.direction == "internal":
            return
        if contact.context_lost or (record.authentications == 0 and center.chance(0.5)):
            record.authentications += 1
            center.timeline.emit(at_ms + 300, "authenticated", part.fields)
        if contact.context_lost and center.chance(0.7):
            record.info_repeats += 1
            center.timeline.emit(at_ms + 600, "info_repeated", part.fields)
        contact.context_lost = False

    def _converse(self, from_ms: int, contact: Contact, part: _Part) -> None:
        """Talk, perhaps with a hold, to the end of the contact or to a turn it takes."""
        center, channel = self._center, contact.channel
        talk_ms = center.around_ms(channel.talk_median, channel.talk_sigma, least_ms=2000)
        turn = ""
        if contact.queue is not None and contact.leg < MAX_LEGS:
            turns = VOICE_TURNS if channel.media == "voice" else MESSAGING_TURNS
            chance = center.rng.random()
            turn = next((name for cumulated, name in turns if chance < cumulated), "")
        at_ms = from_ms + talk_ms
        part.stint.talk_ms += talk_ms
        if channel.media == "voice" and center.chance(0.28):
            hold_ms = center.around_ms(40, 0.7)
            held_ms = from_ms + int(talk_ms * (0.2 + 0.6 * center.rng.random()))
            hung_up_on_hold = turn == "" and center.chance(0.08)
            if hung_up_on_hold:
                held_ms = at_ms
            part.stint.hold_ms += hold_ms
            center.timeline.emit(held_ms, "hold", part.fields)
            if not hung_up_on_hold:
                center.timeline.emit(held_ms + hold_ms, "resume", part.fields)
            at_ms += hold_ms
        if turn == "":
            self._complete(at_ms, contact, part)
        else:
            center.timeline.call(at_ms, self._turn, contact, contact.queue, part, turn)

    def _complete(self, at_ms: int, contact: Contact, part: _Part) -> None:
        center, record = self._center, contact.record
        resolved: bool | None = None
        if record.direction == "inbound" and not center.chance(0.15):
            queue = contact.queue
            resolved = center.chance(queue.resolved_share if queue is not None else 0.8)
        ended_by = "customer" if center.chance(0.6) else "human"
        said: Event = {"ended_by": ended_by}
        if resolved is not None:
            said["resolved"] = resolved
        center.timeline.emit(at_ms, "completed", part.fields, said)
        self._close(at_ms, contact, part, wraps=True)
        self._end(at_ms, contact, ended_by, resolved=resolved)

    def _close(self, at_ms: int, contact: Contact, part: _Part, *, wraps: bool) -> None:
        """The agent stops serving; its work is complete after wrap-up, where there is one."""
        center, stint, channel = self._center, part.stint, contact.channel
        stint.left_ms = stint.closed_ms = at_ms
        if wraps and center.chance(channel.wrap_share):
            stint.wrap_ms = center.about_ms(channel.wrap_mean, least_ms=500)
            stint.closed_ms = at_ms + stint.wrap_ms
            center.timeline.emit(at_ms, "wrapup_started", part.fields)
            center.timeline.emit(stint.closed_ms, "wrapup_ended", part.fields)
            self._staff.wrap(at_ms, part.agent)
        center.timeline.call(stint.closed_ms, self._staff.release, part.agent)

    def _turn(self, at_ms: int, contact: Contact, queue: Queue, part: _Part, turn: str) -> None:
        """A conversation comes to the point where somebody else is needed, now."""
        media, other_queue = contact.channel.media, QUEUES[queue.transfer_to]
        other = self._queues.free_agent(other_queue.name, media)
        # Nobody gets a contact back: the colleagues asked for work in other queues.
        if not self._queues.is_open(other_queue.name, media) or (
            other_queue.name in contact.known_to
        ):
            self._complete(at_ms, contact, part)
        elif turn == "blind_queue" or (turn == "blind_direct" and other is None):
            self._pass_on(at_ms, part, contact, "blind", {"to_queue": other_queue.name})
            contact.next_leg()
            contact.route(other_queue)
            self._queues.enter(at_ms, contact)
        elif other is None:
            self._complete(at_ms, contact, part)
        elif turn == "blind_direct":
            self._pass_on(at_ms, part, contact, "blind", {"to_performer_id": other.performer_id})
            contact.next_leg()
            self._staff.reserve(at_ms, other)
            self._center.timeline.emit(at_ms, "ringing", contact.base, other.who)
            self.serve(at_ms + self._center.between_ms(1, 6), contact, other, "transfer")
        elif turn == "conference":
            self._bring_in(at_ms, contact, part, other, "conference")
        else:
            self._consult(at_ms, contact, part, other, turn)

    def _pass_on(
        self, at_ms: int, part: _Part, contact: Contact, transfer_kind: str, to: dict[str, str]
    ) -> None:
        """The agent transfers the contact and leaves it."""
        part.stint.transferred = True
        part.stint.transfer_kind = transfer_kind
        contact.record.transfers += 1
        contact.context_lost = transfer_kind == "blind" and self._center.chance(0.4)
        self._center.timeline.emit(
            at_ms, "transfer", part.fields, to, {"transfer_kind": transfer_kind}
        )
        self._center.timeline.emit(at_ms, "left", part.fields)
        self._close(at_ms, contact, part, wraps=True)

    def _consult(self, at_ms: int, contact: Contact, part: _Part, other: Agent, turn: str) -> None:
        """The agent puts the customer on hold and asks a colleague."""
        center = self._center
        center.timeline.emit(at_ms, "hold", part.fields)
        center.timeline.emit(at_ms, "consult", part.fields, {"to_performer_id": other.performer_id})
        if turn == "warm":
            self._bring_in(at_ms, contact, part, other, "warm")
            return
        self._staff.reserve(at_ms, other)
        base, last_performer_id = contact.base, contact.record.last_performer_id
        contact.next_leg()
        accepted_ms = at_ms + center.between_ms(2, 8)
        adviser = self._accept(accepted_ms, contact, other, "consult")
        advised_ms = accepted_ms + center.around_ms(30, 0.5, least_ms=2000)
        adviser.stint.talk_ms = adviser.stint.consult_ms = advised_ms - accepted_ms
        center.timeline.emit(advised_ms, "left", adviser.fields)
        self._close(advised_ms, contact, adviser, wraps=False)
        # The contact itself never left the first agent's leg.
        contact.base = base
        contact.record.last_performer_id = last_performer_id
        center.timeline.emit(advised_ms, "resume", part.fields)
        part.stint.hold_ms += advised_ms - at_ms
        talk_ms = center.around_ms(contact.channel.talk_median / 3, 0.5, least_ms=2000)
        part.stint.talk_ms += talk_ms
        self._complete(advised_ms + talk_ms, contact, part)

    def _bring_in(
        self, at_ms: int, contact: Contact, part: _Part, other: Agent, transfer_kind: str
    ) -> None:
        """A colleague joins, and goes on alone when the first agent has left.

        In a warm transfer the customer is on hold meanwhile, until the first agent leaves; in a
        conference all three talk.
        """
        center = self._center
        self._staff.reserve(at_ms, other)
        contact.next_leg()
        accepted_ms = at_ms + center.between_ms(2, 8)
        warm = transfer_kind == "warm"
        joined = self._accept(accepted_ms, contact, other, "consult" if warm else "conference")
        passed_ms = accepted_ms + center.around_ms(35, 0.5, least_ms=2000)
        joined.stint.talk_ms = passed_ms - accepted_ms
        if warm:
            joined.stint.consult_ms = passed_ms - accepted_ms
            part.stint.hold_ms += passed_ms - at_ms
        else:
            part.stint.talk_ms += passed_ms - at_ms
        self._pass_on(
            passed_ms, part, contact, transfer_kind, {"to_performer_id": other.performer_id}
        )
        self._converse(passed_ms, contact, joined)
