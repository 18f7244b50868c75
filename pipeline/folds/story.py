"""What happened in one interaction, told by its events in canonical order.

:class:`Story` walks the events once and leaves queue stays and stints behind. It knows nothing of
facts, KPIs or versions; :mod:`pipeline.folds.interaction` makes rows of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.folds.event import Event
from pipeline.folds.silence import Silence
from pipeline.folds.stints import Stay, Stint

_CONSULTING = ("consult", "conference", "direct")


@dataclass(eq=False)
class Story:
    """Stays, stints and totals of one interaction. ``tell`` takes events in canonical order."""

    stays: list[Stay] = field(default_factory=list)
    stints: list[Stint] = field(default_factory=list)
    records: dict[tuple[str, str], Event] = field(default_factory=dict)
    surveys: list[Event] = field(default_factory=list)
    ended_ms: int | None = None
    ended_by: str = ""
    resolved: bool | None = None
    transfers: int = 0
    authentications: int = 0
    info_repeats: int = 0
    last_activity_ms: int = 0
    independent_legs: frozenset[str] = frozenset()
    greeting_only: bool = True

    def tell(self, events: Sequence[Event], restarts_ms: Sequence[int] = ()) -> None:
        """Walk ``events``, which must be sorted by :attr:`Event.order`.

        At each of ``restarts_ms``, sorted, the platform lost whatever was open.
        """
        restarts = [at for at in restarts_ms if events and at >= events[0].occurred_ms]
        self.independent_legs = frozenset(
            e.leg_id for e in events if e.previous_leg_id or e.kind == "completed"
        )
        for event in events:
            while restarts and restarts[0] < event.occurred_ms:
                self._lose(restarts.pop(0))
            step = getattr(self, f"_{event.kind}", None)
            if step is not None:
                step(event)
        for at_ms in restarts:
            self._lose(at_ms)

    # --- who is meant ---------------------------------------------------------------------------

    def _open_bot(self) -> Stint | None:
        return next((s for s in reversed(self.stints) if s.is_bot and s.open), None)

    def _stint_of(self, event: Event, *, open_only: bool = True) -> Stint | None:
        """The stint an event speaks of: by performer, else by leg, else the latest."""
        found = [s for s in self.stints if s.open] if open_only else self.stints
        for match in (
            [s for s in found if event.performer_id and s.performer_id == event.performer_id],
            [] if event.performer_id else [s for s in found if s.leg_id == event.leg_id],
            [] if event.performer_id else found,
        ):
            if match:
                serving = [s for s in match if s.consult_since_ms is None]
                return (serving or match)[-1]
        return None

    def _stay_of(self, event: Event, *, named: bool = False) -> Stay | None:
        """The open stay an event speaks of: by queue and leg, else by leg, else by queue.

        With ``named``, an event that names a queue speaks of no other.
        """
        waiting = [s for s in self.stays if s.open]
        if named and event.queue:
            waiting = [s for s in waiting if s.event.queue == event.queue]
        for match in (
            [s for s in waiting if s.event.leg_id == event.leg_id and s.event.queue == event.queue],
            [s for s in waiting if s.event.leg_id == event.leg_id],
            [s for s in waiting if event.queue and s.event.queue == event.queue],
        ):
            if match:
                return match[-1]
        return waiting[0] if len(waiting) == 1 else None

    def _acted(self, event: Event) -> None:
        """Something happened: the contact goes on, whatever was said about its end."""
        self.last_activity_ms = max(self.last_activity_ms, event.occurred_ms)
        self.greeting_only = False
        self.ended_ms = None
        self.ended_by = ""

    def _noted(self, event: Event) -> None:
        self.last_activity_ms = max(self.last_activity_ms, event.occurred_ms)
        self.greeting_only = False

    # --- coming in and bots ---------------------------------------------------------------------

    def _started(self, event: Event) -> None:
        self._noted(event)

    def _bot_started(self, event: Event) -> None:
        self.last_activity_ms = max(self.last_activity_ms, event.occurred_ms)
        performer = event.performer_id or "bot"
        current = self._open_bot()
        if current is not None:
            if current.performer_id == performer and current.leg_id == event.leg_id:
                return
            self._end_bot(current, event.occurred_ms, "ended")
        self.stints.append(Stint(event, event.performer_kind or "bot", performer, "direct"))

    def _bot_turn(self, event: Event) -> None:
        bot = self._bot_for(event)
        if event.user_turn is False:
            self.last_activity_ms = max(self.last_activity_ms, event.occurred_ms)
        else:
            self._noted(event)
            bot.turns += 1

    def _bot_for(self, event: Event) -> Stint:
        bot = self._open_bot()
        if bot is None:
            performer = event.performer_id or "bot"
            bot = Stint(event, event.performer_kind or "bot", performer, "direct")
            self.stints.append(bot)
        return bot

    def _handoff(self, event: Event) -> None:
        self._noted(event)
        bot = self._open_bot()
        if bot is None:
            bot = next((s for s in reversed(self.stints) if s.is_bot), None)
            if bot is None or bot.handoff_ms is not None:
                bot = self._bot_for(event)
        if bot.handoff_ms is None:
            bot.handoff_ms = event.occurred_ms
        bot.context_ok = event.context_ok
        self._end_bot(bot, event.occurred_ms, "handoff")

    def _bot_ended(self, event: Event) -> None:
        self._noted(event)
        bot = self._open_bot()
        outcome = event.outcome or "ended"
        if bot is None:
            bot = next((s for s in reversed(self.stints) if s.is_bot), None)
            if bot is not None and bot.bot_outcome in ("", "ended"):
                bot.bot_outcome = outcome
        if bot is None:
            return
        if outcome == "handoff" and bot.handoff_ms is None:
            bot.handoff_ms = event.occurred_ms
        self._end_bot(bot, event.occurred_ms, outcome)
        if outcome == "resolved":
            self.resolved = True
        if outcome != "handoff" and not self._anything_open():
            self._end(event.occurred_ms, "customer" if outcome == "left" else "bot")

    def _end_bot(self, bot: Stint, at_ms: int, outcome: str) -> None:
        if bot.open:
            bot.leave(at_ms)
            bot.closed_ms = at_ms
            bot.bot_outcome = outcome

    def _authenticated(self, event: Event) -> None:
        self._noted(event)
        self.authentications += 1

    def _info_repeated(self, event: Event) -> None:
        self._noted(event)
        self.info_repeats += 1

    # --- queues ---------------------------------------------------------------------------------

    def _queued(self, event: Event) -> None:
        self._acted(event)
        for stay in self.stays:
            if stay.open and stay.event.leg_id == event.leg_id:
                if stay.event.queue == event.queue:
                    return
                stay.leave(event.occurred_ms, "flow_out", "overflow")
        for stint in self.stints:
            if stint.open and stint.passed_on_ms is not None and stint.leg_id == event.leg_id:
                stint.leave(stint.passed_on_ms)
        bot = self._open_bot()
        if bot is not None:
            bot.handoff_ms = event.occurred_ms
            self._end_bot(bot, event.occurred_ms, "handoff")
        after_bot = any(s.handoff_pending for s in self.stints)
        self.stays.append(Stay(event, after_bot))

    def _ringing(self, event: Event) -> None:
        self._noted(event)

    def _declined(self, event: Event) -> None:
        self._noted(event)

    def _left_queue(self, event: Event) -> None:
        self._noted(event)
        stay = self._stay_of(event, named=True)
        if stay is not None:
            stay.leave(event.occurred_ms, "flow_out", event.reason or "system")
            return
        # The next queue of the same moment may have been told first.
        for left in self.stays:
            if (left.event.queue, left.left_ms) == (event.queue, event.occurred_ms):
                left.reason = event.reason or left.reason

    def _abandoned(self, event: Event) -> None:
        self._noted(event)
        stay = self._stay_of(event, named=True)
        if stay is not None:
            stay.leave(event.occurred_ms, "abandoned")
            for stint in self.stints:
                if stint.handoff_pending:
                    stint.handoff_abandoned = True
        bot = self._open_bot()
        if bot is not None:
            self._end_bot(bot, event.occurred_ms, "left")
        if not self._anything_open():
            self._end(event.occurred_ms, "customer")

    # --- serving --------------------------------------------------------------------------------

    def _accepted(self, event: Event) -> None:
        kind = event.performer_kind or "human"
        self._acted(event)
        stay = None if event.via in _CONSULTING else self._stay_of(event)
        open_here = [
            s
            for s in self.stints
            if s.open and s.performer_id == event.performer_id and s.leg_id == event.leg_id
        ]
        if open_here and stay is None:
            open_here[-1].measure(event)
            return
        if event.via not in _CONSULTING:
            for previous in self.stints:
                if previous.open and not previous.is_bot and previous.leg_id == event.leg_id:
                    previous.leave(event.occurred_ms)
        stint = Stint(event, kind, event.performer_id, event.via or ("queue" if stay else "direct"))
        stint.measure(event)
        if stay is not None:
            stay.leave(event.occurred_ms, "answered", wait_ms=event.wait_ms)
            stay.answered_by = stint
            stint.stay = stay
        if event.via == "consult":
            stint.consult_since_ms = event.occurred_ms
        else:
            self._end_consults(event.occurred_ms, performer_id=event.performer_id)
        if kind != "bot":
            bot = self._open_bot()
            if bot is not None:
                self._end_bot(bot, event.occurred_ms, "ended")
            for previous in self.stints:
                if previous.handoff_pending:
                    previous.handoff_accepted_ms = event.occurred_ms
        self.stints.append(stint)

    def _end_consults(self, at_ms: int, performer_id: str) -> None:
        for stint in self.stints:
            if stint.performer_id == performer_id:
                stint.end_consult(at_ms)

    def _hold(self, event: Event) -> None:
        self._noted(event)
        stint = self._stint_of(event)
        if stint is not None:
            stint.hold(event.occurred_ms)

    def _resume(self, event: Event) -> None:
        self._noted(event)
        stint = self._stint_of(event)
        if stint is not None:
            stint.resume(event.occurred_ms)

    def _consult(self, event: Event) -> None:
        self._noted(event)

    def _transfer(self, event: Event) -> None:
        self._noted(event)
        stint = self._stint_of(event) or self._stint_of(event, open_only=False)
        if stint is not None and stint.is_bot:
            return
        self.transfers += 1
        if stint is None:
            return
        stint.transferred = True
        stint.transfer_kind = event.transfer_kind
        # A transfer that does not say how was blind if the contact is seen in a queue next.
        stint.passed_on_ms = event.occurred_ms
        if stint.transfer_kind == "blind":
            stint.leave(event.occurred_ms)
        self._customer_joins(event.occurred_ms, except_for=stint)

    def _left(self, event: Event) -> None:
        self._noted(event)
        stint = self._stint_of(event)
        if stint is None:
            return
        if stint.is_bot:
            self._end_bot(stint, event.occurred_ms, "ended")
            return
        consulted = stint.consult_since_ms is not None
        stint.leave(event.occurred_ms)
        if not consulted:
            self._customer_joins(event.occurred_ms, except_for=stint)

    def _customer_joins(self, at_ms: int, except_for: Stint) -> None:
        """Whoever was consulted serves the customer from now on."""
        for other in self.stints:
            if other is not except_for:
                other.end_consult(at_ms)

    def _wrapup_started(self, event: Event) -> None:
        self._noted(event)
        stint = self._wrapping(event)
        if stint is not None:
            stint.start_wrap(event.occurred_ms)

    def _wrapup_ended(self, event: Event) -> None:
        self._noted(event)
        stint = self._wrapping(event)
        if stint is not None:
            stint.end_wrap(event.occurred_ms)
            stint.measure(event)

    def _wrapping(self, event: Event) -> Stint | None:
        """The human stint whose wrap-up is meant: one still without a completed wrap-up."""
        found = [s for s in self.stints if not s.is_bot and s.closed_ms is None]
        if event.performer_id:
            found = [s for s in found if s.performer_id == event.performer_id]
        here = [s for s in found if s.leg_id == event.leg_id] or found
        left = [s for s in here if not s.open]
        candidates = left or here
        return candidates[-1] if candidates else None

    # --- ends -----------------------------------------------------------------------------------

    def _completed(self, event: Event) -> None:
        self._noted(event)
        at_ms = event.occurred_ms
        mine = [s for s in self.stints if s.open and self._ends_with(s.leg_id, event)]
        humans = [s for s in mine if not s.is_bot]
        measured = [s for s in humans if s.performer_id == event.performer_id] or humans
        if not measured:
            measured = [s for s in self.stints if not s.is_bot and s.leg_id == event.leg_id]
        if measured:
            measured[-1].measure(event)
        for stint in mine:
            if stint.is_bot:
                self._end_bot(stint, at_ms, _bot_outcome(event))
            else:
                stint.leave(at_ms)
        for stay in self.stays:
            if stay.open and self._ends_with(stay.event.leg_id, event):
                hung_up = event.ended_by == "customer"
                stay.leave(at_ms, "abandoned" if hung_up else "ended", wait_ms=event.wait_ms)
                for stint in self.stints:
                    stint.handoff_abandoned |= hung_up and stint.handoff_pending
        answered = [s for s in self.stays if s.answered_by in measured]
        if answered and event.wait_ms is not None:
            answered[-1].wait_ms = event.wait_ms
        if event.resolved is not None:
            self.resolved = event.resolved
        if not self._anything_open():
            self._end(at_ms, event.ended_by)

    def _ends_with(self, leg_id: str, event: Event) -> bool:
        """Whether the end of the event's leg ends ``leg_id`` too: its own end would be told."""
        return leg_id == event.leg_id or leg_id not in self.independent_legs

    def _anything_open(self) -> bool:
        return any(s.open for s in self.stints) or any(s.open for s in self.stays)

    def _end(self, at_ms: int, ended_by: str) -> None:
        self.ended_ms = at_ms
        self.ended_by = ended_by or "unknown"

    def _record(self, event: Event) -> None:
        key = (event.leg_id, event.performer_id)
        known = self.records.get(key)
        if known is None or (known.record_version, known.order) < (
            event.record_version,
            event.order,
        ):
            self.records[key] = event

    def _survey_sent(self, event: Event) -> None:
        self.surveys.append(event)

    def _survey_answered(self, event: Event) -> None:
        self.surveys.append(event)

    # --- what only the whole set can say --------------------------------------------------------

    def apply_records(self) -> None:
        """Let later whole records of legs overrule what the events said of durations."""
        for event in sorted(self.records.values(), key=lambda e: e.order):
            stint = self._stint_of(event, open_only=False)
            stays = [s for s in self.stays if s.event.leg_id == event.leg_id and not s.open]
            if stays and event.wait_ms is not None:
                stays[-1].wait_ms = event.wait_ms
            if stint is None:
                continue
            if stint.open:
                stint.leave(event.occurred_ms)
            stint.measure(event)

    def give_up(self, silence: Silence, channel: str, as_of_ms: int) -> int | None:
        """End what has been silent for too long by ``as_of_ms``, with an unknown end.

        Returns when the contact will be given up, None where it has ended.
        """
        if self.ended_ms is not None:
            return None
        with_bot = self._open_bot() is not None or (
            bool(self.stints)
            and not self._anything_open()
            and all(s.is_bot for s in self.stints)
            and not any(s.handoff_pending for s in self.stints)
        )
        due_ms = self.last_activity_ms + silence.of(channel, with_bot=with_bot)
        if as_of_ms < due_ms:
            return due_ms
        self._lose(due_ms)
        return None

    def _lose(self, at_ms: int) -> None:
        """End what is open at an unknown time; waits and talks without an end are not measured."""
        if self.ended_ms is not None:
            return
        for stay in self.stays:
            if stay.open:
                stay.outcome = "ended"
                stay.left_ms = at_ms
        for stint in self.stints:
            if stint.open:
                if stint.is_bot:
                    self._end_bot(stint, self.last_activity_ms, "timed_out")
                else:
                    stint.unknown_end = True
        self._end(self.last_activity_ms, "unknown")


def _bot_outcome(event: Event) -> str:
    if event.resolved is True:
        return "resolved"
    return "left" if event.ended_by == "customer" else "ended"
