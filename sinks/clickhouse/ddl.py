"""Column types and table definitions of facts and events, derived from their schemas.

The migrations are plain SQL and are what runs. This module writes a first draft of the next one
(``python -m sinks.clickhouse.ddl``), and a contract test holds the migrated tables against it, so
that a new column of a fact or an event cannot be forgotten.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import AwareDatetime

from schemas import facts
from schemas.interaction import EVENT_CLASSES

INSTANTS: Final = frozenset({
    "entered_ms", "left_ms", "accepted_ms", "closed_ms", "handoff_ms", "handoff_accepted_ms",
    "started_ms", "ended_ms", "sent_ms", "answered_ms", "interaction_ms",
    "evaluated_ms", "decided_ms", "told_ms", "opened_ms", "first_resolved_ms", "resolved_ms",
    "due_ms", "done_ms", "offered_ms", "missed_ms", "callback_ms", "called_back_ms",
    "starts_ms", "ends_ms",
})  # fmt: skip
"""Fact columns in epoch milliseconds; each has an alias ``<name>_at`` as a date and time."""

DURATIONS: Final = frozenset({
    "wait_ms", "talk_ms", "hold_ms", "wrap_ms", "consult_ms",
    "next_same_intent_ms", "next_same_queue_ms", "next_any_ms",
    "previous_same_intent_ms", "previous_same_queue_ms", "previous_any_ms",
    "session_ms", "pro_rata_ms",
    "next_same_intent_kept_ms", "next_same_queue_kept_ms", "next_any_kept_ms",
    "next_same_intent_outbound_ms", "next_same_queue_outbound_ms", "next_any_outbound_ms",
    "first_reply_ms",
    "next_same_case_ms", "next_same_case_kept_ms", "next_same_case_outbound_ms",
    "previous_same_case_ms",
})  # fmt: skip
"""Fact columns in milliseconds that are spans of time."""

VIEWS: Final = {
    "queue_segment": "queue_segments",
    "handling_segment": "handling_segments",
    "interaction": "interactions",
    "missed_offer": "missed_offers",
    "survey": "surveys",
    "contact": "contacts",
    "journey": "journeys",
    "performer_state": "performer_states",
    "performer_time": "performer_times",
    "session": "sessions",
    "evaluation": "evaluations",
    "ai_decision": "ai_decisions",
    "case": "cases",
    "plan": "plans",
    "cost": "costs",
}
"""Analysts' view of each fact kind."""

TIME: Final = "DateTime64(3, 'UTC')"

# Strings with about as many values as rows; every other one is a dimension or a small code.
_MANY_VALUED: Final = frozenset({
    "event_id", "interaction_id", "leg_id", "previous_leg_id", "customer_key", "survey_id",
    "evaluation_id", "decision_id", "case_id",
    "plan_id", "account_key", "journey_id", "matter",
})  # fmt: skip

