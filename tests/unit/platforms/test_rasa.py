from __future__ import annotations

import json

import pytest

from schemas.platforms.base import BadPayload, Options, fallback_key
from schemas.platforms.rasa import key, parse

from .reading import read, shown

COMMON = {
    "source": "rasa",
    "occurred_at": "2020-06-25T12:15:50.479818Z",
    "interaction_id": "u1",
    "channel": "web_chat",
    "performer_kind": "bot",
    "performer_id": "rasa",
}


def message(event, **changes):
    return {"sender_id": "u1", "event": event, "timestamp": 1593087350.4798179, **changes}


def said(intent="greet", confidence=0.9, **changes):
    parse_data = {"intent": {"name": intent, "confidence": confidence}, "entities": []}
    return message("user", **{"text": "a secret", "parse_data": parse_data, **changes})


def parsed(native, **options):
    return parse(json.dumps(native).encode(), Options(**options))


def only(native, **options):
    (event,) = parsed(native, **options).events
    return shown(event)


@pytest.mark.parametrize(
    ("native", "told"),
    [
        (message("session_started"), {"kind": "bot_started"}),
        (message("bot", text="a secret"), {"kind": "bot_turn", "user_turn": False}),
        (
            said(),
            {
                "kind": "bot_turn",
                "user_turn": True,
                "intent": "greet",
                "confidence": 0.9,
                "no_match": False,
            },
        ),
        (
            said(intent="nlu_fallback", confidence=0.3),
            {
                "kind": "bot_turn",
                "user_turn": True,
                "intent": "nlu_fallback",
                "confidence": 0.3,
                "no_match": True,
            },
        ),
        (
            said(intent="affirm", confidence=1.0000001192092896, text='/affirm{"a":1}'),
            {
                "kind": "bot_turn",
                "user_turn": True,
                "intent": "affirm",
                "confidence": 1.0,
                "no_match": False,
            },
        ),
        (message("user", text="hi"), {"kind": "bot_turn", "user_turn": True}),
        (
            message("user", parse_data=None),
            {
                "kind": "bot_turn",
                "user_turn": True,
            },
        ),
        (message("action", name="action_human_handoff"), {"kind": "handoff"}),
        (message("action", name="human_handoff"), {"kind": "handoff"}),
        (message("pause"), {"kind": "bot_ended", "outcome": "handoff"}),
        (
            message("flow_started", flow_id="transfer_money"),
            {"kind": "bot_turn", "user_turn": False, "flow": "transfer_money"},
        ),
        (
            message("flow_resumed", flow_id="transfer_money", step_id="ask_amount"),
            {"kind": "bot_turn", "user_turn": False, "flow": "transfer_money"},
        ),
    ],
)
def test_events(native, told):
    assert only(native) == {**COMMON, **told}


@pytest.mark.parametrize(
    ("native", "name"),
    [
        (message("action", name="action_listen"), "action"),
        (message("action", name="utter_greet"), "action"),
        (message("slot", name="email", value="a secret"), "slot"),
        (message("user_featurization"), "user_featurization"),
        (message("restart"), "restart"),
        (message("resume"), "resume"),
        ({"event": "reminder"}, "reminder"),
        (message("flow_started", flow_id="pattern_correction"), "flow_started:pattern"),
        (message("flow_completed", flow_id="transfer_money"), "flow_completed"),
        (message("my own secret"), "other"),
    ],
)
def test_the_rest_is_ignored_by_name(native, name):
    assert parsed(native) == ((), (name,), None)


def test_a_handoff_is_told_of_the_flow_that_went_on_last():
    flows = ("welcome", "transfer_money", "pattern_human_handoff")
    told = [message("session_started", timestamp=1.6e9), said(timestamp=1.6e9 + 1)]
    for place, flow in enumerate(flows):
        told.append(message("flow_started", flow_id=flow, timestamp=1.6e9 + 2 + place))
    told.append(message("action", name="action_human_handoff", timestamp=1.6e9 + 9))
    (session,) = read("rasa", json.dumps(told).encode()).facts("handling_segment")
    assert (session.header.flow, session.bot_outcome) == ("transfer_money", "handoff")
    assert session.turns == 1


