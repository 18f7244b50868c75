"""The unified Interaction event: one tagged union for bots and live agents, on every channel.

An event is the value of one record on ``cx.interactions``, and one line of a file given to
``cxstream replay --platform interactions``. The ``kind`` selects the class. Unknown fields are
ignored, so that a newer producer can talk to an older worker; an unknown ``kind`` is not, so that
it can be kept and replayed when it is known.

Times are RFC 3339 with an offset. Durations are integers in milliseconds and mean "as measured by
the platform": they win over differences of times.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

SCHEMA_VERSION: Final = 1

Channel = Literal[
    "voice", "web_chat", "wechat", "whatsapp", "facebook", "instagram", "line", "email", "sms",
    "face_to_face", "field_service", "self_service", "task", "other",
]  # fmt: skip
Direction = Literal["inbound", "outbound", "internal"]
PerformerKind = Literal["human", "bot", "hybrid"]
CustomerKind = Literal["phone", "mail", "account", "user"]
Location = Literal["site", "home"]
Employment = Literal["employed", "gig"]
LeftQueueReason = Literal["timeout", "key", "empty", "overflow", "callback", "system"]
AcceptedVia = Literal["queue", "direct", "transfer", "consult", "conference"]
TransferKind = Literal["blind", "warm", "conference"]
BotOutcome = Literal["resolved", "handoff", "left", "timed_out"]
EndedBy = Literal["customer", "human", "bot", "system", "unknown"]
Question = Literal["csat", "nps", "ces", "fcr"]
PlanKind = Literal[
    "forecast", "required", "schedule", "rate", "employment", "absence", "verification", "training",
    "ethics_check", "enps",
]  # fmt: skip
PerformerStateName = Literal["available", "busy", "wrap", "away", "offline"]
EvaluatorKind = Literal["human", "ai"]
SampleType = Literal["random", "targeted", "risk", "calibration", "census"]
Verdict = Literal["pass", "fail"]
HumanVerdict = Literal["unchanged", "changed", "rejected"]

MAX_ID_CHARS: Final = 512
MAX_NAME_CHARS: Final = 256
MAX_DURATION_MS: Final = 400 * 86_400_000
"""A duration longer than 400 days is no contact: it is a broken clock."""

Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARS)]
OptionalId = Annotated[str, Field(max_length=MAX_ID_CHARS)]
Name = Annotated[str, Field(max_length=MAX_NAME_CHARS)]
DurationMs = Annotated[int, Field(ge=0, le=MAX_DURATION_MS)]
SmallCount = Annotated[int, Field(ge=0, le=1_000_000)]
TokenCount = Annotated[int, Field(ge=0, le=1_000_000_000)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Envelope(BaseModel):
    """What every event carries, whatever its kind."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    event_id: Id
    source: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]
    occurred_at: AwareDatetime
    interaction_id: Id
    channel: Channel

    ingested_at: AwareDatetime | None = None
    source_seq: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    record_version: Annotated[int, Field(ge=0, lt=2**63)] = 0
    leg_id: OptionalId | None = None
    previous_leg_id: OptionalId | None = None
    customer: OptionalId | None = None
    customer_kind: CustomerKind | None = None
    customer_key: OptionalId | None = None
    intent: Name | None = None
    direction: Direction = "inbound"
    queue: Name | None = None
    performer_kind: PerformerKind | None = None
    performer_id: Name | None = None
    model_version: Name | None = None
    kcr_task: Name | None = None
    capability: Name | None = None
    flow: Name | None = None
    client: Name | None = None
    vendor: Name | None = None
    site: Name | None = None
    location: Location | None = None
    employment: Employment | None = None
    team: Name | None = None
    language: Name | None = None
    due_at: AwareDatetime | None = None
    case_id: OptionalId | None = None


class _Measured(_Envelope):
    """Durations measured by the platform; each one given wins over a difference of times.

    ``reply_ms``: from the beginning of the contact to the first public reply of a human.
    """

    wait_ms: DurationMs | None = None
    talk_ms: DurationMs | None = None
    hold_ms: DurationMs | None = None
    wrap_ms: DurationMs | None = None
    reply_ms: DurationMs | None = None


class Started(_Envelope):
    """The contact began."""

    kind: Literal["started"]


class Queued(_Envelope):
    """The contact entered a queue."""

    kind: Literal["queued"]


