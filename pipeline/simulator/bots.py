"""Bot sessions: turns, what the bot makes of them, and how they end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pipeline.simulator.contact import Center, Contact, EndContact, EnqueueContact
from pipeline.simulator.profiles import BOT_VERSIONS
from pipeline.simulator.records import BotSession, Stint
from pipeline.simulator.timeline import Event

IDLE_SECONDS: Final = (600.0, 900.0)
"""Silence after which a bot gives up; well below the longest silence of a bot session."""
WELCOME: Final = "welcome"
"""Flow that a bot begins with; what the customer wants leads to another one."""
NEW_VERSION_GAIN: Final = 0.9
"""The newer version hands off this often against the older one."""


class Bots:
    """All bots: one for each channel that has one."""

    def __init__(
        self,
        center: Center,
        end: EndContact,
        enqueue: EnqueueContact,
        answered: Callable[[int, Contact, Event], None],
    ) -> None:
        self._center = center
        self._answered = answered
        self._end = end
        self._enqueue = enqueue

    def begin(self, at_ms: int, contact: Contact) -> None:
        """Let the channel's bot take a contact, now; the whole session is planned at once."""
        center, base, record = self._center, contact.base, contact.record
        queue = contact.queue.name if contact.queue is not None else ""
        chance = center.rng.random()
        version = next(name for name, cumulated in BOT_VERSIONS if chance < cumulated)
        bot_id = f"bot-{contact.channel.name}"
        who: Event = {"performer_kind": "bot", "performer_id": bot_id, "model_version": version}
        center.timeline.emit(at_ms, "bot_started", base, who, {"flow": WELCOME})
        silent = center.chance(center.config.silent_bot_share)
        outcome = "left" if silent else self._outcome(contact, version)
        turns = 0 if silent else self._exchanges(outcome)
        who = {**who, "flow": base.get("intent", WELCOME) if turns else WELCOME}
        last_ms = at_ms + center.between_ms(1, 4)
        user_turns = 0
        for turn in range(turns):
            no_input = turn > 0 and center.chance(0.03)
            user_turns += not no_input
            last_ms = self._exchange(last_ms, contact, who, no_input=no_input, first=turn == 0)
        if outcome == "timed_out":
            ended_ms = last_ms + center.between_ms(*IDLE_SECONDS)
        else:
            ended_ms = last_ms + center.between_ms(0.5, 12)
        session = center.truth.add_bot_session(
            BotSession(
                record, queue, bot_id, version, at_ms, ended_ms, outcome, user_turns
            )
        )  # fmt: skip
        center.truth.add_stint(
            Stint(
                record, queue, bot_id, "bot", "direct", at_ms, ended_ms, ended_ms,
                talk_ms=ended_ms - at_ms, handled=turns > 0,
            )
        )  # fmt: skip
        record.bot_sessions += 1
        if turns:
            record.handled = True
            record.last_performer_id = bot_id
            record.last_queue = queue
        if outcome == "handoff":
            self._hand_off(ended_ms, contact, session, who)
        else:
            self._finish(ended_ms, contact, outcome, who)

    def _outcome(self, contact: Contact, version: str) -> str:
        channel = contact.channel
        gain = NEW_VERSION_GAIN if version == BOT_VERSIONS[-1][0] else 1.0
        handoff = channel.handoff_share * gain
        chance = self._center.rng.random()
        if chance < handoff:
            return "handoff"
        if chance < handoff + channel.left_share:
            return "left"
        if chance < handoff + channel.left_share + channel.timed_out_share:
            return "timed_out"
        return "resolved"

    def _exchanges(self, outcome: str) -> int:
        most = {"left": 3, "timed_out": 4, "handoff": 4, "resolved": 6}[outcome]
        return 1 + int(self._center.rng.random() * most)

    def _exchange(
        self, from_ms: int, contact: Contact, who: Event, *, no_input: bool, first: bool
    ) -> int:
        """What the user says, if anything, and the bot's answer; returns when that was given."""
        center, base = self._center, contact.base
        said_ms = from_ms + center.around_ms(7, 0.6)
        answered_ms = said_ms + center.between_ms(0.3, 2.5)
        if no_input:
            center.timeline.emit(
                said_ms, "bot_turn", base, who, {"user_turn": False, "no_input": True}
            )
        else:
            confidence = round(1.0 - 0.8 * center.rng.random() ** 3, 2)
            center.timeline.emit(
                said_ms, "bot_turn", base, who,
                {"user_turn": True, "no_match": confidence < 0.3, "confidence": confidence},
            )  # fmt: skip
            if first and center.chance(0.3):
                contact.record.authentications += 1
                center.timeline.emit(said_ms, "authenticated", base, who)
        # Of the moment, not of chance: they change nothing else that happens here.
        tokens = {"input_tokens": 400 + answered_ms % 700, "output_tokens": 30 + said_ms % 120}
        center.timeline.emit(answered_ms, "bot_turn", base, who, {"user_turn": False, **tokens})
        self._answered(answered_ms, contact, who)
        return answered_ms

    def _hand_off(self, at_ms: int, contact: Contact, session: BotSession, who: Event) -> None:
        center, base, record = self._center, contact.base, contact.record
        context_ok = not center.chance(center.config.context_lost_share)
        session.handoff_ms = at_ms
        session.context_ok = context_ok
        record.handoffs += 1
        record.handoffs_without_context += not context_ok
        contact.handoff = session
        contact.context_lost = not context_ok
        center.timeline.emit(at_ms, "handoff", base, who, {"context_ok": context_ok})
        center.timeline.emit(at_ms, "bot_ended", base, who, {"outcome": "handoff"})
        center.timeline.call(at_ms, self._enqueue, contact)

    def _finish(self, at_ms: int, contact: Contact, outcome: str, who: Event) -> None:
        timeline, base = self._center.timeline, contact.base
        timeline.emit(at_ms, "bot_ended", base, who, {"outcome": outcome})
        if outcome == "resolved":
            ended_by, resolved = "bot", True
        elif outcome == "timed_out":
            ended_by, resolved = "system", None
        else:
            ended_by, resolved = "customer", None
        said: Event = {"ended_by": ended_by}
        if resolved is not None:
            said["resolved"] = resolved
        timeline.emit(at_ms, "completed", base, said)
        self._end(at_ms, contact, ended_by, resolved=resolved)
