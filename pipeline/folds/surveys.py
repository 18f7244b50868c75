"""Surveys of a session: each question of each, credited to whoever served."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from pipeline.folds.event import Event
from pipeline.folds.moments import Moments
from pipeline.folds.rows import Row
from pipeline.folds.stints import Stint, last_handler
from pipeline.folds.story import Story
from schemas.facts import Header, Survey


class Surveyed(Protocol):
    """The session that surveys ask about."""

    root_id: str
    story: Story
    started_ms: int

    @property
    def moments(self) -> Moments: ...  # noqa: D102
    def queue_of(self, stint: Stint) -> str:
        """The queue a stint came through."""

    def performed_by(self, stint: Stint | None, queue: str) -> Header:
        """The header, credited to the performer of a stint."""


def surveys(told: Surveyed) -> Iterator[Row]:
    """Rows of the surveys of a session, for each who is credited with them."""
    sent: dict[str, Event] = {}
    answered: dict[str, dict[str, Event]] = {}
    for event in told.story.surveys:
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
            yield from _survey(told, survey_id, question, sent_ms, answer)


def _survey(
    told: Surveyed, survey_id: str, question: str, sent_ms: int | None, answer: Event | None
) -> Iterator[Row]:
    handlers = [s for s in told.story.stints if s.handled]
    bots = [s for s in handlers if s.is_bot]
    credited: list[tuple[str, Stint | None]] = [("last", last_handler(handlers))]
    credited += [("all", stint) for stint in _one_each(handlers)]
    credited += [("bot", stint) for stint in _one_each(bots)]
    asked_about_ms = told.story.ended_ms
    for credit, stint in credited:
        queue = told.queue_of(stint) if stint is not None else ""
        queue = queue or told.moments.entry_queue
        whom = "" if credit == "last" or stint is None else f"/{stint.performer_id}"
        yield Row(
            f"{told.root_id}/survey/{survey_id}/{question}/{credit}{whom}",
            "survey",
            Survey(
                header=told.performed_by(stint, queue),
                survey_id=survey_id,
                credit=credit,
                question=question,
                scale=answer.scale if answer else None,
                score=answer.score if answer else None,
                sent_ms=sent_ms,
                answered_ms=answer.occurred_ms if answer else None,
                interaction_ms=told.started_ms if asked_about_ms is None else asked_about_ms,
            ),
        )


def _one_each(stints: Sequence[Stint]) -> Iterable[Stint]:
    """The last stint of each performer."""
    return {stint.performer_id: stint for stint in stints}.values()
