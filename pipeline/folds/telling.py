"""One session of an interaction: its story, given the shape of rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Final

from pipeline.folds.dimensions import Performed, credited, header_of, performed_by
from pipeline.folds.event import ANNOTATING, Event
from pipeline.folds.moments import Moments, moments_of, repeated_after_handoff
from pipeline.folds.offers import Missed, missed_offers
from pipeline.folds.rows import BotSession, ContactRow, Row
from pipeline.folds.silence import Silence
from pipeline.folds.steps import tell
from pipeline.folds.stints import Stay, Stint, closed_ms_of, last_handler
from pipeline.folds.surveys import surveys
from schemas.facts import HandlingSegment, Header, Interaction, MissedOffer, QueueSegment

_WRAPPING: Final = frozenset(("wrapup_started", "wrapup_ended"))


class Telling:
    """One session, told and given a shape."""

    def __init__(
        self,
        root_id: str,
        events: Sequence[Event],
        silence: Silence,
        as_of_ms: int,
        restarts_ms: Sequence[int],
    ) -> None:
        self.root_id = root_id
        self.events = events
        self._performed: dict[Stint, Performed] = {}
        acting = [e for e in events if e.kind not in ANNOTATING]
        self.story = tell(events, restarts_ms)
        # A bot that greets an empty chair is no interaction until the customer acts, nor is
        # after-contact work that does not say after which contact.
        self.exists = (
            bool(acting)
            and not self.story.greeting_only
            and not _WRAPPING.issuperset([e.kind for e in acting])
        )
        if not acting:
            return
        self._acting = acting
        self.started_ms = acting[0].occurred_ms
        # What a bot says may not know the channel; the customer's own events do.
        first = next((e for e in acting if not _is_greeting(e)), acting[0])
        self.header = header_of(root_id, first, events)
        self.due_ms = self.story.give_up(silence, first.channel, as_of_ms)
        self.story.apply_records()

    # --- what judges it -------------------------------------------------------------------------

    @property
    def judged_ms(self) -> int | None:
        """End of the session, else its start; None where only annotations of it are known."""
        if not self.exists:
            return None
        return self.started_ms if self.story.ended_ms is None else self.story.ended_ms

    def credited(self, performer_id: str, *, to_bots: bool) -> Header | None:
        """The header for what is said of a performer; without a name, of the last who handled."""
        if not self.exists:
            return None
        stints = self.story.stints
        if performer_id:
            stint = next((s for s in reversed(stints) if s.performer_id == performer_id), None)
        else:
            stint = last_handler([s for s in stints if s.handled and (s.is_bot or not to_bots)])
        queue = self.queue_of(stint) if stint is not None else ""
        if not queue and self.story.stays:
            queue = self.story.stays[0].event.queue
        return self.performed_by(stint, queue)

    # --- rows -----------------------------------------------------------------------------------

    def rows(self) -> Iterable[Row]:
        """All rows of the session."""
        story, root_id = self.story, self.root_id
        rows = [
            Row(
                f"{root_id}/queue/{stay.event.event_id}", "queue_segment", self._queue_segment(stay)
            )
            for stay in story.stays
        ]
        rows += [
            Row(f"{root_id}/handling/{s.event.event_id}", "handling_segment", self._handling(s))
            for s in story.stints
        ]
        rows.append(Row(root_id, "interaction", self._whole))
        rows += [
            Row(f"{root_id}/missed/{one.event.event_id}", "missed_offer", self._missed(one))
            for one in missed_offers(self.events)
        ]
        if story.surveys:
            rows += surveys(self)
        return rows

    def lone_wraps(self) -> Iterable[Row]:
        """After-contact work of a performer whose contact is not told."""
        for event in self.story.lone_wraps:
            stint = Stint(event, event.performer_kind or "human", event.performer_id, "wrap_only")
            stint.leave(event.occurred_ms - (event.wrap_ms or 0))
            stint.measure(event)
            fact = self._handling(stint)._replace(
                accepted_ms=stint.left_ms or 0, talk_ms=0, handled=False
            )
            yield Row(f"{self.root_id}/handling/{event.event_id}", "handling_segment", fact)

    def performed_by(self, stint: Stint | None, queue: str) -> Header:
        """The header, credited to the performer of ``stint``."""
        return credited(self.header, queue, None if stint is None else self.performed(stint))

    def performed(self, stint: Stint) -> Performed:
        """What is known of the performer of ``stint``."""
        performed = self._performed.get(stint)
        if performed is None:
            performed = performed_by(stint.kind, stint.performer_id, stint.event, self.events)
            self._performed[stint] = performed
        return performed

    def _queue_segment(self, stay: Stay) -> QueueSegment:
        header = self.performed_by(stay.answered_by, stay.event.queue)
        event = stay.event
        if event.capability or event.flow or event.team:
            # What was asked for, routed by and waited for is said where the queue was entered.
            header = header._replace(
                capability=event.capability or header.capability,
                flow=event.flow or header.flow,
                team=event.team or header.team,
            )
        return QueueSegment(
            header=header,
            leg_id=stay.event.leg_id or self.root_id,
            entered_ms=stay.event.occurred_ms,
            left_ms=stay.left_ms,
            outcome=stay.outcome,
            reason=stay.reason,
            wait_ms=stay.wait_ms,
            after_bot=stay.after_bot,
        )

    def _missed(self, missed: Missed) -> MissedOffer:
        event = missed.event
        offered_to = Stint(event, event.performer_kind or "human", event.performer_id, "")
        return MissedOffer(
            header=self.performed_by(offered_to, self.queue_of(offered_to)),
            leg_id=event.leg_id or self.root_id,
            offered_ms=missed.offered_ms,
            missed_ms=missed.missed_ms,
            reason=missed.reason,
        )

    def queue_of(self, stint: Stint) -> str:
        """The queue a stint came through, else the one its contact had last come through."""
        if stint.stay is not None:
            return stint.stay.event.queue
        if stint.event.queue:
            return stint.event.queue
        began_ms = stint.event.occurred_ms
        before = [s.event.queue for s in self.story.stays if s.event.occurred_ms < began_ms]
        return before[-1] if before else ""

    def _handling(self, stint: Stint) -> HandlingSegment:
        talk_ms, hold_ms, wrap_ms = self._durations(stint)
        header = self.performed_by(stint, self.queue_of(stint))
        if stint.is_bot and stint.flow != header.flow:
            # Of several bots each answers for its own flow, also where it tells none.
            header = header._replace(flow=stint.flow)
        return HandlingSegment(
            header=header,
            leg_id=stint.leg_id or self.root_id,
            via=stint.via,
            accepted_ms=stint.event.occurred_ms,
            left_ms=stint.left_ms,
            closed_ms=closed_ms_of(stint),
            talk_ms=talk_ms,
            hold_ms=hold_ms,
            wrap_ms=wrap_ms,
            consult_ms=None if talk_ms is None else min(stint.consult_ms, talk_ms),
            handled=stint.handled,
            transferred=stint.transferred,
            transfer_kind=stint.transfer_kind,
            turns=stint.turns,
            bot_outcome=stint.bot_outcome,
            handoff_ms=stint.handoff_ms,
            handoff_context_ok=stint.context_ok,
            handoff_accepted_ms=stint.handoff_accepted_ms,
            handoff_abandoned=stint.handoff_abandoned,
            unknown_end=stint.unknown_end,
            handoff_repeated=(
                stint.handoff_ms is not None and repeated_after_handoff(self.events, stint)
            ),
            no_match_turns=stint.no_match_turns,
            no_input_turns=stint.no_input_turns,
            confidence_turns=len(stint.confidences_micro),
            confidence_micro=sum(stint.confidences_micro),
            lowest_confidence_micro=min(stint.confidences_micro, default=None),
            input_tokens=stint.input_tokens,
            output_tokens=stint.output_tokens,
        )

    def _durations(self, stint: Stint) -> tuple[int | None, int | None, int | None]:
        """Talk, hold and wrap of a stint whose work is complete; measured ones win."""
        if closed_ms_of(stint) is None or stint.left_ms is None:
            return None, None, None
        hold_ms = _first(stint.measured_hold_ms, stint.hold_ms)
        served_ms = stint.left_ms - stint.event.occurred_ms
        talk_ms = _first(stint.measured_talk_ms, max(served_ms - stint.hold_ms, 0))
        wrap_ms = _first(stint.measured_wrap_ms, stint.wrap_ms or 0)
        return talk_ms, hold_ms, wrap_ms

    @cached_property
    def moments(self) -> Moments:
        """Moments that single events tell."""
        return moments_of(self.events)

    @cached_property
    def _whole(self) -> Interaction:
        story = self.story
        handled = [s for s in story.stints if s.handled]
        closed = [closed_ms_of(s) for s in handled]
        complete = story.ended_ms is not None and bool(handled) and None not in closed
        durations = [self._durations(s) for s in handled] if complete else []
        kinds = {"bot" if s.is_bot else "human" for s in handled}
        last = last_handler(handled)
        return Interaction(
            header=self.performed_by(last, self.moments.entry_queue),
            started_ms=self.started_ms,
            ended_ms=story.ended_ms,
            closed_ms=(
                max(story.ended_ms, *(c for c in closed if c is not None))
                if complete and story.ended_ms is not None
                else None
            ),
            ended_by=story.ended_by,
            resolved=story.resolved,
            handled=bool(handled),
            handled_by="both" if len(kinds) == 2 else next(iter(kinds), "none"),
            abandoned=self._abandoned(),
            stints=len(handled),
            transfers=story.transfers,
            bot_sessions=sum(s.is_bot for s in story.stints),
            handoffs=sum(s.handoff_ms is not None for s in story.stints),
            handoffs_without_context=self._handoffs_without_context(),
            authentications=story.authentications,
            info_repeats=story.info_repeats,
            wait_ms=self._wait_ms(),
            talk_ms=sum(t or 0 for t, _, _ in durations) if complete else None,
            hold_ms=sum(h or 0 for _, h, _ in durations) if complete else None,
            wrap_ms=sum(w or 0 for _, _, w in durations) if complete else None,
            consult_ms=sum(s.consult_ms for s in handled) if complete else None,
            blind_transfers=story.transfers_by_kind["blind"],
            warm_transfers=story.transfers_by_kind["warm"],
            conferences=story.transfers_by_kind["conference"],
            due_ms=self.moments.due_ms,
            done_ms=None if story.given_up or self._abandoned() else story.ended_ms,
            first_reply_ms=self.moments.first_reply_ms(self.started_ms, self.header.channel),
        )

    def _abandoned(self) -> bool:
        story = self.story
        return (
            story.ended_ms is not None
            and bool(story.stays)
            and story.stays[-1].outcome == "abandoned"
            and story.stays[-1].left_ms == story.ended_ms
        )

    def _handoffs_without_context(self) -> int:
        return sum(s.handoff_ms is not None and s.context_ok is False for s in self.story.stints)

    def _wait_ms(self) -> int:
        return sum(stay.wait_ms or 0 for stay in self.story.stays)

    # --- the customer's history -----------------------------------------------------------------

    def contact(self, matter: str) -> ContactRow:
        """The slim row for the history of the customer."""
        whole = self._whole
        channels = dict.fromkeys(e.channel for e in self._acting if not _is_greeting(e))
        return ContactRow(
            header=whole.header,
            started_ms=whole.started_ms,
            ended_ms=whole.ended_ms,
            handled=whole.handled,
            abandoned=whole.abandoned,
            resolved=whole.resolved,
            transferred=whole.transfers > 0,
            transfers=whole.transfers,
            handoffs_without_context=whole.handoffs_without_context,
            authentications=whole.authentications,
            info_repeats=whole.info_repeats,
            wait_ms=whole.wait_ms,
            bot_sessions=tuple(
                BotSession(
                    event_id=stint.event.event_id,
                    performer_id=stint.performer_id,
                    model_version=stint.event.model_version,
                    started_ms=stint.event.occurred_ms,
                    ended_ms=stint.left_ms,
                    handed_off=stint.handoff_ms is not None,
                    left=stint.bot_outcome in ("left", "timed_out"),
                    outcome=stint.bot_outcome,
                    turns=stint.turns,
                    flow=stint.flow,
                    team=self.performed(stint).team,
                )
                for stint in self.story.stints
                if stint.is_bot
            ),
            handled_by=whole.handled_by,
            queued=bool(self.story.stays),
            callback_ms=self.moments.callback_ms,
            called_back_ms=self.moments.called_back_ms,
            channels=tuple(channels) if len(channels) > 1 else (),
            matter=matter,
        )


def _is_greeting(event: Event) -> bool:
    """Whether only a bot speaks."""
    return event.kind == "bot_started" or (event.kind == "bot_turn" and event.user_turn is False)


def _first(measured_ms: int | None, derived_ms: int) -> int:
    return derived_ms if measured_ms is None else measured_ms
