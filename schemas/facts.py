"""Facts: what the folds make of events, and the only thing KPIs are computed from.

A fact is one finished or so-far-known thing (one stay in one queue, one stint of one performer, one
interaction ...) with its dimensions and integer measures. Each kind is a ``NamedTuple`` that begins
with a :class:`Header`; the annotation of a field is its column's type and comment.

Times are UTC epoch milliseconds, durations are milliseconds, ``None`` means "did not happen (yet)".
A missing dimension is the empty string.
"""

from __future__ import annotations

from typing import Annotated, Final, NamedTuple, get_args, get_origin, get_type_hints

DIMENSIONS: Final = (
    "channel", "direction", "queue", "intent", "performer_kind", "performer_id", "model_version",
    "kcr_task", "capability", "client", "vendor", "site", "location", "employment", "language",
    "source", "flow", "team",
)  # fmt: skip
"""Columns an exhibit may filter (``where``) and split (``by``); every fact kind has them all."""


class Header(NamedTuple):
    """What every fact says about whom and where: identity and dimensions."""

    interaction_id: Annotated[str, "root id, the same over all transfers"] = ""
    customer_key: Annotated[str, "keyed hash of the customer, empty when unknown"] = ""
    channel: Annotated[str, "channel of the interaction"] = ""
    direction: Annotated[str, "inbound, outbound or internal"] = "inbound"
    queue: Annotated[str, "queue"] = ""
    intent: Annotated[str, "what the customer wanted"] = ""
    performer_kind: Annotated[str, "human, bot or hybrid"] = ""
    performer_id: Annotated[str, "performer the fact is credited to"] = ""
    model_version: Annotated[str, "version of the model, for bots"] = ""
    kcr_task: Annotated[str, "key customer-related task"] = ""
    capability: Annotated[str, "capability asked for"] = ""
    client: Annotated[str, "client the work is done for"] = ""
    vendor: Annotated[str, "outsourcer doing the work"] = ""
    site: Annotated[str, "site of the performer"] = ""
    location: Annotated[str, "site or home"] = ""
    employment: Annotated[str, "employed or gig"] = ""
    language: Annotated[str, "language of the contact"] = ""
    source: Annotated[str, "platform that told it"] = ""
    flow: Annotated[str, "flow of a bot or of routing that ran last"] = ""
    team: Annotated[str, "team of the performer, or of the queue"] = ""


class QueueSegment(NamedTuple):
    """One stay in one queue."""

    header: Header
    leg_id: Annotated[str, "leg that waited"]
    entered_ms: Annotated[int, "entered the queue at"]
    left_ms: Annotated[int | None, "left the queue at; null while waiting"]
    outcome: Annotated[str, "waiting, answered, abandoned, flow_out or ended"]
    reason: Annotated[str, "why it flowed out"]
    wait_ms: Annotated[int | None, "time in this queue; null while waiting or unknown"]
    after_bot: Annotated[bool, "a bot had handed this contact over"]


class HandlingSegment(NamedTuple):
    """One stint of one performer, bot or human, on one interaction."""

    header: Header
    leg_id: Annotated[str, "leg served"]
    via: Annotated[str, "queue, direct, transfer, consult, conference; wrap_only: no contact told"]
    accepted_ms: Annotated[int, "began to serve at"]
    left_ms: Annotated[int | None, "stopped serving the customer at"]
    closed_ms: Annotated[int | None, "work complete, wrap-up included; null while open or unknown"]
    talk_ms: Annotated[int | None, "talk time, hold excluded, consult included"]
    hold_ms: Annotated[int | None, "time the customer was on hold"]
    wrap_ms: Annotated[int | None, "after-contact work"]
    consult_ms: Annotated[int | None, "part of talk spent in consultation, without the customer"]
    handled: Annotated[bool, "counts as handled: a human accepted, or a bot gave a turn"]
    transferred: Annotated[bool, "this performer passed the contact on"]
    transfer_kind: Annotated[str, "blind, warm or conference"]
    turns: Annotated[int, "turns of a bot session"]
    bot_outcome: Annotated[str, "resolved, handoff, left, timed_out, ended or empty while open"]
    handoff_ms: Annotated[int | None, "the bot asked for a human at"]
    handoff_context_ok: Annotated[bool | None, "context was passed on"]
    handoff_accepted_ms: Annotated[int | None, "a human accepted the handoff at"]
    handoff_abandoned: Annotated[bool, "handed off, then left before a human accepted"]
    unknown_end: Annotated[bool, "its end was never told: after a long silence, or in a restart"]
    handoff_repeated: Annotated[bool, "authenticated again or information repeated after handoff"]
    no_match_turns: Annotated[int, "of the turns, those the bot did not understand"]
    no_input_turns: Annotated[int, "of the turns, those in which nothing was said"]
    confidence_turns: Annotated[int, "of the turns, those with a confidence"]
    confidence_micro: Annotated[int, "sum of their confidences, in millionths"]
    lowest_confidence_micro: Annotated[int | None, "lowest of them, in millionths"]
    input_tokens: Annotated[int, "tokens that the models of a bot session read"]
    output_tokens: Annotated[int, "tokens that the models of a bot session wrote"]