_EVENT_COMMENTS: Final = {
    "event_id": "identity: a repeated one changes nothing",
    "kind": "what happened",
    "source": "platform that told it",
    "occurred_at": "when it happened, by the source's clock",
    "interaction_id": "root id, the same over all transfers",
    "channel": "channel of the interaction",
    "ingested_at": "when the platform handed it over",
    "source_seq": "order among the events of one source",
    "record_version": "a higher one of the same event_id replaces",
    "leg_id": "leg of the interaction",
    "previous_leg_id": "leg it was transferred from",
    "customer_kind": "what the customer was named by: phone, mail, account or user of a channel",
    "customer_key": "keyed hash of the customer",
    "account_key": "keyed hash of the account linked",
    "linked": "false: the link is taken back",
    "intent": "what the customer wanted",
    "direction": "inbound, outbound or internal",
    "queue": "queue",
    "performer_kind": "human, bot or hybrid",
    "performer_id": "human or bot concerned",
    "model_version": "version of the model, for bots",
    "kcr_task": "key customer-related task",
    "capability": "capability asked for",
    "flow": "flow of a bot or of routing",
    "client": "client the work is done for",
    "vendor": "outsourcer doing the work",
    "site": "site of the performer",
    "location": "site or home",
    "employment": "employed or gig",
    "team": "team of the performer, or of the queue",
    "language": "language of the contact",
    "due_at": "when deferred work is due",
    "case_id": "case the interaction is about",
    "wait_ms": "time in queue as measured by the platform",
    "talk_ms": "talk time as measured by the platform",
    "hold_ms": "hold time as measured by the platform",
    "wrap_ms": "after-contact work as measured by the platform",
    "reply_ms": "time to the first public reply of a human as measured by the platform",
    "reason": "why the queue was left, or why the performer changed state",
    "via": "how the contact reached the performer",
    "to_performer_id": "performer consulted or transferred to",
    "to_queue": "queue consulted or transferred to",
    "transfer_kind": "blind, warm or conference",
    "user_turn": "the turn was the customer's",
    "no_match": "the bot did not understand",
    "no_input": "the customer said nothing",
    "confidence": "confidence of the bot, 0 to 1",
    "input_tokens": "tokens that the models of the bot read for this step",
    "output_tokens": "tokens that they wrote",
    "context_ok": "context was passed on with the handoff",
    "outcome": "how the bot session ended",
    "ended_by": "who ended the contact",
    "resolved": "said to be resolved",
    "survey_id": "survey",
    "question": "csat, nps, ces or fcr",
    "scale": "highest score of the scale",
    "score": "score given",
    "state": "state of the performer",
    "logs_in": "false where a state is told of whoever is offline, too, and does not end that",
    "session_ms": "length of the session that ends, as measured by the platform",
    "plan": "what kind of plan it is",
    "starts_at": "begin of what is planned",
    "ends_at": "end of what is planned",
    "value": "contacts forecast, performers required, the rate, the answer",
    "activity": "activity scheduled, or what the rate is for",
    "plan_version": "version of the plan",
    "evaluation_id": "evaluation",
    "form": "form the evaluation was made with",
    "form_version": "version of the form",
    "evaluator_kind": "human or ai",
    "evaluator_id": "who or what evaluated",
    "sample_type": "random, targeted, risk, calibration or census",
    "customer_errors": "customer-critical errors",
    "business_errors": "business-critical errors",
    "compliance_errors": "compliance-critical errors",
    "non_critical_score": "score without critical errors, 0 to 100",
    "attributes": "attributes compared with the reference",
    "agreed_attributes": "attributes that agree with the reference",
    "verdict": "pass or fail",
    "reference_verdict": "the reference's or the human's pass or fail",
    "decision_id": "decision of an AI",
    "action": "what the AI decided to do",
    "claims": "factual claims of an answer",
    "supported_claims": "claims that its sources support",
    "acted_on": "a human acted on the output",
    "human_verdict": "unchanged, changed or rejected",
    "scanned": "looked through for personal data",
    "pii_leaked": "personal data was found",
    "disclosed": "the customer was told that it is an AI",
    "owner": "who answers for what is planned",
}

# Raw identity ends at intake: what is stored knows a keyed hash only.
_NOT_STORED: Final = frozenset({"customer", "account"})


class SqlColumn(NamedTuple):
    """One column of a table as ClickHouse describes it."""

    name: str
    type: str
    comment: str

    @property
    def definition(self) -> str:
        """Its line in CREATE TABLE."""
        return f"`{self.name}` {self.type}{_codec(self.type)} COMMENT '{_escaped(self.comment)}'"


def fact_columns(kind: str) -> list[SqlColumn]:
    """Stored columns of a fact kind: identity, version and deletion, then the schema's."""
    identity = [
        SqlColumn("fact_id", "String", "identity, never changes"),
        SqlColumn("version", "UInt64", "made of content; the highest replaces the others"),
        SqlColumn("deleted", "UInt8", "1 when this fact turned out not to be one"),
    ]
    own = [
        SqlColumn(column.name, _fact_type(column), column.comment) for column in facts.columns(kind)
    ]
    return identity + own


def fact_aliases(kind: str) -> list[SqlColumn]:
    """Readable times of a fact kind, computed when they are read."""
    return [
        SqlColumn(
            f"{column.name.removesuffix('_ms')}_at",
            f"Nullable({TIME})" if column.nullable else TIME,
            column.comment,
        )
        for column in facts.columns(kind)
        if column.name in INSTANTS
    ]


def fact_table(kind: str) -> str:
    """Name of the table of a fact kind."""
    return f"facts_{kind}"


TABLES: Final = ("interaction_events", "kpi_values", "dead_letters", *map(fact_table, VIEWS))
"""Tables that rows are written to."""


