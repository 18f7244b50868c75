"""Facts of events that judge an interaction: quality evaluations and decisions of an AI.

They come late, often by days, and in parts: a decision first, its review and its judge's score
later. Each field holds as it was told last. They never create an interaction and say nothing of its
course; where nothing but they is known, their rows say what they themselves say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

from pipeline.folds.event import Event
from pipeline.folds.rows import Row
from schemas.facts import AiDecision, Evaluation, Header

MILLION: Final = 1_000_000

_TOLD: Final = (
    "queue", "intent", "performer_kind", "performer_id", "model_version", "kcr_task", "capability",
    "client", "vendor", "site", "location", "employment", "language", "flow", "team",
)  # fmt: skip
"""Dimensions in which a judgement's own word wins over what is known of the interaction."""

Own = Mapping[str, int | float | str | bool]


class Judged(Protocol):
    """The interaction that is judged, as far as it is known."""

    root_id: str

    @property
    def judged_ms(self) -> int | None:
        """End of the interaction, else its start; None where it is not known."""

    def credited(self, performer_id: str, *, to_bots: bool) -> Header | None:
        """Header for what is said of a performer, the last one (or bot) if it is not named."""


def rows(judged: Judged, events: Iterable[Event]) -> Iterable[Row]:
    """Rows of the evaluations and decisions among ``events``, which are in canonical order."""
    found: defaultdict[tuple[str, str], list[Event]] = defaultdict(list)
    for event in events:
        found[identity(event)].append(event)
    decisions: list[tuple[str, Header, list[Event]]] = []
    for (kind, name), told in sorted(found.items()):
        header = _header(judged, told)
        if kind == "evaluation":
            fact = _evaluation(judged, header, name, told)
            yield Row(f"{judged.root_id}/evaluation/{name}", "evaluation", fact)
        else:
            decisions.append((name, header, told))
    yield from _decisions(judged, decisions)


def identity(event: Event) -> tuple[str, str]:
    """Which judgement an event tells of: its kind and id; without an id it stands for itself."""
    own = event.own or {}
    name = "evaluation_id" if event.kind == "evaluation" else "decision_id"
    return event.kind, str(own.get(name) or event.event_id)


def _header(judged: Judged, told: Sequence[Event]) -> Header:
    first = told[0]
    own = {name: value for name in _TOLD if (value := _last(told, name))}
    to_bots = first.kind == "ai_decision"
    known = judged.credited(own.get("performer_id", ""), to_bots=to_bots)
    if known is None:
        known = Header(
            interaction_id=judged.root_id,
            customer_key=_last(told, "customer_key"),
            channel=first.channel,
            direction=first.direction,
            source=first.source,
        )
    return known._replace(**own)


def _evaluation(judged: Judged, header: Header, name: str, told: Sequence[Event]) -> Evaluation:
    own = _merged(told)
    attributes = _count(own, "attributes")
    return Evaluation(
        header=header,
        evaluation_id=name,
        form=_text(own, "form"),
        form_version=_text(own, "form_version"),
        evaluator_kind=_text(own, "evaluator_kind") or "human",
        evaluator_id=_text(own, "evaluator_id"),
        sample_type=_text(own, "sample_type"),
        customer_errors=_count(own, "customer_errors"),
        business_errors=_count(own, "business_errors"),
        compliance_errors=_count(own, "compliance_errors"),
        non_critical_millionths=_millionths(own, "non_critical_score"),
        attributes=attributes,
        agreed_attributes=_part_of(attributes, _count(own, "agreed_attributes")),
        verdict=_text(own, "verdict"),
        reference_verdict=_text(own, "reference_verdict"),
        evaluated_ms=told[0].occurred_ms,
        told_ms=told[-1].occurred_ms,
        interaction_ms=told[0].occurred_ms if judged.judged_ms is None else judged.judged_ms,
    )


def _decisions(
    judged: Judged, decisions: Iterable[tuple[str, Header, Sequence[Event]]]
) -> Iterable[Row]:
    """Decisions of a performer in an interaction are one session of it."""
    in_order = sorted(decisions, key=lambda decision: decision[2][0].order)
    disclosed: defaultdict[str, bool] = defaultdict(bool)
    for _, header, told in in_order:
        disclosed[header.performer_id] |= bool(_merged(told).get("disclosed"))
    known: set[str] = set()
    for name, header, told in in_order:
        performer_id = header.performer_id
        fact = _decision(header, name, told)._replace(
            opens_session=performer_id not in known, disclosed=disclosed[performer_id]
        )
        known.add(performer_id)
        yield Row(f"{judged.root_id}/decision/{name}", "ai_decision", fact)


def _decision(header: Header, name: str, told: Sequence[Event]) -> AiDecision:
    own = _merged(told)
    claims, human_verdict = _count(own, "claims"), _text(own, "human_verdict")
    leaked = bool(own.get("pii_leaked"))
    return AiDecision(
        header=header,
        decision_id=name,
        action=_text(own, "action"),
        confidence_millionths=_millionths(own, "confidence"),
        claims=claims,
        supported_claims=_part_of(claims, _count(own, "supported_claims")),
        # Who changed or rejected an output, or found a leak in it, has acted on it or scanned it.
        acted_on=bool(own.get("acted_on")) or human_verdict != "",
        human_verdict=human_verdict,
        verdict=_text(own, "verdict"),
        reference_verdict=_text(own, "reference_verdict"),
        scanned=bool(own.get("scanned")) or leaked,
        pii_leaked=leaked,
        opens_session=False,
        disclosed=False,
        decided_ms=told[0].occurred_ms,
        told_ms=told[-1].occurred_ms,
    )


def _merged(told: Iterable[Event]) -> Own:
    found: dict[str, int | float | str | bool] = {}
    for event in told:
        found.update(event.own or {})
    return found


def _last(told: Iterable[Event], name: str) -> str:
    found = ""
    for event in told:
        found = getattr(event, name) or found
    return found


def _text(own: Own, name: str) -> str:
    return str(own.get(name, ""))


def _count(own: Own, name: str) -> int | None:
    value = own.get(name)
    return None if value is None else int(value)


def _millionths(own: Own, name: str) -> int | None:
    value = own.get(name)
    return None if value is None else round(float(value) * MILLION)


def _part_of(whole: int | None, part: int | None) -> int | None:
    """A part never exceeds its whole, whatever a judge says; without one it is not known."""
    return None if whole is None or part is None else min(part, whole)