class Interaction(NamedTuple):
    """One interaction of one customer, over all its legs."""

    header: Header
    started_ms: Annotated[int, "first event"]
    ended_ms: Annotated[int | None, "contact ended at; null while open"]
    closed_ms: Annotated[int | None, "last work on it complete, wrap-up included"]
    ended_by: Annotated[str, "customer, human, bot, system, unknown; empty while open"]
    resolved: Annotated[bool | None, "said to be resolved; null when not said"]
    handled: Annotated[bool, "some performer handled it"]
    handled_by: Annotated[str, "none, bot, human or both"]
    abandoned: Annotated[bool, "ended in a queue by the customer"]
    stints: Annotated[int, "handling segments that count as handled"]
    transfers: Annotated[int, "transfers between humans or queues, handoffs of bots excluded"]
    bot_sessions: Annotated[int, "bot sessions"]
    handoffs: Annotated[int, "handoffs from a bot"]
    handoffs_without_context: Annotated[int, "handoffs where context was not passed on"]
    authentications: Annotated[int, "times the customer was authenticated"]
    info_repeats: Annotated[int, "times the customer had to repeat information"]
    wait_ms: Annotated[int, "waits in all queues"]
    talk_ms: Annotated[int | None, "talk of all closed stints; null while one is open"]
    hold_ms: Annotated[int | None, "hold of all closed stints"]
    wrap_ms: Annotated[int | None, "wrap-up of all closed stints"]
    consult_ms: Annotated[int | None, "consultation within talk"]
    blind_transfers: Annotated[int, "of the transfers, the blind ones"]
    warm_transfers: Annotated[int, "of the transfers, the announced ones"]
    conferences: Annotated[int, "of the transfers, those through a conference"]
    due_ms: Annotated[int | None, "promised by; null without a promise"]
    done_ms: Annotated[int | None, "end that was told and is no abandon; null while not done"]
    first_reply_ms: Annotated[int | None, "start to first public reply of a human"]


class MissedOffer(NamedTuple):
    """One offer of a contact to a human performer who did not take it."""

    header: Header
    leg_id: Annotated[str, "leg offered"]
    offered_ms: Annotated[int | None, "offered at; null where only the refusal is told"]
    missed_ms: Annotated[int, "offer ended at"]
    reason: Annotated[str, "declined, unanswered, or withdrawn: the customer left meanwhile"]


class Survey(NamedTuple):
    """One question of one survey, credited to whoever ``credit`` says."""

    header: Header
    survey_id: Annotated[str, "survey"]
    credit: Annotated[str, "last, all or bot: which performer this row credits"]
    question: Annotated[
        str, "csat, nps, ces or fcr; empty until answered, where not said when sent"
    ]
    scale: Annotated[int | None, "highest score of the scale"]
    score: Annotated[int | None, "score; null until answered"]
    sent_ms: Annotated[int | None, "sent at"]
    answered_ms: Annotated[int | None, "answered at"]
    interaction_ms: Annotated[int, "end of the interaction asked about, else its start"]


