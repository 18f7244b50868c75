"""The fold of one interaction: ``fold(events, as_of_ms) -> rows``, a pure function of a set.

Arrival order, batching and restarts cannot matter: events are sorted canonically, and all rows come
out each time. A row no longer returned has ceased to exist and is published as deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pipeline.folds import case, judgement, links, moments
from pipeline.folds.event import ANNOTATING, JUDGING, LINKING, OF_CASES, Event
from pipeline.folds.offers import Missed, missed_offers
from pipeline.folds.rows import BotSession, ContactRow, Folded, Row
from pipeline.folds.silence import Silence
from pipeline.folds.steps import tell
from pipeline.folds.stints import Stay, Stint
from schemas.facts import HandlingSegment, Header, Interaction, MissedOffer, QueueSegment, Survey

CODE_VERSION = 4
"""Version of the rules of this fold; a higher one replaces the rows of a lower one."""

_ROOT_DIMENSIONS = ("intent", "kcr_task", "capability", "client", "vendor", "language")
_PLACE_DIMENSIONS = ("model_version", "site", "location", "employment", "vendor")


def fold(
    interaction_id: str,
    events: Iterable[Event],
    as_of_ms: int,
    silence: Silence | None = None,
    restarts_ms: Sequence[int] = (),
) -> Folded:
    """Facts of one interaction as of ``as_of_ms`` (UTC epoch milliseconds).

    ``events`` are distinct by id; their order does not matter. Some platforms never end a
    conversation: such a key is cut into sessions where a new start follows a long silence.
    ``restarts_ms`` are the moments at which the platform began anew and lost its open contacts.
    """
    limits = silence or Silence()
    ordered = sorted(events, key=lambda e: e.order)
    course = [e for e in ordered if e.kind not in _ASIDE]
    matter = case.matter(interaction_id, ordered)
    rows: list[Row] = []
    contacts: list[ContactRow] = []
    dues: list[int] = []
    tellings: list[_Telling] = []
    for number, session in enumerate(_sessions(course, limits)):
        root_id = interaction_id if number == 0 else f"{interaction_id}@{session[0].occurred_ms}"
        told = _Telling(root_id, session, limits, as_of_ms, restarts_ms)
        tellings.append(told)
        if not told.exists:
            rows.extend(told.lone_wraps())
            continue
        rows.extend(told.rows())
        contacts.append(told.contact(matter))
        if told.due_ms is not None:
            dues.append(told.due_ms)
    judging = [e for e in ordered if e.kind in JUDGING]
    if judging:
        rows.extend(_judgements(interaction_id, tellings, judging))
    cases = case.parts(interaction_id, ordered)
    linked = links.told(interaction_id, ordered, _last(course, "customer_key"))
    return Folded(
        tuple(rows), tuple(contacts), min(dues, default=None), cases, linked,
        _passed(ordered, tellings, restarts_ms),
    )  # fmt: skip


def _passed(
    events: Sequence[Event], tellings: Sequence[_Telling], restarts_ms: Sequence[int]
) -> int:
    """How many sessions silence has ended, and how many restarts may have ended one."""
    given_up = sum(told.exists and told.story.given_up for told in tellings)
    restarts = sum(at_ms >= events[0].occurred_ms for at_ms in restarts_ms) if events else 0
    return given_up + 2 * restarts


_ASIDE = JUDGING | OF_CASES | {LINKING}
"""Kinds that have no part in the course of an interaction."""


def _judgements(
    interaction_id: str, tellings: Sequence[_Telling], judging: Sequence[Event]
) -> Iterable[Row]:
    """Rows of what judges sessions: of the last that had begun, else of the first."""
    unknown = _Telling(interaction_id, (), Silence(), 0, ())
    by_session: dict[_Telling, list[Event]] = {}
    homes: dict[tuple[str, str], _Telling] = {}
    for event in judging:
        begun = [t for t in tellings if t.events[0].occurred_ms <= event.occurred_ms]
        home = (begun[-1:] or [*tellings[:1], unknown])[0]
        # What is told in parts belongs where its first part does.
        home = homes.setdefault(judgement.identity(event), home)
        by_session.setdefault(home, []).append(event)
    for told, events in by_session.items():
        yield from judgement.rows(told, events)


def _sessions(events: Sequence[Event], silence: Silence) -> Iterable[list[Event]]:
    session: list[Event] = []
    last_ms = 0
    for event in events:
        starts = event.kind in ("started", "bot_started") and not event.previous_leg_id
        if session and starts:
            with_bot = event.kind == "bot_started" and not any(
                e.kind in ("accepted", "queued") for e in session
            )
            if event.occurred_ms - last_ms >= silence.of(event.channel, with_bot=with_bot):
                yield session
                session = []
        session.append(event)
        if event.kind not in ANNOTATING:
            last_ms = event.occurred_ms
    if session:
        yield session


class _Telling:
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
        self._interaction: Interaction | None = None
        acting = [e for e in events if e.kind not in ANNOTATING]
        self.story = tell(events, restarts_ms)
        # A bot that greets an empty chair is no interaction until the customer acts.
        greeted = self.story.greeting_only
        # Nor is after-contact work that does not say after which contact.
        wrapped = all(e.kind in ("wrapup_started", "wrapup_ended") for e in acting)
        self.exists = bool(acting) and not greeted and not wrapped
        if not acting:
            return
        self._acting = acting
        self.started_ms = acting[0].occurred_ms
        # What a bot says may not know the channel; the customer's own events do.
        first = next((e for e in acting if not _is_greeting(e)), acting[0])
        self.header = Header(
            interaction_id=root_id,
            customer_key=_last(events, "customer_key"),
            channel=first.channel,
            direction=first.direction,
            source=first.source,
            **_last_told(events, _ROOT_DIMENSIONS),
        )
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
            stint = _last_handler([s for s in stints if s.handled and (s.is_bot or not to_bots)])
        queue = self._queue_of(stint) if stint is not None else ""
        if not queue and self.story.stays:
            queue = self.story.stays[0].event.queue
        return self._performed_by(stint, queue)

    # --- rows -----------------------------------------------------------------------------------

    def rows(self) -> Iterable[Row]:
        """All rows of the session."""
        story = self.story
        for stay in story.stays:
            yield Row(self._id("queue", stay.event), "queue_segment", self._queue_segment(stay))
        for stint in story.stints:
            yield Row(self._id("handling", stint.event), "handling_segment", self._handling(stint))
        yield Row(self.root_id, "interaction", self._whole)
        for missed in missed_offers(self.events):
            yield Row(self._id("missed", missed.event), "missed_offer", self._missed(missed))
        yield from self._surveys()

    def lone_wraps(self) -> Iterable[Row]:
        """After-contact work of a performer whose contact is not told."""
        for event in self.story.lone_wraps:
            stint = Stint(event, event.performer_kind or "human", event.performer_id, "wrap_only")
            stint.leave(event.occurred_ms - (event.wrap_ms or 0))
            stint.measure(event)
            fact = self._handling(stint)._replace(
                accepted_ms=stint.left_ms or 0, talk_ms=0, handled=False
            )
            yield Row(self._id("handling", event), "handling_segment", fact)

    def _id(self, part: str, event: Event) -> str:
        return f"{self.root_id}/{part}/{event.event_id}"

    def _performed_by(self, stint: Stint | None, queue: str) -> Header:
        """The header, credited to the performer of ``stint``."""
        if stint is None:
            return self.header._replace(queue=queue)
        own = [e for e in self.events if e.performer_id and e.performer_id == stint.performer_id]
        own = [stint.event, *own]
        return self.header._replace(
            queue=queue,
            performer_kind=stint.kind,
            performer_id=stint.performer_id,
            **{n: v for n, v in _last_told(own, _PLACE_DIMENSIONS).items() if v},
        )

    def _queue_segment(self, stay: Stay) -> QueueSegment:
        header = self._performed_by(stay.answered_by, stay.event.queue)
        capability = stay.event.capability or header.capability
        return QueueSegment(
            header=header._replace(capability=capability),
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
            header=self._performed_by(offered_to, self._queue_of(offered_to)),
            leg_id=event.leg_id or self.root_id,
            offered_ms=missed.offered_ms,
            missed_ms=missed.missed_ms,
            reason=missed.reason,
        )

    def _queue_of(self, stint: Stint) -> str:
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
        return HandlingSegment(
            header=self._performed_by(stint, self._queue_of(stint)),
            leg_id=stint.leg_id or self.root_id,
            via=stint.via,
            accepted_ms=stint.event.occurred_ms,
            left_ms=stint.left_ms,
            closed_ms=_closed_ms(stint),
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
                stint.handoff_ms is not None and moments.repeated_after_handoff(self.events, stint)
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
        if _closed_ms(stint) is None or stint.left_ms is None:
            return None, None, None
        hold_ms = _first(stint.measured_hold_ms, stint.hold_ms)
        served_ms = stint.left_ms - stint.event.occurred_ms
        talk_ms = _first(stint.measured_talk_ms, max(served_ms - stint.hold_ms, 0))
        wrap_ms = _first(stint.measured_wrap_ms, stint.wrap_ms or 0)
        return talk_ms, hold_ms, wrap_ms

    @property
    def _whole(self) -> Interaction:
        if self._interaction is None:
            self._interaction = self._told_whole()
        return self._interaction

    def _told_whole(self) -> Interaction:
        story = self.story
        handled = [s for s in story.stints if s.handled]
        closed = [_closed_ms(s) for s in handled]
        complete = story.ended_ms is not None and bool(handled) and None not in closed
        durations = [self._durations(s) for s in handled] if complete else []
        kinds = {"bot" if s.is_bot else "human" for s in handled}
        last = _last_handler(handled)
        return Interaction(
            header=self._performed_by(last, moments.entry_queue(self.events)),
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
            due_ms=moments.due_ms(self.events),
            done_ms=None if story.given_up or self._abandoned() else story.ended_ms,
            first_reply_ms=moments.first_reply_ms(
                self.events, self.started_ms, self.header.channel
            ),
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

    # --- surveys --------------------------------------------------------------------------------

    def _surveys(self) -> Iterable[Row]:
        sent: dict[str, Event] = {}
        answered: dict[str, dict[str, Event]] = {}
        for event in self.story.surveys:
            if event.kind == "survey_sent":
                sent.setdefault(event.survey_id, event)
            else:
                answered.setdefault(event.survey_id, {})[event.question] = event
        for survey_id in sorted({*sent, *answered}):
            ask = sent.get(survey_id)
            answers: list[Event | None] = [
                answer for _, answer in sorted(answered.get(survey_id, {}).items())
            ]
            for number, answer in enumerate(answers or [None]):
                # A survey of several questions was sent once.
                sent_ms = ask.occurred_ms if ask is not None and number == 0 else None
                question = answer.question if answer else (ask.question if ask else "")
                yield from self._survey(survey_id, question, sent_ms, answer)

    def _survey(
        self, survey_id: str, question: str, sent_ms: int | None, answer: Event | None
    ) -> Iterable[Row]:
        handlers = [s for s in self.story.stints if s.handled]
        bots = [s for s in handlers if s.is_bot]
        credited: list[tuple[str, Stint | None]] = [("last", _last_handler(handlers))]
        credited += [("all", stint) for stint in _one_each(handlers)]
        credited += [("bot", stint) for stint in _one_each(bots)]
        asked_about_ms = self.story.ended_ms
        for credit, stint in credited:
            queue = self._queue_of(stint) if stint is not None else ""
            queue = queue or moments.entry_queue(self.events)
            whom = "" if credit == "last" or stint is None else f"/{stint.performer_id}"
            yield Row(
                f"{self.root_id}/survey/{survey_id}/{question}/{credit}{whom}",
                "survey",
                Survey(
                    header=self._performed_by(stint, queue),
                    survey_id=survey_id,
                    credit=credit,
                    question=question,
                    scale=answer.scale if answer else None,
                    score=answer.score if answer else None,
                    sent_ms=sent_ms,
                    answered_ms=answer.occurred_ms if answer else None,
                    interaction_ms=self.started_ms if asked_about_ms is None else asked_about_ms,
                ),
            )

    # --- the customer's history -----------------------------------------------------------------

    def contact(self, matter: str) -> ContactRow:
        """The slim row for the history of the customer."""
        whole = self._whole
        channels = dict.fromkeys(e.channel for e in self._acting if not _is_greeting(e))
        callback = moments.callback(self.events)
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
                )
                for stint in self.story.stints
                if stint.is_bot
            ),
            handled_by=whole.handled_by,
            queued=bool(self.story.stays),
            callback_ms=callback.asked_ms,
            called_back_ms=callback.answered_ms,
            channels=tuple(channels) if len(channels) > 1 else (),
            matter=matter,
        )


def _is_greeting(event: Event) -> bool:
    """Whether only a bot speaks."""
    return event.kind == "bot_started" or (event.kind == "bot_turn" and event.user_turn is False)


def _closed_ms(stint: Stint) -> int | None:
    """When the work of a stint was complete: after wrap-up, or at its end where there is none."""
    if stint.closed_ms is not None:
        return stint.closed_ms
    if stint.left_ms is None:
        return None
    if stint.wrap_open:
        if stint.measured_wrap_ms is None or stint.wrap_since_ms is None:
            return None
        return stint.wrap_since_ms + stint.measured_wrap_ms
    return stint.left_ms + (stint.measured_wrap_ms or 0)


def _last_handler(handled: Sequence[Stint]) -> Stint | None:
    """Who served last: a colleague consulted in between is not it."""
    if not handled:
        return None
    return max(handled, key=lambda s: (s.left_ms is None, s.left_ms or 0, s.event.order))


def _one_each(stints: Sequence[Stint]) -> Iterable[Stint]:
    """The last stint of each performer."""
    return {stint.performer_id: stint for stint in stints}.values()


def _first(measured_ms: int | None, derived_ms: int) -> int:
    return derived_ms if measured_ms is None else measured_ms


def _last(events: Sequence[Event], name: str) -> str:
    """The value of ``name`` that was told last, the empty string if none was."""
    for event in reversed(events):
        value: str = getattr(event, name)
        if value:
            return value
    return ""


def _last_told(events: Sequence[Event], names: Iterable[str]) -> dict[str, str]:
    """What was told last of each of ``names``."""
    return {name: _last(events, name) for name in names}