def fact_table_ddl(kind: str) -> str:
    """CREATE TABLE of a fact kind."""
    lines = [column.definition for column in fact_columns(kind)]
    lines += [
        f"`{alias.name}` {alias.type} "
        f"ALIAS fromUnixTimestamp64Milli(`{alias.name.removesuffix('_at')}_ms`, 'UTC') "
        f"COMMENT '{_escaped(alias.comment)}'"
        for alias in fact_aliases(kind)
    ]
    return _create_table(
        fact_table(kind),
        lines,
        "ReplacingMergeTree(version, deleted)",
        "fact_id",
        _one_line(facts.FACT_KINDS[kind].__doc__),
    )


def fact_view_ddl(kind: str) -> str:
    """CREATE VIEW of a fact kind: one row a fact, the newest, without deleted ones."""
    names = [column.name for column in fact_columns(kind) if column.name != "deleted"]
    names += [alias.name for alias in fact_aliases(kind)]
    columns = ",\n    ".join(f"`{name}`" for name in names)
    comment = _escaped(_one_line(facts.FACT_KINDS[kind].__doc__))
    return (
        f"CREATE OR REPLACE VIEW {VIEWS[kind]} AS\nSELECT\n    {columns}\n"
        f"FROM {fact_table(kind)} FINAL\nCOMMENT '{comment}';\n"
    )


def event_columns() -> list[SqlColumn]:
    """Columns of all event fields: those of the envelope first, then those some kinds have."""
    found: dict[str, SqlColumn] = {}
    for cls in EVENT_CLASSES.values():
        for name, field in cls.model_fields.items():
            if name not in _NOT_STORED:
                everywhere = all(name in other.model_fields for other in EVENT_CLASSES.values())
                nullable = field.default is None or not everywhere
                type_ = _event_type(name, field.annotation, nullable=nullable)
                found.setdefault(name, SqlColumn(name, type_, _EVENT_COMMENTS[name]))
    return sorted(found.values(), key=lambda column: list(_EVENT_COMMENTS).index(column.name))


def _create_table(name: str, lines: Iterable[str], engine: str, order_by: str, comment: str) -> str:
    body = ",\n    ".join(lines)
    return (
        f"CREATE TABLE IF NOT EXISTS {name}\n(\n    {body}\n)\n"
        f"ENGINE = {engine}\nORDER BY {order_by}\nCOMMENT '{_escaped(comment)}';\n"
    )


def _fact_type(column: facts.Column) -> str:
    if column.type is str:
        return "String" if column.name in _MANY_VALUED else "LowCardinality(String)"
    name = {int: "Int64", bool: "Bool", float: "Float64"}[column.type]
    return f"Nullable({name})" if column.nullable else name


def _event_type(name: str, annotation: Any, *, nullable: bool) -> str:
    base = _plain(annotation)
    if base is str:
        if name in _MANY_VALUED:
            return "Nullable(String)" if nullable else "String"
        return "LowCardinality(Nullable(String))" if nullable else "LowCardinality(String)"
    type_ = {int: "Int64", bool: "Bool", float: "Float64", AwareDatetime: TIME}[base]
    return f"Nullable({type_})" if nullable else type_


def _plain(annotation: Any) -> Any:
    """Type behind optional, annotated and literal annotations; literals are strings."""
    if annotation is AwareDatetime:
        return annotation
    origin = get_origin(annotation)
    if origin is Annotated:
        return _plain(get_args(annotation)[0])
    if origin is Literal:
        return str
    if origin in (Union, types.UnionType):
        (member,) = (each for each in get_args(annotation) if each is not type(None))
        return _plain(member)
    return annotation


def _codec(type_: str) -> str:
    # Integers of one column share their high bits; transposing them makes those compress away.
    return " CODEC(T64, ZSTD(1))" if "Int64" in type_ and "UInt" not in type_ else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _one_line(docstring: str | None) -> str:
    return " ".join((docstring or "").split())


if __name__ == "__main__":
    wanted = sys.argv[1:] or list(facts.FACT_KINDS)
    sys.stdout.write("\n".join(fact_table_ddl(kind) for kind in wanted))
    sys.stdout.write("\n".join(["", *(fact_view_ddl(kind) for kind in wanted)]))
