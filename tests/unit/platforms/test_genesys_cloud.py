from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from schemas.platforms.base import BadPayload, Options, fallback_key
from schemas.platforms.genesys_cloud import key, parse

from .reading import read, shown

START_MS = 1_714_564_800_000  # 2024-05-01T12:00:00Z
COMMON = {"source": "genesys_cloud", "interaction_id": "v1", "channel": "voice"}
QUEUED = {**COMMON, "queue": "q1"}
SERVED = {**QUEUED, "performer_kind": "human", "performer_id": "u1"}


def body(second=0.0, session="s1", **changes):
    return {
        "eventTime": START_MS + round(second * 1000),
        "conversationId": "v1",
        "participantId": f"p-{session}",
        "sessionId": session,
        "mediaType": "VOICE",
        "direction": "INBOUND",
        **changes,
    }


def notified(name, *args, **changes):
    """A detail event as the notification channel sends it."""
    topic = f"v2.detail.events.conversation.v1.{name}"
    return {"topicName": topic, "version": "2", "eventBody": body(*args, **changes)}


def enveloped(native):
    return {
        "id": "e-1",
        "detail-type": "v2.detail.events.conversation.{id}.customer.start",
        "source": "aws.partner/genesys.com/cloud/o/bus",
        "time": "2024-06-14T16:12:11Z",
        "detail": native | {"timestamp": "2024-05-01T12:00:00.400Z"},
    }


def parsed(native):
    return parse(json.dumps(native).encode(), Options())


def told(native):
    return [shown(event) for event in parsed(native).events]


def at(second):
    return f"2024-05-01T12:00:{second}Z"


@pytest.mark.parametrize(
    ("native", "events"),
    [
        (
            notified("customer.start", ani="tel:+15550100", dnis="tel:+15550199"),
            [{**COMMON, "kind": "started", "customer": "+15550100", "occurred_at": at("00")}],
        ),
        (
            notified("customer.start", externalContactId="x-7", ani="tel:+15550100"),
            [{**COMMON, "kind": "started", "customer": "x-7", "occurred_at": at("00")}],
        ),
        (
            notified("flow.start", 1, flowType="INBOUNDCALL", flowId="f1", flowVersion="3.0"),
            [
                {
                    **COMMON,
                    "kind": "bot_started",
                    "performer_kind": "bot",
                    "performer_id": "f1",
                    "flow": "f1",
                    "model_version": "3.0",
                    "occurred_at": at("01"),
                }
            ],
        ),
        (
            notified("acd.start", 10.25, queueId="q1"),
            [{**QUEUED, "kind": "queued", "occurred_at": at("10.250000")}],
        ),
        (
            notified(
                "acd.end",
                30,
                queueId="q1",
                acdOutcome="ANSWERED",
                answeredUserId="u1",
                connectedDurationMs=19_750,
            ),
            [
                {
                    **SERVED,
                    "kind": "accepted",
                    "via": "queue",
                    "wait_ms": 19_750,
                    "occurred_at": at("30"),
                }
            ],
        ),
        (
            notified("acd.end", 30, queueId="q1", acdOutcome="ABANDON"),
            [{**QUEUED, "kind": "abandoned", "occurred_at": at("30")}],
        ),
        (
            notified("acd.end", 30, queueId="q1", acdOutcome="FLOW_OUT"),
            [{**QUEUED, "kind": "left_queue", "occurred_at": at("30")}],
        ),
        (
            notified("user.start", 21, queueId="q1", userId="u1"),
            [{**SERVED, "kind": "ringing", "occurred_at": at("21")}],
        ),
        (
            notified("user.end", 40, queueId="q1", userId="u1", alertingDurationMs=9000),
            [{**SERVED, "kind": "declined", "occurred_at": at("40")}],
        ),
        (
            notified(
                "user.end",
                50,
                queueId="q1",
                userId="u1",
                interactingDurationMs=15_000,
                heldDurationMs=5000,
                disconnectType="CONSULT_TRANSFER",
            ),
            [
                {**SERVED, "kind": "transfer", "transfer_kind": "warm", "occurred_at": at("50")},
                {**SERVED, "kind": "left", "occurred_at": at("50")},
                {
                    **SERVED,
                    "kind": "record",
                    "talk_ms": 15_000,
                    "hold_ms": 5000,
                    "occurred_at": at("50"),
                },
            ],
        ),
        (
            notified("acw", 59, queueId="q1", userId="u1", wrapupDurationMs=8000),
            [{**SERVED, "kind": "wrapup_ended", "wrap_ms": 8000, "occurred_at": at("59")}],
        ),
        (
            notified("customer.end", 51, disconnectType="CLIENT"),
            [{**COMMON, "kind": "completed", "ended_by": "customer", "occurred_at": at("51")}],
        ),
        (
            notified("customer.end", 51, disconnectType="PEER"),
            [{**COMMON, "kind": "completed", "occurred_at": at("51")}],
        ),
    ],
)
def test_detail_events_in_their_envelope_and_without(native, events):
    assert told(native) == events
    assert told(enveloped(native)) == events
    assert parsed(native).events == parsed(enveloped(native)).events
    for form in (native, enveloped(native)):
        assert key(json.dumps(form).encode()) == b"v1"


