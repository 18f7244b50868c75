"""When a fact became what it is, in event time: what decides whether it restates a bucket."""

from __future__ import annotations

from schemas.facts import (
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
    PlanItem,
    QueueSegment,
    Session,
    Survey,
)


def told_ms(fact: Fact) -> int:
    """UTC epoch milliseconds of the last event that made ``fact`` what it is."""
    match fact:
        case QueueSegment():
            return fact.entered_ms if fact.left_ms is None else fact.left_ms
        case HandlingSegment():
            return _latest(fact.accepted_ms, fact.left_ms, fact.closed_ms)
        case Session():
            return _latest(fact.accepted_ms, fact.closed_ms)
        case Interaction():
            return _latest(fact.started_ms, fact.ended_ms, fact.closed_ms)
        case Survey():
            return _latest(fact.interaction_ms, fact.sent_ms, fact.answered_ms)
        case MissedOffer():
            return fact.missed_ms
        case Contact():
            return _latest(fact.started_ms, fact.ended_ms, fact.called_back_ms)
        case Journey():
            return _latest(fact.started_ms, fact.ended_ms)
        case Evaluation():
            return _latest(fact.told_ms, fact.interaction_ms)
        case AiDecision() | Case() | PlanItem() | Cost():
            return fact.told_ms
    return fact.entered_ms if fact.left_ms is None else fact.left_ms


def _latest(first_ms: int, *later_ms: int | None) -> int:
    return max((first_ms, *(ms for ms in later_ms if ms is not None)))