class Contact(NamedTuple):
    """One interaction, or one bot session of it, as part of its customer's history."""

    header: Header
    part: Annotated[str, "interaction or bot_session"]
    started_ms: Annotated[int, "first event"]
    ended_ms: Annotated[int | None, "ended at; null while open"]
    handled: Annotated[bool, "some performer handled it"]
    abandoned: Annotated[bool, "ended in a queue by the customer"]
    resolved: Annotated[bool | None, "said to be resolved; null when not said"]
    transferred: Annotated[bool, "passed on between humans or queues"]
    handed_off: Annotated[bool, "a bot handed it to a human"]
    left_bot: Annotated[bool, "the customer left the bot, neither resolved nor handed off"]
    next_same_intent_ms: Annotated[int | None, "end to next contact, same customer and intent"]
    next_same_queue_ms: Annotated[int | None, "end to next contact, same customer and queue"]
    next_any_ms: Annotated[int | None, "end to next contact of the same customer"]
    previous_same_intent_ms: Annotated[int | None, "previous end to start, same intent"]
    previous_same_queue_ms: Annotated[int | None, "previous end to start, same queue"]
    previous_any_ms: Annotated[int | None, "previous end to start, same customer"]
    next_same_intent_kept_ms: Annotated[int | None, "to next contact not abandoned, same intent"]
    next_same_queue_kept_ms: Annotated[int | None, "to next contact not abandoned, same queue"]
    next_any_kept_ms: Annotated[int | None, "to next contact not abandoned"]
    next_same_intent_outbound_ms: Annotated[int | None, "to next outbound contact, same intent"]
    next_same_queue_outbound_ms: Annotated[int | None, "to next outbound contact, same queue"]
    next_any_outbound_ms: Annotated[int | None, "to next outbound contact"]
    handled_by: Annotated[str, "none, bot, human or both"]
    bot_outcome: Annotated[str, "of a bot session: how it ended; empty while open"]
    turns: Annotated[int, "of a bot session: turns of the customer"]
    callback_ms: Annotated[int | None, "left a queue to be called back at"]
    called_back_ms: Annotated[int | None, "a human served the customer again at"]
    journey_id: Annotated[str, "first contact of the journey it belongs to"]
    matter: Annotated[str, "case that it names; empty where it names none"]
    next_same_case_ms: Annotated[int | None, "end to next contact of the customer on the same case"]
    next_same_case_kept_ms: Annotated[int | None, "to next contact not abandoned, same case"]
    next_same_case_outbound_ms: Annotated[int | None, "to next outbound contact, same case"]
    previous_same_case_ms: Annotated[int | None, "previous end to start, same case"]


class Journey(NamedTuple):
    """Contacts of one customer on one matter, or on one intent while no gap is over a week."""

    header: Header
    started_ms: Annotated[int, "first touch"]
    ended_ms: Annotated[int | None, "end of the last contact; null while one is open"]
    resolved: Annotated[bool | None, "what the last contact said"]
    resolved_ms: Annotated[int | None, "end of the last contact, if it said resolved"]
    entered_bot: Annotated[bool, "some bot served"]
    entered_queue: Annotated[bool, "some queue was entered"]
    given_up_in: Annotated[str, "bot or queue that the last contact was given up in; else empty"]
    interactions: Annotated[int, "contacts of the journey"]
    channel_switches: Annotated[int, "changes of channel from one contact to the next"]
    transfers: Annotated[int, "transfers between humans or queues"]
    handoffs_without_context: Annotated[int, "handoffs where context was not passed on"]
    reauthentications: Annotated[int, "authentications beyond the first"]
    info_repeats: Annotated[int, "times the customer had to repeat information"]
    wait_ms: Annotated[int, "waits in all queues"]
    matter: Annotated[str, "case that its contacts name; empty where none does"]
    channels: Annotated[int, "different channels used"]
    reopens: Annotated[int, "contacts that followed one that said resolved"]
    handled_by: Annotated[str, "none, bot, human or both"]
    bot_sessions: Annotated[int, "bot sessions"]
    handoffs: Annotated[int, "of the bot sessions, those that asked for a human"]
    first_performer_kind: Annotated[str, "human, bot or hybrid: who served the first contact last"]
    first_performer_id: Annotated[str, "performer who served the first contact last"]
    first_model_version: Annotated[str, "version of the model, where that is a bot"]
    first_team: Annotated[str, "team of the performer who served the first contact last"]