class LeftQueue(_Envelope):
    """Left the queue unanswered without hanging up: a flow-out, never an abandon."""

    kind: Literal["left_queue"]
    reason: LeftQueueReason | None = None


class Ringing(_Envelope):
    """It was offered to a performer."""

    kind: Literal["ringing"]


class Declined(_Envelope):
    """An offer was not taken."""

    kind: Literal["declined"]


class Accepted(_Measured):
    """A performer took the contact."""

    kind: Literal["accepted"]
    via: AcceptedVia | None = None


class Hold(_Envelope):
    """The customer was put on hold."""

    kind: Literal["hold"]


class Resume(_Envelope):
    """The customer was taken back from hold."""

    kind: Literal["resume"]


class Consult(_Envelope):
    """A performer asked another one."""

    kind: Literal["consult"]
    to_performer_id: Name | None = None
    to_queue: Name | None = None


class Transfer(_Envelope):
    """A performer passed the contact on."""

    kind: Literal["transfer"]
    to_performer_id: Name | None = None
    to_queue: Name | None = None
    transfer_kind: TransferKind | None = None


class Left(_Envelope):
    """This performer leaves; the contact goes on."""

    kind: Literal["left"]


class WrapupStarted(_Envelope):
    """After-contact work began."""

    kind: Literal["wrapup_started"]


class WrapupEnded(_Measured):
    """After-contact work was complete."""

    kind: Literal["wrapup_ended"]


class Abandoned(_Envelope):
    """The customer hung up while waiting."""

    kind: Literal["abandoned"]


class Authenticated(_Envelope):
    """The customer was identified."""

    kind: Literal["authenticated"]


class InfoRepeated(_Envelope):
    """The customer had to say something again."""

    kind: Literal["info_repeated"]


class _OfBot(_Envelope):
    """A step of a bot: the tokens that its models read and wrote for it, of all calls together."""

    input_tokens: TokenCount | None = None
    output_tokens: TokenCount | None = None


class BotStarted(_Envelope):
    """A bot began to serve."""

    kind: Literal["bot_started"]


class BotTurn(_OfBot):
    """One turn with a bot."""

    kind: Literal["bot_turn"]
    user_turn: bool | None = None
    no_match: bool | None = None
    no_input: bool | None = None
    confidence: Share | None = None


class Handoff(_OfBot):
    """A bot asked for a human."""

    kind: Literal["handoff"]
    context_ok: bool | None = None


class BotEnded(_OfBot):
    """A bot session ended. Tokens that no step has told may stand here."""

    kind: Literal["bot_ended"]
    outcome: BotOutcome | None = None


class Completed(_Measured):
    """The contact ended, or the leg where others go on."""

    kind: Literal["completed"]
    ended_by: EndedBy = "unknown"
    resolved: bool | None = None


class SurveySent(_Envelope):
    """A survey went out."""

    kind: Literal["survey_sent"]
    survey_id: OptionalId | None = None
    question: Question | None = None


class SurveyAnswered(_Envelope):
    """One question of a survey was answered.

    ``fcr`` asks whether it was resolved at the first contact: ``scale`` 1, ``score`` 1 for yes.
    """

    kind: Literal["survey_answered"]
    survey_id: OptionalId | None = None
    question: Question
    scale: Annotated[int, Field(ge=1, le=100)]
    score: Annotated[int, Field(ge=-100, le=100)]


class Record(_Measured):
    """A later whole record of one leg."""

    kind: Literal["record"]


class PerformerState(_Envelope):
    """A performer changed state, in one queue where ``queue`` is given, else in all of them.

    ``logs_in`` is false for what is said of a performer whether logged in or not, as a pause and
    its end: whoever is offline stays so. ``session_ms`` may stand on ``offline``: how long the
    performer had been logged in, which counts where no beginning was told.
    """

    kind: Literal["performer_state"]
    state: PerformerStateName
    reason: Name | None = None
    logs_in: bool | None = None
    session_ms: DurationMs | None = None


class Tick(_Envelope):
    """The clock of a log went on; written by the pipeline alone."""

    kind: Literal["tick"]


