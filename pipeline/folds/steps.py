"""One function a kind of event: how it moves a story.

Events come in canonical order, so a step may look back at what was told before, and never needs to
look ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from pipeline.folds.event import Event
from pipeline.folds.stints import Stay, Stint
from pipeline.folds.story import Story

_BESIDE_QUEUES: Final = ("consult", "conference", "direct")


def tell(events: Sequence[Event], restarts_ms: Sequence[int] = ()) -> Story:
    """The story of ``events``, which must be sorted by :attr:`Event.order`.

    At each of ``restarts_ms``, sorted, the platform lost whatever was open. One that comes
    after all events is left to :meth:`Story.give_up`: silence may have ended the contact before it.
    """
    story = Story()
    restarts = [at for at in restarts_ms if events and at >= events[0].occurred_ms]
    story.independent_legs = frozenset(e.leg_id for e in events if e.kind == "completed")
    for event in events:
        while restarts and restarts[0] < event.occurred_ms:
            story.lose(restarts.pop(0))
        step = _STEPS.get(event.kind)
        if step is not None:
            step(story, event)
    story.lost_ms = restarts[0] if restarts else None
    return story


# --- bots -----------------------------------------------------------------------------------------


def _bot_started(story: Story, event: Event) -> None:
    story.last_activity_ms = max(story.last_activity_ms, event.occurred_ms)
    current = story.open_bot()
    if current is not None:
        performer = event.performer_id or "bot"
        if current.performer_id == performer and current.leg_id == event.leg_id:
            current.flow = event.flow or current.flow
            return
        story.end_bot(current, event.occurred_ms, "ended")
    _start_bot(story, event)


def _start_bot(story: Story, event: Event) -> Stint:
    bot = Stint(
        event,
        event.performer_kind or "bot",
        event.performer_id or "bot",
        "direct",
        flow=event.flow,
    )
    story.stints.append(bot)
    return bot


def _bot_turn(story: Story, event: Event) -> None:
    bot = story.open_bot()
    if bot is None and event.user_turn is False:
        # What a bot says once its session is over, as that a colleague comes, begins none.
        bot = story.last_bot()
    if bot is None:
        bot = _start_bot(story, event)
    bot.step(event)
    if event.user_turn is False:
        story.last_activity_ms = max(story.last_activity_ms, event.occurred_ms)
    else:
        story.note(event)
        bot.turn(event)


def _handoff(story: Story, event: Event) -> None:
    story.note(event)
    bot = story.open_bot() or story.last_bot()
    if bot is None or (not bot.open and bot.handoff_ms is not None):
        bot = _start_bot(story, event)
    if bot.handoff_ms is None:
        bot.handoff_ms = event.occurred_ms
    bot.context_ok = event.context_ok
    bot.step(event)
    story.end_bot(bot, event.occurred_ms, "handoff")


def _bot_ended(story: Story, event: Event) -> None:
    story.note(event)
    outcome = event.outcome or "ended"
    bot = story.open_bot()
    if bot is None:
        bot = story.last_bot()
        if bot is None:
            return
        if bot.bot_outcome in ("", "ended"):
            bot.bot_outcome = outcome
    bot.step(event)
    if outcome == "handoff" and bot.handoff_ms is None:
        bot.handoff_ms = event.occurred_ms
    story.end_bot(bot, event.occurred_ms, outcome)
    if outcome == "resolved":
        story.resolved = True
    if outcome != "handoff" and not story.anything_open():
        story.end(event.occurred_ms, "customer" if outcome == "left" else "bot")


def _authenticated(story: Story, event: Event) -> None:
    story.note(event)
    story.authentications += 1


def _info_repeated(story: Story, event: Event) -> None:
    story.note(event)
    story.info_repeats += 1


# --- queues ---------------------------------------------------------------------------------------


def _queued(story: Story, event: Event) -> None:
    story.go_on(event)
    at_ms = event.occurred_ms
    for stay in story.stays:
        if stay.open and stay.event.leg_id == event.leg_id:
            if stay.event.queue == event.queue:
                return
            stay.leave(at_ms, "flow_out", "overflow")
    for stint in story.stints:
        if stint.open and stint.passed_on_ms is not None and stint.leg_id == event.leg_id:
            stint.leave(stint.passed_on_ms)
    bot = story.open_bot()
    if bot is not None:
        bot.handoff_ms = at_ms
        story.end_bot(bot, at_ms, "handoff")
    after_bot = any(s.handoff_pending for s in story.stints)
    story.stays.append(Stay(event, after_bot))


def _left_queue(story: Story, event: Event) -> None:
    story.note(event)
    stay = story.stay_of(event, named=True)
    if stay is not None:
        stay.leave(event.occurred_ms, "flow_out", event.reason or "system")
        return
    # The next queue of the same moment may have been told first.
    for left in story.stays:
        if (left.event.queue, left.left_ms) == (event.queue, event.occurred_ms):
            left.reason = event.reason or left.reason


def _abandoned(story: Story, event: Event) -> None:
    story.note(event)
    stay = story.stay_of(event, named=True)
    if stay is not None:
        stay.leave(event.occurred_ms, "abandoned")
        story.handoffs_abandoned()
    bot = story.open_bot()
    if bot is not None:
        story.end_bot(bot, event.occurred_ms, "left")
    if not story.anything_open():
        story.end(event.occurred_ms, "customer")


# --- serving --------------------------------------------------------------------------------------


def _accepted(story: Story, event: Event) -> None:
    story.go_on(event)
    at_ms = event.occurred_ms
    stay = None if event.via in _BESIDE_QUEUES else story.stay_of(event)
    here = [s for s in story.stints if s.open and s.leg_id == event.leg_id]
    again = [s for s in here if s.performer_id == event.performer_id]
    if again and stay is None:
        again[-1].measure(event)
        return
    if event.via not in _BESIDE_QUEUES:
        for previous in here:
            if not previous.is_bot:
                previous.leave(at_ms)
    kind = event.performer_kind or "human"
    stint = Stint(event, kind, event.performer_id, event.via or ("queue" if stay else "direct"))
    stint.measure(event)
    if stay is not None:
        stay.leave(at_ms, "answered", wait_ms=event.wait_ms)
        stay.answered_by = stint
        stint.stay = stay
    if event.via == "consult":
        stint.consult_since_ms = at_ms
    else:
        for same in story.stints:
            if same.performer_id == event.performer_id:
                same.end_consult(at_ms)
    if kind != "bot":
        bot = story.open_bot()
        if bot is not None:
            story.end_bot(bot, at_ms, "ended")
        for previous in story.stints:
            if previous.handoff_pending:
                previous.handoff_accepted_ms = at_ms
    story.stints.append(stint)


def _hold(story: Story, event: Event) -> None:
    story.note(event)
    stint = story.stint_of(event)
    if stint is not None:
        stint.hold(event.occurred_ms)


def _resume(story: Story, event: Event) -> None:
    story.note(event)
    stint = story.stint_of(event)
    if stint is not None:
        stint.resume(event.occurred_ms)


def _transfer(story: Story, event: Event) -> None:
    story.note(event)
    stint = story.stint_of(event) or story.stint_of(event, open_only=False)
    if stint is not None and stint.is_bot:
        return
    story.transfers += 1
    story.transfers_by_kind[event.transfer_kind] += 1
    if stint is None:
        return
    stint.transferred = True
    stint.transfer_kind = event.transfer_kind
    # A transfer that does not say how was blind if the contact is seen in a queue next.
    stint.passed_on_ms = event.occurred_ms
    if stint.transfer_kind == "blind":
        stint.leave(event.occurred_ms)
    story.customer_joins(event.occurred_ms, except_for=stint)


def _left(story: Story, event: Event) -> None:
    story.note(event)
    stint = story.stint_of(event)
    if stint is None:
        return
    if stint.is_bot:
        story.end_bot(stint, event.occurred_ms, "ended")
        return
    consulted = stint.consult_since_ms is not None
    stint.leave(event.occurred_ms)
    if not consulted:
        story.customer_joins(event.occurred_ms, except_for=stint)


def _wrapup_started(story: Story, event: Event) -> None:
    story.note(event)
    stint = story.wrapping_stint(event)
    if stint is not None:
        stint.start_wrap(event.occurred_ms)


def _wrapup_ended(story: Story, event: Event) -> None:
    story.note(event)
    stint = story.wrapping_stint(event)
    if stint is not None:
        stint.end_wrap(event.occurred_ms)
        stint.measure(event)
    elif event.wrap_ms is not None:
        story.lone_wraps.append(event)


# --- ends and annotations -------------------------------------------------------------------------


def _completed(story: Story, event: Event) -> None:
    story.note(event)
    at_ms = event.occurred_ms
    ending = [s for s in story.stints if s.open and _ends(story, event, s.leg_id)]
    humans = [s for s in ending if not s.is_bot]
    measured = (
        [s for s in humans if s.performer_id == event.performer_id]
        or humans
        or [s for s in story.stints if not s.is_bot and s.leg_id == event.leg_id]
    )
    if measured:
        measured[-1].measure(event)
    for stint in ending:
        if stint.is_bot:
            story.end_bot(stint, at_ms, _bot_outcome(event))
        else:
            stint.leave(at_ms)
    hung_up = event.ended_by == "customer"
    for stay in story.stays:
        if stay.open and _ends(story, event, stay.event.leg_id):
            stay.leave(at_ms, "abandoned" if hung_up else "ended", wait_ms=event.wait_ms)
            if hung_up:
                story.handoffs_abandoned()
        elif stay.answered_by is not None and stay.answered_by in measured[-1:]:
            stay.wait_ms = stay.wait_ms if event.wait_ms is None else event.wait_ms
    if event.resolved is not None:
        story.resolved = event.resolved
    if not story.anything_open():
        story.end(at_ms, event.ended_by)


def _ends(story: Story, event: Event, leg_id: str) -> bool:
    """Whether the end that ``event`` tells is the end of ``leg_id`` too.

    An end that names no leg is the end of the contact. One that names a leg spares legs whose own
    end is told.
    """
    return not event.leg_told or leg_id == event.leg_id or leg_id not in story.independent_legs


def _bot_outcome(event: Event) -> str:
    if event.resolved is True:
        return "resolved"
    return "left" if event.ended_by == "customer" else "ended"


def _record(story: Story, event: Event) -> None:
    key = (event.leg_id, event.performer_id)
    known = story.records.get(key)
    newer = (event.record_version, event.order)
    if known is None or (known.record_version, known.order) < newer:
        story.records[key] = event


def _survey(story: Story, event: Event) -> None:
    story.surveys.append(event)


_STEPS: Final[dict[str, Callable[[Story, Event], None]]] = {
    "started": Story.note,
    "bot_started": _bot_started,
    "authenticated": _authenticated,
    "info_repeated": _info_repeated,
    "bot_turn": _bot_turn,
    "handoff": _handoff,
    "bot_ended": _bot_ended,
    "queued": _queued,
    "ringing": Story.note,
    "declined": Story.note,
    "left_queue": _left_queue,
    "accepted": _accepted,
    "consult": Story.note,
    "hold": _hold,
    "resume": _resume,
    "transfer": _transfer,
    "left": _left,
    "abandoned": _abandoned,
    "completed": _completed,
    "wrapup_started": _wrapup_started,
    "wrapup_ended": _wrapup_ended,
    "record": _record,
    "survey_sent": _survey,
    "survey_answered": _survey,
}
