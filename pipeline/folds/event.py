"""The small event a fold keeps: what is needed to compute facts again, and nothing else."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from schemas.interaction import InteractionEvent, Plan, Tick

# At one instant and without a sequence of the source, events count in this order: a contact comes
# in, meets a bot, waits, is served, is passed on, ends, is wrapped up.
_ORDER: Final = (
    "started", "bot_started", "authenticated", "info_repeated", "bot_turn", "handoff", "bot_ended",
    "queued", "ringing", "declined", "left_queue", "accepted", "consult", "hold", "resume",
    "transfer", "left", "abandoned", "completed", "wrapup_started", "wrapup_ended", "record",
    "survey_sent", "survey_answered", "performer_state", "evaluation", "ai_decision",
    "identity_linked", "case_opened", "case_resolved", "case_reopened", "plan", "tick",
)  # fmt: skip
RANK: Final = {kind: rank for rank, kind in enumerate(_ORDER)}

JUDGING: Final = frozenset(("evaluation", "ai_decision"))
"""Kinds that judge an interaction, often days after it: they say nothing of its course."""
OF_CASES: Final = frozenset(("case_opened", "case_resolved", "case_reopened"))

# Kinds that say something about an interaction but never are one.
ANNOTATING: Final = frozenset(
    (
        "survey_sent", "survey_answered", "record", "evaluation", "ai_decision",
        "identity_linked", "case_opened", "case_resolved", "case_reopened", "plan", "tick",
    )
)  # fmt: skip


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event, reduced. Field names are those of the unified event, stored under short ones.

    ``occurred_ms`` is UTC epoch milliseconds. ``leg_id`` is empty for the root leg; ``leg_told``
    says that the event named its leg. ``content_hash`` decides between two contents that claim the
    same id and version. ``own`` is what only events of :data:`JUDGING` say, by name.
    """

    occurred_ms: int = msgspec.field(name="t")
    kind: str = msgspec.field(name="k")
    event_id: str = msgspec.field(name="i")
    content_hash: int = msgspec.field(name="h")
    channel: str = msgspec.field(name="c")
    source: str = msgspec.field(name="s")
    record_version: int = msgspec.field(name="v", default=0)
    source_seq: int = msgspec.field(name="n", default=0)
    direction: str = msgspec.field(name="d", default="inbound")
    leg_id: str = msgspec.field(name="l", default="")
    leg_told: bool = msgspec.field(name="lt", default=False)
    previous_leg_id: str = msgspec.field(name="pl", default="")
    customer_key: str = msgspec.field(name="cu", default="")
    intent: str = msgspec.field(name="in", default="")
    queue: str = msgspec.field(name="q", default="")
    performer_kind: str = msgspec.field(name="pk", default="")
    performer_id: str = msgspec.field(name="p", default="")
    model_version: str = msgspec.field(name="mv", default="")
    kcr_task: str = msgspec.field(name="kt", default="")
    capability: str = msgspec.field(name="ca", default="")
    client: str = msgspec.field(name="cl", default="")
    vendor: str = msgspec.field(name="ve", default="")
    site: str = msgspec.field(name="si", default="")
    location: str = msgspec.field(name="lo", default="")
    employment: str = msgspec.field(name="em", default="")
    language: str = msgspec.field(name="la", default="")
    reason: str = msgspec.field(name="r", default="")
    via: str = msgspec.field(name="vi", default="")
    transfer_kind: str = msgspec.field(name="tk", default="")
    outcome: str = msgspec.field(name="o", default="")
    ended_by: str = msgspec.field(name="e", default="")
    state: str = msgspec.field(name="st", default="")
    survey_id: str = msgspec.field(name="su", default="")
    question: str = msgspec.field(name="qu", default="")
    scale: int | None = msgspec.field(name="sc", default=None)
    score: int | None = msgspec.field(name="so", default=None)
    user_turn: bool | None = msgspec.field(name="ut", default=None)
    no_match: bool | None = msgspec.field(name="nm", default=None)
    no_input: bool | None = msgspec.field(name="ni", default=None)
    confidence_micro: int | None = msgspec.field(name="cf", default=None)
    context_ok: bool | None = msgspec.field(name="co", default=None)
    resolved: bool | None = msgspec.field(name="re", default=None)
    wait_ms: int | None = msgspec.field(name="mw", default=None)
    talk_ms: int | None = msgspec.field(name="mt", default=None)
    hold_ms: int | None = msgspec.field(name="mh", default=None)
    wrap_ms: int | None = msgspec.field(name="mr", default=None)
    plan: str = msgspec.field(name="Pk", default="")
    plan_version: str = msgspec.field(name="Pv", default="")
    activity: str = msgspec.field(name="Pa", default="")
    owner: str = msgspec.field(name="Po", default="")
    starts_ms: int | None = msgspec.field(name="Ps", default=None)
    ends_ms: int | None = msgspec.field(name="Pe", default=None)
    value_micro: int | None = msgspec.field(name="Pm", default=None)
    logs_in: bool = msgspec.field(name="li", default=True)
    session_ms: int | None = msgspec.field(name="ms", default=None)
    case_id: str = msgspec.field(name="ci", default="")
    own: dict[str, int | float | str | bool] | None = msgspec.field(name="ow", default=None)
    reply_ms: int | None = msgspec.field(name="mp", default=None)
    due_ms: int | None = msgspec.field(name="du", default=None)

    @property
    def order(self) -> tuple[int, int, int, str]:
        """Canonical place among the events of one interaction, whatever their arrival."""
        return (self.occurred_ms, self.source_seq, RANK[self.kind], self.event_id)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_ENVELOPE_FIELDS: Final = frozenset(Tick.model_fields)