class Evaluation(_Envelope):
    """A quality evaluation of the performer in ``performer_id``, else of the last one.

    Error counts are critical errors; a class that the form does not look at is left out. Several
    events may tell of one ``evaluation_id``: each field holds as it was told last.
    ``reference_verdict`` and ``agreed_attributes`` are about the reference of a calibration.
    """

    kind: Literal["evaluation"]
    evaluation_id: OptionalId | None = None
    form: Name | None = None
    form_version: Name | None = None
    evaluator_kind: EvaluatorKind | None = None
    evaluator_id: Name | None = None
    sample_type: SampleType | None = None
    customer_errors: SmallCount | None = None
    business_errors: SmallCount | None = None
    compliance_errors: SmallCount | None = None
    non_critical_score: Annotated[float, Field(ge=0, le=100)] | None = None
    attributes: SmallCount | None = None
    agreed_attributes: SmallCount | None = None
    verdict: Verdict | None = None
    reference_verdict: Verdict | None = None


class AiDecision(_Envelope):
    """A decision of an AI performer, and later what judges and reviewers found of it.

    Several events may tell of one ``decision_id``: each field holds as it was told last, and the
    decision was made at the first. ``action`` is free, for example suggest, answer, verdict, route.
    ``verdict`` is the AI's own and ``reference_verdict`` the human's on the same thing;
    ``human_verdict`` is what a human made of the output.
    """

    kind: Literal["ai_decision"]
    decision_id: OptionalId | None = None
    action: Name | None = None
    confidence: Share | None = None
    claims: SmallCount | None = None
    supported_claims: SmallCount | None = None
    acted_on: bool | None = None
    human_verdict: HumanVerdict | None = None
    verdict: Verdict | None = None
    reference_verdict: Verdict | None = None
    scanned: bool | None = None
    pii_leaked: bool | None = None
    disclosed: bool | None = None


class IdentityLinked(_Envelope):
    """An identifier of a customer belongs to an account, or two accounts are one customer's.

    The identifier is ``customer``, else the customer of the interaction; with ``customer_kind``
    account it is an account itself. ``account`` (raw; intake turns it into ``account_key``) is the
    account. Of each pair the latest telling holds; ``linked`` false says that they do not belong
    together.
    """

    kind: Literal["identity_linked"]
    account: OptionalId | None = None
    account_key: OptionalId | None = None
    linked: bool | None = None


class CaseOpened(_Envelope):
    """A case was opened.

    The case is ``case_id``, else ``interaction_id``. Every interaction whose events name a
    ``case_id`` is a contact of that case.
    """

    kind: Literal["case_opened"]


class CaseResolved(_Envelope):
    """A case was resolved."""

    kind: Literal["case_resolved"]


class CaseReopened(_Envelope):
    """A case was opened again."""

    kind: Literal["case_reopened"]


class Plan(_Envelope):
    """Something planned or agreed, by its own id in ``interaction_id``: a newer one replaces it.

    ``value`` is what ``plan`` says: contacts forecast in the interval, performers required in it,
    a rate in units of cost, 1 for a verification that holds. Without ``value`` it is withdrawn.
    ``enps`` is an answer of 0 to 10 to the question whether one would recommend working here, from
    when who answers joined to when it was answered: an anonymous answer has no ``performer_id``.
    What is about one performer names it in ``performer_id``, and in ``owner`` who answers for it.
    What is about no channel has the channel ``other``.
    """

    kind: Literal["plan"]
    plan: PlanKind | None = None
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None
    value: Annotated[float, Field(ge=0, le=1e12)] | None = None
    activity: Name | None = None
    plan_version: Name | None = None
    owner: Name | None = None


InteractionEvent = (
    Started | Queued | LeftQueue | Ringing | Declined | Accepted | Hold | Resume | Consult
    | Transfer | Left | WrapupStarted | WrapupEnded | Abandoned | Authenticated | InfoRepeated
    | BotStarted | BotTurn | Handoff | BotEnded | Completed | SurveySent | SurveyAnswered | Record
    | PerformerState | Tick | Evaluation | AiDecision | IdentityLinked | CaseOpened | CaseResolved
    | CaseReopened | Plan
)  # fmt: skip

EVENT_ADAPTER: TypeAdapter[InteractionEvent] = TypeAdapter(
    Annotated[InteractionEvent, Field(discriminator="kind")]
)
"""Validates and dumps any unified event; the authority of the schema."""

EVENT_CLASSES: Final[dict[str, type[_Envelope]]] = {
    get_args(cls.model_fields["kind"].annotation)[0]: cls for cls in get_args(InteractionEvent)
}
KINDS: Final = frozenset(EVENT_CLASSES)


def event_json_schema() -> dict[str, Any]:
    """JSON Schema of the unified event, as generated from the classes of this module."""
    return EVENT_ADAPTER.json_schema()
