"""What follows the end of a contact: surveys, and the customer who comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pipeline.simulator.contact import Center, Contact
from pipeline.simulator.profiles import CHANNELS
from pipeline.simulator.records import Survey
from pipeline.simulator.timeline import Event

QUESTIONS: Final = (("csat", 5, 0.6), ("nps", 10, 0.8), ("ces", 7, 1.0))
"""Questions with the highest score of their scale and their cumulative share."""

COMES_BACK: Final = {True: 0.07, None: 0.16, False: 0.42}
"""Probability of a repeat after a contact said to be resolved, not said, said to be unresolved."""
COMES_BACK_AFTER_ABANDON: Final = 0.5

ABOUT_INTERACTION: Final = ("interaction_id", "channel", "customer", "intent", "language")

Reopen = Callable[[int, Contact, str, str], None]
"""Begins a customer's next contact: at, the contact before, channel, intent."""


class Aftermath:
    """Ends contacts and plans what comes after them."""

    def __init__(
        self,
        center: Center,
        reopen: Reopen,
        set_free: Callable[[int], None],
        judge: Callable[[int, Contact], None],
    ) -> None:
        self._center = center
        self._judge = judge
        self._reopen = reopen
        self._set_free = set_free
        self._surveys = 0

    def end(self, at_ms: int, contact: Contact, ended_by: str, *, resolved: bool | None) -> None:
        """A contact ends at ``at_ms``, now or at a time already certain."""
        record = contact.record
        record.ended_ms = at_ms
        record.ended_by = ended_by
        record.resolved = resolved
        # One millisecond later, so that a customer's contacts never touch.
        self._center.timeline.call(at_ms + 1, self._follow_up, contact)

    def _follow_up(self, at_ms: int, contact: Contact) -> None:
        record = contact.record
        self._judge(at_ms, contact)
        if contact.customer_number is not None:
            self._set_free(contact.customer_number)
        if record.direction != "inbound":
            return
        if record.handled and not record.abandoned:
            share = contact.channel.survey_share * self._center.config.survey_scale
            if self._center.chance(share):
                self._ask(at_ms, contact)
        if contact.customer_number is not None:
            self._maybe_come_back(at_ms, contact)

    def _ask(self, at_ms: int, contact: Contact) -> None:
        center, record = self._center, contact.record
        self._surveys += 1
        survey_id = f"{center.id_prefix}-s{self._surveys}"
        chance = center.rng.random()
        question, scale = next(
            (name, scale) for name, scale, cumulated in QUESTIONS if chance < cumulated
        )
        sent_ms = at_ms + center.between_ms(5, 120)
        base: Event = {
            name: contact.base[name] for name in ABOUT_INTERACTION if name in contact.base
        }
        if record.last_queue:
            base["queue"] = record.last_queue
        base.update(survey_id=survey_id, question=question)
        survey = center.truth.add_survey(
            Survey(record, record.last_queue, survey_id, question, scale, sent_ms)
        )
        center.timeline.emit(sent_ms, "survey_sent", base)
        if not center.chance(center.config.survey_answer_share):
            return
        survey.score = self._score(contact, question, scale)
        # Most answer within minutes, some after days: those restate an old interval.
        median = 300 if center.chance(0.75) else 36 * 3600
        survey.answered_ms = sent_ms + min(
            int(center.rng.lognormvariate(0.0, 0.8) * median * 1000) + 2000, 20 * 86_400_000
        )
        center.timeline.emit(
            survey.answered_ms, "survey_answered", base, {"scale": scale, "score": survey.score}
        )

    def _score(self, contact: Contact, question: str, scale: int) -> int:
        """Better when resolved, worse for each transfer and each repeated information."""
        record = contact.record
        lowest = 0 if question == "nps" else 1
        mood = {True: 0.86, None: 0.7, False: 0.42}[record.resolved]
        mood -= 0.12 * record.transfers + 0.12 * record.info_repeats
        mood += self._center.rng.gauss(0.0, 0.2)
        return lowest + round(min(max(mood, 0.0), 1.0) * (scale - lowest))

    def _maybe_come_back(self, at_ms: int, contact: Contact) -> None:
        center, record = self._center, contact.record
        share = COMES_BACK_AFTER_ABANDON if record.abandoned else COMES_BACK[record.resolved]
        if not center.chance(share * center.config.repeat_scale):
            return
        # Redial within minutes, next try within days; some of it beyond a week.
        if center.chance(0.5):
            delay_ms = 10_000 + center.about_ms(900)
        else:
            delay_ms = int(center.rng.lognormvariate(0.0, 1.1) * 30 * 3_600_000) + 60_000
        channel = record.channel
        if center.chance(0.2):
            others = [
                name
                for name in center.config.channels
                if CHANNELS[name].identity == contact.channel.identity
            ]
            channel = others[int(center.rng.random() * len(others))]
        intent = record.intent
        if contact.queue is not None and center.chance(0.15):
            intents = contact.queue.intents
            intent = intents[int(center.rng.random() * len(intents))]
        center.timeline.call(at_ms + delay_ms, self._reopen, contact, channel, intent)