class PerformerStateInterval(NamedTuple):
    """One interval of one performer in one state, in one queue where states are kept by queue."""

    header: Header
    state: Annotated[str, "available, busy, wrap, away or offline"]
    reason: Annotated[str, "reason given"]
    entered_ms: Annotated[int, "state began at"]
    left_ms: Annotated[int | None, "state ended at; null while it lasts"]


class PerformerTime(NamedTuple):
    """One stretch of one performer's time in which nothing changes; stretches never overlap.

    Told while the performer is logged in, scheduled or at work on a contact.
    """

    header: Header
    entered_ms: Annotated[int, "began at"]
    left_ms: Annotated[int | None, "something changed at; null while nothing has"]
    state: Annotated[str, "available, busy, wrap, away or offline; empty where none was told"]
    reason: Annotated[str, "reason given for the state"]
    logged_in: Annotated[bool, "a state other than offline was told"]
    contacts: Annotated[int, "contacts being served at the same time"]
    handling: Annotated[bool, "serves a contact or wraps one up, whatever the state says"]
    activity: Annotated[str, "what the schedule says; empty where nothing is scheduled"]
    tracked: Annotated[bool, "the schedule asks for a state, so adherence is told"]
    in_adherence: Annotated[bool, "the state is one that the scheduled activity asks for"]
    paid: Annotated[bool, "logged in, or scheduled other than for unpaid leave"]


class Session(NamedTuple):
    """One stint of one live performer on one contact, and its part of the performer's time."""

    header: Header
    accepted_ms: Annotated[int, "began to serve at"]
    closed_ms: Annotated[int | None, "work complete, wrap-up included; null while open"]
    session_ms: Annotated[int | None, "from beginning to completion; null while open"]
    pro_rata_ms: Annotated[int | None, "part of it, each instant shared by the contacts then open"]


class Evaluation(NamedTuple):
    """One quality evaluation of one performer's part in one interaction."""

    header: Header
    evaluation_id: Annotated[str, "evaluation"]
    form: Annotated[str, "form it was made with"]
    form_version: Annotated[str, "version of the form"]
    evaluator_kind: Annotated[str, "human or ai"]
    evaluator_id: Annotated[str, "who or what evaluated"]
    sample_type: Annotated[
        str, "random, targeted, risk, calibration or census; empty when not said"
    ]
    customer_errors: Annotated[int | None, "customer-critical errors; null when not looked at"]
    business_errors: Annotated[int | None, "business-critical errors; null when not looked at"]
    compliance_errors: Annotated[int | None, "compliance-critical errors; null when not looked at"]
    non_critical_millionths: Annotated[int | None, "non-critical score, 0 to 100, in millionths"]
    attributes: Annotated[int | None, "attributes compared with the reference"]
    agreed_attributes: Annotated[int | None, "attributes that agree with the reference"]
    verdict: Annotated[str, "pass or fail; empty when not said"]
    reference_verdict: Annotated[str, "the reference's pass or fail; empty when there is none"]
    evaluated_ms: Annotated[int, "first told at"]
    told_ms: Annotated[int, "last told at"]
    interaction_ms: Annotated[int, "end of the interaction judged, else its start"]


class AiDecision(NamedTuple):
    """One decision of an AI performer, with what judges and reviewers found of it."""

    header: Header
    decision_id: Annotated[str, "decision"]
    action: Annotated[str, "what was decided: suggest, answer, verdict, route ..."]
    confidence_millionths: Annotated[int | None, "confidence, 0 to 1, in millionths"]
    claims: Annotated[int | None, "factual claims of the answer; null until judged"]
    supported_claims: Annotated[int | None, "claims that its sources support; null until judged"]
    acted_on: Annotated[bool, "a human used, changed or rejected it"]
    human_verdict: Annotated[str, "unchanged, changed or rejected; empty when not said"]
    verdict: Annotated[str, "the AI's pass or fail; empty when it gave none"]
    reference_verdict: Annotated[str, "the human's pass or fail on the same; empty without one"]
    scanned: Annotated[bool, "looked through for personal data"]
    pii_leaked: Annotated[bool, "personal data was found that should not be there"]
    opens_session: Annotated[bool, "first decision of this performer in this interaction"]
    disclosed: Annotated[bool, "the customer was told in this session that it is an AI"]
    decided_ms: Annotated[int, "first told at"]
    told_ms: Annotated[int, "last told at"]


