"""When a fact became what it is, in event time: what decides whether it restates a bucket."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final

from schemas.facts import (
    FACT_KINDS,
    AiDecision,
    Case,
    Contact,
    Cost,
    Evaluation,
    Fact,
    HandlingSegment,
    Interaction,
    Journey,
    MissedOffer,
    PerformerStateInterval,
    PerformerTime,
    PlanItem,
    QueueSegment,
    Session,
    Survey,
)


def told_ms(fact: Fact) -> int:
    """UTC epoch milliseconds of the last event that made ``fact`` what it is."""
    return _TOLD_MS[type(fact)](fact)


def told_of(kind: str) -> Callable[[Any], int]:
    """:func:`told_ms` for facts of one kind."""
    return _TOLD_MS[FACT_KINDS[kind]]


def _latest(first: str, second: str, third: str | None = None) -> Callable[[Any], int]:
    """The latest of some times, of which the first is always known."""
    times = attrgetter(first, second, third or second)

    def latest(fact: Any) -> int:
        told: int
        told, *later_ms = times(fact)
        for later in later_ms:
            if later is not None and later > told:
                told = later
        return told

    return latest


def _left(fact: Any) -> int:
    entered_ms: int = fact.entered_ms
    return entered_ms if fact.left_ms is None else fact.left_ms


_TOLD_MS: Final[dict[type, Callable[[Any], int]]] = {
    QueueSegment: _left,
    PerformerStateInterval: _left,
    PerformerTime: _left,
    HandlingSegment: _latest("accepted_ms", "left_ms", "closed_ms"),
    Session: _latest("accepted_ms", "closed_ms"),
    Interaction: _latest("started_ms", "ended_ms", "closed_ms"),
    Survey: _latest("interaction_ms", "sent_ms", "answered_ms"),
    MissedOffer: attrgetter("missed_ms"),
    Contact: _latest("started_ms", "ended_ms", "called_back_ms"),
    Journey: _latest("started_ms", "ended_ms"),
    Evaluation: _latest("told_ms", "interaction_ms"),
    **dict.fromkeys((AiDecision, Case, PlanItem, Cost), attrgetter("told_ms")),
}
