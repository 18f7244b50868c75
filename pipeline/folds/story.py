"""What happened in one interaction: the state that events move, and questions about it.

:mod:`pipeline.folds.steps` moves a story event by event; :mod:`pipeline.folds.interaction` makes
rows of it. Neither facts nor KPIs are known here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pipeline.folds.event import Event
from pipeline.folds.silence import Silence
from pipeline.folds.stints import Stay, Stint


@dataclass(eq=False, slots=True)
class Story:
    """Stays, stints and totals of one interaction.

    Attributes:
        lone_wraps: After-contact work whose contact is not told.
        records: Later whole records of legs, by leg and performer; the newest of each.
        independent_legs: Legs whose own end is told, so that no other end ends them.
        greeting_only: So far only a bot has spoken.
        given_up: Its end is not told but concluded from silence, or from a platform's new start.
        lost_ms: The first restart of the platform after all events.
        transfers_by_kind: Transfers, by how the contact was passed on where that is told.
    """

    stays: list[Stay] = field(default_factory=list)
    stints: list[Stint] = field(default_factory=list)
    records: dict[tuple[str, str], Event] = field(default_factory=dict)
    surveys: list[Event] = field(default_factory=list)
    lone_wraps: list[Event] = field(default_factory=list)
    ended_ms: int | None = None
    ended_by: str = ""
    resolved: bool | None = None
    transfers: int = 0
    authentications: int = 0
    info_repeats: int = 0
    last_activity_ms: int = 0
    independent_legs: frozenset[str] = frozenset()
    greeting_only: bool = True
    given_up: bool = False
    lost_ms: int | None = None
    transfers_by_kind: Counter[str] = field(default_factory=Counter)

    # --- who is meant ---------------------------------------------------------------------------

    def open_bot(self) -> Stint | None:
        """The bot that serves now."""
        return next((s for s in reversed(self.stints) if s.is_bot and s.open), None)

    def last_bot(self) -> Stint | None:
        """The bot that served last, whether it still does or not."""
        return next((s for s in reversed(self.stints) if s.is_bot), None)

    def stint_of(self, event: Event, *, open_only: bool = True) -> Stint | None:
        """The stint an event speaks of: by performer, else by leg, else the latest."""
        found = [s for s in self.stints if s.open] if open_only else self.stints
        if event.performer_id:
            match = [s for s in found if s.performer_id == event.performer_id]
        else:
            match = [s for s in found if s.leg_id == event.leg_id] or found
        serving = [s for s in match if s.consult_since_ms is None]
        meant = serving or match
        return meant[-1] if meant else None

    def stay_of(self, event: Event, *, named: bool = False) -> Stay | None:
        """The open stay an event speaks of: by queue and leg, else by leg, else by queue.

        With ``named``, an event that names a queue speaks of no other.
        """
        waiting = [s for s in self.stays if s.open]
        if named and event.queue:
            waiting = [s for s in waiting if s.event.queue == event.queue]
        here = [s for s in waiting if s.event.leg_id == event.leg_id]
        for match in (
            [s for s in here if s.event.queue == event.queue],
            here,
            [s for s in waiting if event.queue and s.event.queue == event.queue],
        ):
            if match:
                return match[-1]
        return waiting[0] if len(waiting) == 1 else None

    def wrapping_stint(self, event: Event) -> Stint | None:
        """The human stint whose wrap-up is meant: one still without a completed wrap-up."""
        found = [s for s in self.stints if not s.is_bot and s.closed_ms is None]
        if event.performer_id:
            found = [s for s in found if s.performer_id == event.performer_id]
        here = [s for s in found if s.leg_id == event.leg_id] or found
        candidates = [s for s in here if not s.open] or here
        return candidates[-1] if candidates else None

    def anything_open(self) -> bool:
        """Whether somebody serves or the customer waits."""
        return any(s.open for s in self.stints) or any(s.open for s in self.stays)

    # --- what changes it ------------------------------------------------------------------------

    def note(self, event: Event) -> None:
        """Something happened that only a customer's presence explains."""
        self.last_activity_ms = max(self.last_activity_ms, event.occurred_ms)
        self.greeting_only = False

    def go_on(self, event: Event) -> None:
        """The contact goes on, whatever was said about its end."""
        self.note(event)
        self.ended_ms = None
        self.ended_by = ""
        self.given_up = False

    def end(self, at_ms: int, ended_by: str) -> None:
        """The contact is over."""
        self.given_up = False
        self.ended_ms = at_ms
        self.ended_by = ended_by or "unknown"

    def end_bot(self, bot: Stint, at_ms: int, outcome: str) -> None:
        """A bot session is over; its work ends with it."""
        if bot.open:
            bot.leave(at_ms)
            bot.closed_ms = at_ms
            bot.bot_outcome = outcome

    def customer_joins(self, at_ms: int, *, except_for: Stint) -> None:
        """Whoever was consulted serves the customer from now on."""
        for other in self.stints:
            if other is not except_for:
                other.end_consult(at_ms)

    def handoffs_abandoned(self) -> None:
        """The customer left the queue a bot had handed over to."""
        for stint in self.stints:
            stint.handoff_abandoned |= stint.handoff_pending

    # --- what only the whole set can say --------------------------------------------------------

    def apply_records(self) -> None:
        """Let later whole records of legs overrule what the events said of durations."""
        for event in sorted(self.records.values(), key=lambda e: e.order):
            stays = [s for s in self.stays if s.event.leg_id == event.leg_id and not s.open]
            if stays and event.wait_ms is not None:
                stays[-1].wait_ms = event.wait_ms
            stint = self.stint_of(event, open_only=False)
            if stint is not None:
                stint.unknown_end = False
                stint.leave(event.occurred_ms)
                stint.measure(event)

    def give_up(self, silence: Silence, channel: str, as_of_ms: int) -> int | None:
        """End what has been silent for too long by ``as_of_ms``, with an unknown end.

        Returns when the contact will be given up, None where it has ended.
        """
        if self.ended_ms is not None:
            return None
        left_to_bots = (
            bool(self.stints)
            and not self.anything_open()
            and all(s.is_bot and not s.handoff_pending for s in self.stints)
        )
        with_bot = left_to_bots or self.open_bot() is not None
        due_ms = self.last_activity_ms + silence.of(channel, with_bot=with_bot)
        if self.lost_ms is not None and self.lost_ms < due_ms:
            self.lose(self.lost_ms)
            return None
        if as_of_ms < due_ms:
            return due_ms
        self.lose(due_ms)
        return None

    def lose(self, at_ms: int) -> None:
        """End what is open at an unknown time; waits and talks without an end are not measured."""
        if self.ended_ms is not None:
            return
        for stay in self.stays:
            if stay.open:
                stay.outcome = "ended"
                stay.left_ms = at_ms
        for stint in self.stints:
            if stint.open and stint.is_bot:
                self.end_bot(stint, self.last_activity_ms, "timed_out")
            elif stint.open:
                stint.unknown_end = True
        self.end(self.last_activity_ms, "unknown")
        self.given_up = True