class Case(NamedTuple):
    """One case, credited to whoever resolved it last."""

    header: Header
    case_id: Annotated[str, "case"]
    opened_ms: Annotated[int, "opened at, else first told of"]
    first_resolved_ms: Annotated[int | None, "first resolved at; null before"]
    resolved_ms: Annotated[int | None, "resolved at; null while open"]
    resolutions: Annotated[int, "times it was resolved"]
    reopens: Annotated[int, "times it was opened again after a resolution"]
    contacts: Annotated[int, "interactions that name it; 0 when none does"]
    told_ms: Annotated[int, "last told at"]


class PlanItem(NamedTuple):
    """One thing planned or agreed for a time: a forecast, a shift, a rate, an employment ..."""

    header: Header
    plan_id: Annotated[str, "the item's own id"]
    plan: Annotated[str, "forecast, required, schedule, rate, employment, absence ..."]
    activity: Annotated[str, "what it is about, by its plan: a rate's work, why somebody left"]
    plan_version: Annotated[str, "version of the plan that it belongs to"]
    owner: Annotated[str, "who answers for it"]
    subject: Annotated[str, "performer and KCR task it is about; empty without a performer"]
    starts_ms: Annotated[int, "holds from"]
    ends_ms: Annotated[int | None, "holds until, itself excluded; null while no end is known"]
    told_ms: Annotated[int, "said last at"]
    value_micro: Annotated[int, "contacts, performers, units of cost ... in millionths"]


class Cost(NamedTuple):
    """One kind of work of one stint of one performer, at the rate in force when it began."""

    header: Header
    leg_id: Annotated[str, "leg served"]
    activity: Annotated[str, "what a rate is for: performer_minute, bot_session ..."]
    rate_id: Annotated[str, "plan item whose rate it is"]
    accepted_ms: Annotated[int, "began to serve at"]
    closed_ms: Annotated[int, "work complete, wrap-up included"]
    told_ms: Annotated[int, "work complete, and its rate told"]
    work: Annotated[int, "milliseconds where the rate is a minute's, else how many"]
    rate_micro: Annotated[int, "units of cost for one of what the rate is for, in millionths"]
    cost_micro: Annotated[int, "units of cost, in millionths"]


Fact = (
    QueueSegment | HandlingSegment | Interaction | MissedOffer | Survey | Contact | Journey
    | PerformerStateInterval | PerformerTime | Session | Evaluation | AiDecision | Case
    | PlanItem | Cost
)  # fmt: skip

FACT_KINDS: Final[dict[str, type[Fact]]] = {
    "queue_segment": QueueSegment,
    "handling_segment": HandlingSegment,
    "interaction": Interaction,
    "missed_offer": MissedOffer,
    "survey": Survey,
    "contact": Contact,
    "journey": Journey,
    "performer_state": PerformerStateInterval,
    "performer_time": PerformerTime,
    "session": Session,
    "evaluation": Evaluation,
    "ai_decision": AiDecision,
    "case": Case,
    "plan": PlanItem,
    "cost": Cost,
}


class Column(NamedTuple):
    """One column of a fact kind, as the catalogue, SQL and docs see it."""

    name: str
    type: type
    nullable: bool
    comment: str


def _own_columns(cls: type) -> tuple[Column, ...]:
    found = []
    for name, hint in get_type_hints(cls, include_extras=True).items():
        if get_origin(hint) is not Annotated:
            continue
        type_, comment = get_args(hint)
        members = [member for member in get_args(type_) if member is not type(None)]
        nullable = bool(members) and len(members) != len(get_args(type_))
        found.append(Column(name, members[0] if members else type_, nullable, comment))
    return tuple(found)


HEADER_COLUMNS: Final = _own_columns(Header)


def columns(kind: str) -> tuple[Column, ...]:
    """All columns of a fact kind: the header's, then its own, in field order.

    Raises ``KeyError`` for an unknown kind.
    """
    return HEADER_COLUMNS + _own_columns(FACT_KINDS[kind])


def values(fact: Fact) -> tuple[object, ...]:
    """Values of a fact in the order of :func:`columns`."""
    return (*fact.header, *fact[1:])