_FIELDS: Final = frozenset(Event.__struct_fields__) - {
    "occurred_ms", "content_hash", "source_seq", "leg_id", "own",
}  # fmt: skip


def reduce(event: InteractionEvent) -> Event:
    """The small event of a validated unified event."""
    told: dict[str, Any] = {}
    for name in event.model_fields_set:
        if name in _FIELDS:
            value = getattr(event, name)
            if value is not None:
                told[name] = value
    told.setdefault("kind", event.kind)
    if event.kind in JUDGING:
        told["own"] = _own(event)
    if event.leg_id:
        told["leg_told"] = True
        if event.leg_id != event.interaction_id:
            told["leg_id"] = event.leg_id
    if event.source_seq is not None:
        told["source_seq"] = event.source_seq
    if isinstance(event, Plan):
        told.update(_planned(event))
    if event.due_at is not None:
        told["due_ms"] = epoch_ms(event.due_at)
    if event.kind == "bot_turn" and event.confidence is not None:
        told["confidence_micro"] = round(event.confidence * 1_000_000)
    occurred_ms = epoch_ms(event.occurred_at)
    digest = hashlib.blake2b(
        repr((occurred_ms, event.interaction_id, sorted(told.items(), key=str))).encode(),
        digest_size=8,
    ).digest()
    return Event(
        occurred_ms=occurred_ms,
        content_hash=int.from_bytes(digest, "big", signed=True),
        **told,
    )


def _planned(event: Plan) -> dict[str, int]:
    """What a plan says, in integers; what it does not say is left out."""
    told = {}
    if event.starts_at is not None:
        told["starts_ms"] = epoch_ms(event.starts_at)
    if event.ends_at is not None:
        told["ends_ms"] = epoch_ms(event.ends_at)
    if event.value is not None:
        told["value_micro"] = round(event.value * 1_000_000)
    return told


def _own(event: InteractionEvent) -> dict[str, Any]:
    names = sorted(event.model_fields_set - _ENVELOPE_FIELDS)
    return {name: value for name in names if (value := getattr(event, name)) is not None}


def epoch_ms(moment: datetime) -> int:
    """UTC epoch milliseconds of an aware datetime, rounded down."""
    return int((moment - _EPOCH) // _MILLISECOND)
