"""The small event a fold keeps: what is needed to compute facts again, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec.structs import fields, force_setattr

from schemas.compiled import AnyEvent
from schemas.interaction import EVENT_CLASSES

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
LINKING: Final = "identity_linked"

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
    customer_kind: str = msgspec.field(name="ck", default="")
    account_key: str = msgspec.field(name="ak", default="")
    linked: bool | None = msgspec.field(name="ln", default=None)
    input_tokens: int | None = msgspec.field(name="ti", default=None)
    output_tokens: int | None = msgspec.field(name="to", default=None)
    flow: str = msgspec.field(name="fl", default="")
    team: str = msgspec.field(name="te", default="")

    @property
    def order(self) -> tuple[int, int, int, str]:
        """Canonical place among the events of one interaction, whatever their arrival."""
        return (self.occurred_ms, self.source_seq, RANK[self.kind], self.event_id)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ENVELOPE_FIELDS: Final = frozenset(EVENT_CLASSES["tick"].model_fields)

# How a field is told, where it is not told under its own name as it is.
_TOLD: Final = {
    "occurred_ms": "epoch_ms(e.occurred_at)",
    "content_hash": "0",
    "source_seq": "e.source_seq or 0",
    "leg_id": "'' if e.leg_id is None or e.leg_id == e.interaction_id else e.leg_id",
    "leg_told": "bool(e.leg_id)",
    "due_ms": "None if e.due_at is None else epoch_ms(e.due_at)",
}
_TOLD_BY_KIND: Final = {
    "bot_turn": {"confidence_micro": "micro(e.confidence)"},
    "performer_state": {"logs_in": "e.logs_in is not False"},
    "plan": {
        "starts_ms": "None if e.starts_at is None else epoch_ms(e.starts_at)",
        "ends_ms": "None if e.ends_at is None else epoch_ms(e.ends_at)",
        "value_micro": "micro(e.value)",
    },
    **{kind: {"own": "own(e)"} for kind in JUDGING},
}

_pack: Final = msgspec.msgpack.Encoder().encode


def reduce(event: AnyEvent) -> Event:
    """The small event of a unified event, validated or decoded."""
    small = _REDUCERS[event.kind](event)
    digest = hashlib.blake2b(_pack(small), digest_size=8).digest()
    force_setattr(small, "content_hash", int.from_bytes(digest, "big"))
    return small


def epoch_ms(moment: datetime) -> int:
    """UTC epoch milliseconds of an aware datetime, rounded down."""
    since = moment - _EPOCH
    return since.days * 86_400_000 + since.seconds * 1_000 + since.microseconds // 1_000


def _micro(told: float | None) -> int | None:
    return None if told is None else round(told * 1_000_000)


def _own(event: Any) -> dict[str, Any]:
    names = _OWN_FIELDS[event.kind]
    return {name: value for name in names if (value := getattr(event, name)) is not None}


_OWN_FIELDS: Final = {
    kind: sorted(set(EVENT_CLASSES[kind].model_fields) - _ENVELOPE_FIELDS - {"kind"})
    for kind in JUDGING
}


def _reducer(kind: str) -> Callable[[Any], Event]:
    """A function that makes the small event of one kind, without asking what the kind has."""
    known = EVENT_CLASSES[kind].model_fields
    told = _TOLD | _TOLD_BY_KIND.get(kind, {})
    args = []
    for field in fields(Event):
        if field.name in told:
            args.append(told[field.name])
        elif field.name not in known:
            args.append(repr(field.default))
        elif field.default == "" and known[field.name].default is None:
            args.append(f"e.{field.name} or ''")
        else:
            args.append(f"e.{field.name}")
    names = {"Event": Event, "epoch_ms": epoch_ms, "micro": _micro, "own": _own}
    function: Callable[[Any], Event] = eval(f"lambda e: Event({', '.join(args)})", names)  # noqa: S307 - from our own schema
    return function


_REDUCERS: Final = {kind: _reducer(kind) for kind in EVENT_CLASSES}
