"""Cases: what interactions say of them, and the fold of one case from all of that."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from pipeline.folds.event import OF_CASES, RANK, Event
from pipeline.folds.rows import CasePart, CaseStep, Folded, Row
from schemas.facts import Case, Header

CODE_VERSION = 2
"""Version of the rules of this fold."""


def parts(interaction_id: str, events: Iterable[Event]) -> tuple[CasePart, ...]:
    """What the events of one interaction, in canonical order, say of cases.

    A case event tells of its ``case_id``, else of the case that is its interaction. Any event that
    names another case than itself makes the interaction a contact of that case.
    """
    named: dict[str, int] = {}
    steps: defaultdict[str, list[Event]] = defaultdict(list)
    dimensions: defaultdict[str, list[Event]] = defaultdict(list)
    for event in events:
        tells = event.kind in OF_CASES
        case_id = event.case_id or (interaction_id if tells else "")
        if not case_id or (case_id == interaction_id and not tells):
            continue
        dimensions[case_id].append(event)
        if case_id != interaction_id:
            named.setdefault(case_id, event.occurred_ms)
        if tells:
            steps[case_id].append(event)
    return tuple(
        CasePart(
            case_id=case_id,
            header=_header(interaction_id, told),
            named_ms=named.get(case_id),
            steps=tuple(
                CaseStep(e.occurred_ms, e.kind, e.event_id, e.performer_kind, e.performer_id)
                for e in steps[case_id]
            ),
        )
        for case_id, told in sorted(dimensions.items())
    )


def matter(interaction_id: str, events: Iterable[Event]) -> str:
    """The case that the events of an interaction, in canonical order, name last; empty if none."""
    found = ""
    for event in events:
        found = event.case_id or (interaction_id if event.kind in OF_CASES else found)
    return found


def _header(interaction_id: str, told: Sequence[Event]) -> Header:
    def last(name: str) -> str:
        return next((value for e in reversed(told) if (value := getattr(e, name))), "")

    return Header(
        interaction_id=interaction_id,
        customer_key=last("customer_key"),
        channel=told[0].channel,
        direction=told[0].direction,
        queue=last("queue"),
        intent=last("intent"),
        kcr_task=last("kcr_task"),
        capability=last("capability"),
        client=last("client"),
        vendor=last("vendor"),
        site=last("site"),
        location=last("location"),
        employment=last("employment"),
        language=last("language"),
        source=told[0].source,
        flow=last("flow"),
        team=last("team"),
    )


def fold(case_parts: Iterable[CasePart]) -> Folded:
    """The row of one case, from what all interactions say of it; none before any of its steps.

    Opening what is open and resolving what is resolved changes nothing.
    """
    found = sorted(case_parts, key=lambda part: (_first_ms(part), part.header.interaction_id))
    steps = sorted(
        (step for part in found for step in part.steps),
        key=lambda step: (step.at_ms, RANK[step.kind], step.event_id),
    )
    if not steps:
        return Folded((), (), None)
    resolved: list[CaseStep] = []
    reopens = 0
    is_open = True
    for step in steps:
        if step.kind == "case_resolved" and is_open:
            resolved.append(step)
            is_open = False
        elif step.kind == "case_reopened" and not is_open:
            reopens += 1
            is_open = True
    opened = next((s.at_ms for s in steps if s.kind == "case_opened"), steps[0].at_ms)
    named = [part.named_ms for part in found if part.named_ms is not None]
    header = next(part.header for part in found if part.steps)
    if resolved:
        header = header._replace(
            performer_kind=resolved[-1].performer_kind, performer_id=resolved[-1].performer_id
        )
    case_id = found[0].case_id
    fact = Case(
        header=header,
        case_id=case_id,
        opened_ms=opened,
        first_resolved_ms=resolved[0].at_ms if resolved else None,
        resolved_ms=None if is_open else resolved[-1].at_ms,
        resolutions=len(resolved),
        reopens=reopens,
        contacts=len(named),
        told_ms=max([steps[-1].at_ms, *named]),
    )
    return Folded((Row(f"{case_id}/case", "case", fact),), (), None)


def _first_ms(part: CasePart) -> int:
    times = [step.at_ms for step in part.steps]
    if part.named_ms is not None:
        times.append(part.named_ms)
    return min(times)