def test_handoff_actions_are_an_option():
    own = message("action", name="ask_a_colleague")
    assert only(own, handoff_actions=("ask_a_colleague",)) == {**COMMON, "kind": "handoff"}
    default = message("action", name="action_human_handoff")
    assert parsed(default, handoff_actions=("ask_a_colleague",)).ignored == ("action",)


def test_the_performer_is_the_assistant_and_its_model():
    event = only(message("bot", metadata={"assistant_id": "desk-bot", "model_id": "3f1c"}))
    assert (event["performer_id"], event["model_version"]) == ("desk-bot", "3f1c")


@pytest.mark.parametrize(
    ("input_channel", "channel"),
    [
        ("rest", "web_chat"),
        ("socketio", "web_chat"),
        ("cmdline", "web_chat"),
        ("rasa", "web_chat"),
        ("whatsapp", "whatsapp"),
        ("facebook", "facebook"),
        ("telegram", "other"),
    ],
)
def test_the_channel_and_the_customer_are_told_by_the_user(input_channel, channel):
    event = only(said(input_channel=input_channel))
    assert (event["channel"], event["customer"]) == (channel, f"rasa:u1:{input_channel}")


def test_the_sender_of_a_shell_is_nobody():
    assert "customer" not in only(said(sender_id="default", input_channel="cmdline"))


@pytest.mark.parametrize(
    ("stamp", "time"),
    [
        (1593087350, "2020-06-25T12:15:50Z"),
        (1593087350.5, "2020-06-25T12:15:50.500000Z"),
        (1592999202.4963634, "2020-06-24T11:46:42.496363Z"),
        (0.001, "1970-01-01T00:00:00.001000Z"),
    ],
)
def test_times_are_exact_to_the_microsecond(stamp, time):
    assert only(message("bot", timestamp=stamp))["occurred_at"] == time


def test_the_id_is_made_of_sender_time_event_and_name():
    def ids(*natives):
        return {parsed(native).events[0].event_id for native in natives}

    assert len(ids(message("bot"), message("bot", text="again"))) == 1
    distinct = (
        message("bot"),
        message("session_started"),
        message("bot", sender_id="u2"),
        message("bot", timestamp=1593087350.479818),
        message("action", name="action_handoff"),
        message("action", name="human_handoff"),
    )
    assert len(ids(*distinct)) == 6


def test_text_and_slots_never_leave():
    for native in (
        said(input_channel="rest"),
        message("bot", text="a secret", data={"x": "a secret"}),
    ):
        assert "secret" not in str(only(native))


@pytest.mark.parametrize(
    ("native", "detail"),
    [
        ({}, "event: expected the name of an event"),
        (message(5), "event: expected the name of an event"),
        (message("bot", sender_id=None), "sender_id: expected text"),
        (message("bot", sender_id=""), "sender_id: expected text"),
        (message("bot", timestamp=None), "timestamp: expected epoch seconds"),
        (message("bot", timestamp="now"), "timestamp: expected epoch seconds"),
        (message("bot", timestamp=True), "timestamp: expected epoch seconds"),
        (message("bot", timestamp=1e300), "timestamp: expected an epoch in seconds"),
        (message("bot", metadata=[]), "metadata: expected an object"),
        (message("bot", sender_id="x" * 600), "interaction_id: String should have at most 512"),
        (said(parse_data="x"), "parse_data: expected an object"),
        (said(confidence="x"), "parse_data.intent.confidence: expected a number"),
        (said(confidence=3), "confidence: Input should be less than or equal to 1"),
        (said(intent=5), "intent: Input should be a valid string"),
        (said(input_channel=5), "input_channel: expected text"),
        ([message("bot"), 5], "expected a JSON object"),
        (message("flow_started"), "flow_id: expected text"),
        (message("flow_resumed", flow_id=5), "flow_id: expected text"),
        (message("flow_started", flow_id="x" * 257), "flow: String should have at most 256"),
    ],
)
def test_what_rasa_never_publishes_is_refused(native, detail):
    with pytest.raises(BadPayload) as refusal:
        parsed(native)
    assert refusal.value.reason == "invalid_event"
    assert refusal.value.detail.startswith(detail)


