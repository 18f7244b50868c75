"""The fold of one plan item: what was told of it last, or nothing once it is withdrawn."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.folds.event import Event
from pipeline.folds.rows import Folded, Row
from schemas.facts import DIMENSIONS, Header, PlanItem

CODE_VERSION = 2
"""Version of the rules of this fold."""


def fold(plan_id: str, events: Iterable[Event]) -> Folded:
    """The plan item ``plan_id`` as its newest event has it.

    An item replaces as a whole: what the newest event does not say is not known any more. Without
    a value it is withdrawn; without a plan or a beginning, or with an end that is not after the
    beginning, nothing is planned.
    """
    newest = max(events, key=lambda e: (e.record_version, e.order), default=None)
    if newest is None or newest.value_micro is None or newest.starts_ms is None or not newest.plan:
        return Folded((), (), None)
    if newest.ends_ms is not None and newest.ends_ms <= newest.starts_ms:
        return Folded((), (), None)
    item = PlanItem(
        header=Header(**{name: getattr(newest, name) for name in DIMENSIONS}),
        plan_id=plan_id,
        plan=newest.plan,
        activity=newest.activity,
        plan_version=newest.plan_version,
        owner=newest.owner,
        subject=f"{newest.performer_id} {newest.kcr_task}" if newest.performer_id else "",
        starts_ms=newest.starts_ms,
        ends_ms=newest.ends_ms,
        told_ms=newest.occurred_ms,
        value_micro=newest.value_micro,
    )
    return Folded((Row(f"plan/{plan_id}", "plan", item),), (), None)