@pytest.mark.parametrize(
    ("reason", "transfer", "outcome"),
    [
        ("TRANSFER", "ACD", "handoff"),
        ("TRANSFER", "USER", "handoff"),
        ("TRANSFER", "FLOW", None),
        ("DISCONNECT", None, "left"),
        ("FLOW_DISCONNECT", None, None),
        ("SESSION_EXPIRE_DISCONNECT", None, "timed_out"),
    ],
)
def test_how_a_flow_ended(reason, transfer, outcome):
    native = notified("flow.end", flowType="BOT", exitReason=reason, transferType=transfer)
    (event,) = told(native)
    assert (event["kind"], event.get("outcome")) == ("bot_ended", outcome)


@pytest.mark.parametrize(
    ("native", "name"),
    [
        (notified("flow.start", flowType="INQUEUECALL"), "flow.start:INQUEUECALL"),
        (notified("flow.end", flowType="SURVEYINVITE"), "flow.end:SURVEYINVITE"),
        (notified("attributes"), "attributes"),
        (notified("outbound"), "outbound"),
        (notified("voicemail.start"), "voicemail.start"),
        (notified("acd.end", acdOutcome="UNKNOWN"), "acd.end"),
        (notified("user.end", disconnectType="PEER", alertingDurationMs=5000), "user.end"),
        ({"topicName": "v2.users.u1.presence", "eventBody": {"a": 1}}, "v2.users.u1.presence"),
        ({"topicName": "channel.metadata", "eventBody": {}}, "channel.metadata"),
        ({"conversations": [], "totalHits": 0}, "no_conversation"),
    ],
)
def test_what_tells_no_lifecycle_is_ignored_by_name(native, name):
    assert parsed(native) == ((), (name,), None)


@pytest.mark.parametrize(
    ("media", "message", "channel"),
    [
        ("CHAT", None, "web_chat"),
        ("EMAIL", None, "email"),
        ("CALLBACK", None, "voice"),
        ("MESSAGE", "WHATSAPP", "whatsapp"),
        ("message", "webmessaging", "web_chat"),
        ("MESSAGE", "OPEN", "other"),
        ("VIDEO", None, "other"),
    ],
)
def test_channels(media, message, channel):
    (event,) = told(notified("customer.start", mediaType=media, messageType=message))
    assert event["channel"] == channel


LIVE = [
    notified("customer.start", 0, "sc", ani="tel:+15550100"),
    notified("flow.start", 0.1, "si", flowType="INBOUNDCALL", flowId="f1"),
    notified(
        "flow.end", 10, "si", flowType="INBOUNDCALL", flowId="f1", exitReason="TRANSFER",
        transferType="ACD",
    ),
    notified("acd.start", 10, "sq", queueId="q1"),
    notified("user.start", 15, "sa", queueId="q1", userId="u1"),
    notified(
        "acd.end", 30, "sq", queueId="q1", acdOutcome="ANSWERED", answeredUserId="u1",
        connectedDurationMs=20_000,
    ),
    notified(
        "user.end", 150, "sa", queueId="q1", userId="u1", interactingDurationMs=90_000,
        heldDurationMs=30_000, disconnectType="CLIENT",
    ),
    notified("customer.end", 150.1, "sc", disconnectType="PEER"),
    notified("acw", 160, "sa", queueId="q1", userId="u1", wrapupDurationMs=10_000),
]  # fmt: skip


def measured(outcome):
    """Performer, talk, hold and wrap of each handling segment of a human."""
    return [
        (fact.header.performer_id, fact.talk_ms, fact.hold_ms, fact.wrap_ms)
        for fact in outcome.facts("handling_segment")
        if fact.header.performer_kind == "human"
    ]