def test_a_tracker_is_its_events():
    events = [message("session_started"), said(), message("slot", name="x")]
    for event in events:
        del event["sender_id"]
    tracker = {"sender_id": "u9", "slots": {}, "events": events}
    whole = parsed(tracker)
    assert [event.kind for event in whole.events] == ["bot_started", "bot_turn"]
    assert {event.interaction_id for event in whole.events} == {"u9"}
    assert whole.ignored == ("slot",)
    payload = json.dumps(tracker).encode()
    assert key(payload) == b"u9"
    outcome = read("rasa", payload)
    assert (outcome.records, outcome.keys) == (3, {b"u9"})
    assert outcome.events == list(whole.events)


def test_a_row_of_a_table_is_its_event():
    event = said(input_channel="rest")
    expected = parsed(event).events
    del event["sender_id"]
    row = {"id": 7, "sender_id": "u1", "type_name": "user", "data": json.dumps(event)}
    assert parsed(row).events == expected
    assert key(json.dumps(row).encode()) == b"u1"
    with pytest.raises(BadPayload, match="bad_json"):
        parsed(row | {"data": "{"})


def sessions(*events):
    """Turns and outcome of each bot session of a conversation, a minute after its last event."""
    natives = [{**native, "timestamp": 1593087350 + second} for second, native in events]
    outcome = read("rasa", json.dumps(natives).encode())
    assert outcome.refused == []
    found = outcome.facts("handling_segment")
    return [(fact.turns, fact.bot_outcome, fact.handoff_ms) for fact in found]


ASKED_MS = 1593087360000  # 10 s in


@pytest.mark.parametrize(
    "ends",
    [
        [(10, message("action", name="action_human_handoff"))],
        [(10, message("pause"))],
        # An action of Rasa stands before what it says and what it does.
        [
            (10, message("action", name="action_human_handoff")),
            (10.1, message("bot")),
            (10.2, message("pause")),
        ],
    ],
)
def test_a_handoff_is_one_end_of_one_session(ends):
    told = sessions((0, message("session_started")), (1, said()), (2, message("bot")), *ends)
    assert told == [(1, "handoff", ASKED_MS)]


def test_a_bot_that_goes_on_after_a_handoff_begins_another_session():
    told = sessions((0, said()), (10, message("action", name="action_human_handoff")), (60, said()))
    assert told == [(1, "handoff", ASKED_MS), (1, "", None)]


def test_a_tracker_without_events_is_ignored():
    tracker = b'{"sender_id": "u9", "events": []}'
    assert parse(tracker, Options()) == ((), ("tracker",), None)
    assert read("rasa", tracker).ignored == {"tracker": 1}


def test_keys():
    assert key(json.dumps(message("bot")).encode()) == b"u1"
    for payload in (b"", b"{", b"[]", b"\xff", b'{"sender_id": 5}', b'{"sender_id": ""}'):
        assert key(payload) == fallback_key(payload)


@pytest.mark.samples
def test_real_broker_events(samples):
    outcome = read("rasa", samples / "rasa" / "broker-events.jsonl")
    assert outcome.records == 68
    assert len(outcome.keys) == 11
    assert outcome.kinds == {"bot_started": 7, "bot_turn": 27}
    assert sum(event.user_turn for event in outcome.events if event.kind == "bot_turn") == 15
    assert outcome.ignored == {"action": 33, "restart": 1}
    assert outcome.refused == []
    assert len({event.event_id for event in outcome.events}) == 34


@pytest.mark.samples
def test_a_real_tracker(samples):
    outcome = read("rasa", samples / "rasa" / "tracker-moodbot.json")
    assert (outcome.records, outcome.refused) == (7, [])
    assert outcome.ignored == {"action": 5}
    assert [event.intent for event in outcome.events] == ["greet", "mood_great"]