def stays(outcome):
    return [(s.header.queue, s.outcome, s.wait_ms) for s in outcome.facts("queue_segment")]


@pytest.mark.parametrize("order", [1, -1])
def test_a_call_live_in_any_order(order):
    outcome = read("genesys_cloud", json.dumps(LIVE[::order]).encode())
    assert (outcome.records, outcome.refused) == (9, [])
    assert stays(outcome) == [("q1", "answered", 20_000)]
    assert measured(outcome) == [("u1", 90_000, 30_000, 10_000)]
    bots = [s for s in outcome.facts("handling_segment") if s.header.performer_kind == "bot"]
    assert [(b.header.performer_id, b.bot_outcome) for b in bots] == [("f1", "handoff")]
    (whole,) = outcome.facts("interaction")
    assert (whole.handoffs, whole.wait_ms, whole.handled_by) == (1, 20_000, "both")


def time_of(second):
    moment = datetime.fromtimestamp(START_MS / 1000 + second, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def segment(kind, start, end, how=None, **changes):
    found = {"segmentType": kind, "segmentStart": time_of(start), "queueId": "q1", **changes}
    if end is not None:
        found["segmentEnd"] = time_of(end)
    if how:
        found["disconnectType"] = how
    return found


def participant(purpose, session, *segments, user=None, metrics=(), **changes):
    return {
        "participantId": f"p-{session}",
        "participantName": "a secret",
        "purpose": purpose,
        "userId": user,
        "sessions": [
            {
                "sessionId": session,
                "mediaType": "voice",
                "direction": "inbound",
                "segments": list(segments),
                "metrics": [{"name": name, "value": value} for name, value in metrics],
                **changes,
            }
        ],
    }


def conversation(*participants, end=150.1):
    return {
        "conversationId": "v1",
        "conversationStart": time_of(0),
        "conversationEnd": None if end is None else time_of(end),
        "originatingDirection": "inbound",
        "participants": list(participants),
    }


CALLER = participant("customer", "sc", segment("interact", 0, 150.1, "peer"), ani="tel:+15550100")
IVR = participant(
    "ivr", "si", segment("ivr", 0.1, 10, "transfer"),
    flow={
        "flowId": "f1", "flowType": "INBOUNDCALL", "exitReason": "TRANSFER", "transferType": "ACD",
    },
)  # fmt: skip
STAY = participant(
    "acd", "sq", segment("interact", 10, 30, "transfer"),
    metrics=[("nOffered", 1), ("tAcd", 20_000)],
)  # fmt: skip
AGENT = participant(
    "agent",
    "sa",
    segment("alert", 15, 30),
    segment("interact", 30, 60),
    segment("hold", 60, 90),
    segment("interact", 90, 150, "client"),
    segment("wrapup", 150, 160),
    user="u1",
    metrics=[
        ("tAlert", 15_000),
        ("tAnswered", 20_000),
        ("tTalk", 30_000),
        ("tTalk", 60_000),
        ("tTalkComplete", 90_000),
        ("tHeldComplete", 30_000),
        ("tAcw", 10_000),
        ("tHandle", 130_000),
    ],
)


def details(*natives):
    outcome = read("genesys_cloud", json.dumps(list(natives)).encode())
    assert outcome.refused == []
    return outcome


def test_flows_and_teams_go_by_their_ids():
    outcome = details(conversation(CALLER, IVR, STAY, {**AGENT, "teamId": "t1"}))
    told_of = {(e.performer_kind, e.flow, e.team) for e in outcome.events if e.performer_id}
    assert told_of == {("bot", "f1", None), ("human", None, "t1")}
    of_bot, of_human = (fact.header for fact in outcome.facts("handling_segment"))
    assert (of_bot.flow, of_bot.team, of_human.flow, of_human.team) == ("f1", "", "f1", "t1")


def test_the_details_of_a_conversation_are_its_whole_story():
    outcome = details(conversation(CALLER, IVR, STAY, AGENT))
    assert outcome.kinds == {
        "started": 1, "bot_started": 1, "bot_ended": 1, "queued": 1, "ringing": 1, "accepted": 1,
        "hold": 1, "resume": 1, "left": 1, "record": 1, "wrapup_started": 1, "wrapup_ended": 1,
        "completed": 1,
    }  # fmt: skip
    assert stays(outcome) == [("q1", "answered", 20_000)]
    # The vendor's tHandle: 90 + 30 + 10 s.
    assert measured(outcome) == [("u1", 90_000, 30_000, 10_000)]
    (whole,) = outcome.facts("interaction")
    # 90 s of the agent, and 9.9 s of the flow.
    assert (whole.ended_by, whole.talk_ms, whole.handoffs) == ("human", 99_900, 1)
    assert {event.record_version for event in outcome.events} == {START_MS + 160_000}
    assert {event.customer for event in outcome.events} == {"+15550100", None}
    assert "secret" not in str(outcome.events)


@pytest.mark.parametrize("order", [1, -1])
def test_details_replace_what_detail_events_said(order):
    natives = [*LIVE, conversation(CALLER, IVR, STAY, AGENT)][::order]
    outcome = read("genesys_cloud", json.dumps(natives).encode())
    assert stays(outcome) == [("q1", "answered", 20_000)]
    assert measured(outcome) == [("u1", 90_000, 30_000, 10_000)]
    assert len(outcome.facts("handling_segment")) == 2
    live = {event.event_id for event in read("genesys_cloud", json.dumps(LIVE).encode()).events}
    assert live < {event.event_id for event in outcome.events}


@pytest.mark.parametrize(
    ("metrics", "how", "outcome"),
    [
        ([("tAbandon", 40_000)], "peer", "abandoned"),
        ([], "peer", "abandoned"),
        ([], "transfer", "flow_out"),
        ([("tFlowOut", 40_000)], "peer", "flow_out"),
    ],
)
def test_a_stay_that_nobody_answered(metrics, how, outcome):
    stay = participant("acd", "sq", segment("interact", 10, 50, how), metrics=metrics)
    rang = participant("agent", "sa", segment("alert", 45, 50, "peer"), user="u1")
    caller = participant("customer", "sc", segment("interact", 0, 50, "endpoint"))
    told_of = details(conversation(caller, stay, rang, end=50))
    assert stays(told_of) == [("q1", outcome, 40_000)]
    assert "declined" not in told_of.kinds


def test_an_offer_that_was_let_ring():
    stay = participant(
        "acd", "sq", segment("interact", 10, 50, "transfer"), metrics=[("nOffered", 1)]
    )
    rang = participant("agent", "sr", segment("alert", 20, 30, "transfer"), user="u2")
    answered = participant(
        "agent",
        "sa",
        segment("alert", 31, 50),
        segment("interact", 50, 150, "client"),
        user="u1",
        metrics=[("tAnswered", 40_000), ("tTalkComplete", 100_000)],
    )
    outcome = details(conversation(CALLER, stay, rang, answered))
    (missed,) = outcome.facts("missed_offer")
    assert (missed.header.performer_id, missed.reason) == ("u2", "declined")
    assert measured(outcome) == [("u1", 100_000, 0, 0)]


def test_a_transfer_to_another_queue():
    first = participant(
        "agent",
        "sa",
        segment("interact", 30, 60, "transfer"),
        user="u1",
        metrics=[("tAnswered", 20_000), ("tTalkComplete", 30_000)],
    )
    second_stay = participant("acd", "sq2", segment("interact", 60, 70, "transfer", queueId="q2"))
    second = participant(
        "agent",
        "sb",
        segment("interact", 70, 150, "client", queueId="q2"),
        user="u2",
        metrics=[("tAnswered", 10_000), ("tTalkComplete", 80_000)],
    )
    outcome = details(conversation(CALLER, STAY, first, second_stay, second))
    assert stays(outcome) == [("q1", "answered", 20_000), ("q2", "answered", 10_000)]
    assert measured(outcome) == [("u1", 30_000, 0, 0), ("u2", 80_000, 0, 0)]
    (whole,) = outcome.facts("interaction")
    assert (whole.transfers, whole.blind_transfers, whole.stints) == (1, 1, 2)


def test_a_supervisor_who_listens_serves_nobody():
    listening = participant(
        "user", "sm", segment("monitoring", 40, 90, "client"), user="u9",
        monitoredParticipantId="p-sa",
    )  # fmt: skip
    outcome = details(conversation(CALLER, STAY, AGENT, listening))
    assert [performer for performer, *_ in measured(outcome)] == ["u1"]
    assert outcome.ignored == {"session:supervisor": 1}


def test_a_colleague_who_is_asked_is_a_consultation():
    asked = participant("user", "sb", segment("interact", 60, 80, "client"), user="u2",
                        metrics=[("tTalkComplete", 20_000)])  # fmt: skip
    outcome = details(conversation(CALLER, STAY, AGENT, asked))
    found = {s.header.performer_id: s.via for s in outcome.facts("handling_segment")}
    assert found == {"u1": "queue", "u2": "consult"}


def test_an_open_conversation_has_no_end_and_one_that_forgot_it_has():
    waiting = participant("acd", "sq", segment("interact", 10, None))
    caller = participant("customer", "sc", segment("interact", 0, None))
    outcome = details(conversation(caller, waiting, end=None))
    assert outcome.kinds == {"started": 1, "queued": 1}
    forgot = details(conversation(CALLER, STAY, AGENT, end=None))
    assert forgot.kinds["completed"] == 1
    assert [fact.ended_ms for fact in forgot.facts("interaction")] == [START_MS + 150_100]


def test_a_later_poll_replaces_an_earlier_one():
    early = conversation(
        participant("customer", "sc", segment("interact", 0, None)),
        participant("acd", "sq", segment("interact", 10, None)),
        end=None,
    )
    outcome = details(conversation(CALLER, STAY, AGENT), early)
    assert stays(outcome) == [("q1", "answered", 20_000)]
    assert measured(outcome) == [("u1", 90_000, 30_000, 10_000)]


def test_results_of_a_query_are_its_conversations():
    other = conversation(CALLER, STAY, AGENT) | {"conversationId": "v2"}
    result = {"conversations": [conversation(CALLER, STAY, AGENT), other], "totalHits": 2}
    outcome = read("genesys_cloud", json.dumps(result, indent=2).encode())
    assert (outcome.records, outcome.keys) == (2, {b"v1", b"v2"})
    whole = parsed(result)
    assert [event.event_id for event in whole.events] == [e.event_id for e in outcome.events]


@pytest.mark.parametrize(
    ("native", "detail"),
    [
        ({}, "expected a detail event or conversation details"),
        ([5], "expected a JSON object"),
        (notified("acd.start", conversationId=None), "eventBody.conversationId: expected text"),
        (notified("acd.start", eventTime="noon"), "eventBody.eventTime: expected an epoch"),
        (notified("acd.start", eventTime=10**30), "eventBody.eventTime: expected an epoch"),
        (notified("acd.end", acdOutcome="ANSWERED"), "answeredUserId: expected text"),
        (notified("acd.end", acdOutcome=5), "eventBody.acdOutcome: expected text"),
        (conversation(CALLER) | {"conversationStart": "x"}, "conversationStart: expected an ISO"),
        (conversation(CALLER) | {"participants": [5]}, "participants: expected an array of"),
    ],
)
def test_what_genesys_never_sends_is_refused(native, detail):
    with pytest.raises(BadPayload) as refusal:
        parsed(native)
    assert refusal.value.reason == "invalid_event"
    assert refusal.value.detail.startswith(detail)


def test_keys_of_what_tells_no_conversation():
    for payload in (b"", b"{", b"[]", b"{}", b"\xff", b'{"conversationId": 5}', b'{"detail": 5}'):
        assert key(payload) == fallback_key(payload)


@pytest.mark.samples
def test_real_details_agree_with_the_metrics_of_their_vendor(samples):
    outcome = read(
        "genesys_cloud", samples / "genesys-cloud" / "analytics-conversation-details-chat.json"
    )
    assert (outcome.records, outcome.refused) == (1, [])
    ((_, talk_ms, hold_ms, wrap_ms),) = measured(outcome)
    # tTalkComplete, tHeldComplete, and tHandle as their sum.
    assert (talk_ms, hold_ms, wrap_ms) == (374_561, 544_176, 0)
    assert talk_ms + hold_ms + wrap_ms == 918_737
    ((_, answered, wait_ms),) = stays(outcome)
    assert (answered, wait_ms) == ("answered", 11_179)  # tAnswered


@pytest.mark.samples
def test_real_detail_events(samples):
    folder = samples / "genesys-cloud"
    start = read("genesys_cloud", folder / "eventbridge-customer-start-event.json")
    end = read("genesys_cloud", folder / "eventbridge-customer-end-event.json")
    assert (start.kinds, end.kinds) == ({"started": 1}, {"completed": 1})
    began, ended = start.events[0].occurred_at, end.events[0].occurred_at
    # The body's eventTime, two months before the envelope of the end was stamped.
    assert (ended - began).total_seconds() == 60
    assert start.keys == end.keys
