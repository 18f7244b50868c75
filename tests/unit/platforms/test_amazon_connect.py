from __future__ import annotations

import base64
import json

import pytest

from pipeline.folds.event import reduce
from pipeline.folds.interaction import fold
from schemas.platforms.amazon_connect import key, parse
from schemas.platforms.base import BadPayload, Options, epoch_ms, fallback_key

from .reading import read, shown

ARN = "arn:aws:connect:eu-central-1:1:instance/i-1"
COMMON = {
    "source": "amazon_connect",
    "interaction_id": "c1",
    "leg_id": "c1",
    "channel": "voice",
}
SERVED = {
    **COMMON,
    "queue": f"{ARN}/queue/q-1",
    "performer_kind": "human",
    "performer_id": "a-1",
}
IN_QUEUE = {
    "queueInfo": {
        "queueArn": f"{ARN}/queue/q-1",
        "queueType": "STANDARD",
        "enqueueTimestamp": "2024-05-01T12:00:10.250Z",
    }
}
WITH_AGENT = {
    **IN_QUEUE,
    "AgentInfo": {
        "AgentArn": f"{ARN}/agent/a-1",
        "connectedToAgentTimestamp": "2024-05-01T12:00:30.000Z",
    },
}
GONE = {"disconnectTimestamp": "2024-05-01T12:05:00.000Z"}


def detail(kind, **changes):
    return {
        "eventType": kind,
        "contactId": "c1",
        "channel": "Voice",
        "initiationMethod": "INBOUND",
        "initiationTimestamp": "2024-05-01T12:00:00.000Z",
        **changes,
    }


def parsed(native, **options):
    return parse(json.dumps(native).encode(), Options(**options))


def told(native, **options):
    return [shown(event) for event in parsed(native, **options).events]


def enveloped(body, title="Amazon Connect Contact Event"):
    return {
        "version": "0",
        "id": "e-1",
        "detail-type": title,
        "source": "aws.connect",
        "time": "2024-05-01T12:09:00Z",
        "detail": body,
    }


@pytest.mark.parametrize(
    ("native", "events"),
    [
        (
            detail("INITIATED"),
            [{**COMMON, "kind": "started", "occurred_at": "2024-05-01T12:00:00Z"}],
        ),
        (
            detail("QUEUED", **IN_QUEUE),
            [
                {
                    **COMMON,
                    "kind": "queued",
                    "queue": f"{ARN}/queue/q-1",
                    "occurred_at": "2024-05-01T12:00:10.250000Z",
                }
            ],
        ),
        (
            detail("CONNECTED_TO_AGENT", **WITH_AGENT),
            [
                {
                    **SERVED,
                    "kind": "accepted",
                    "via": "queue",
                    "occurred_at": "2024-05-01T12:00:30Z",
                }
            ],
        ),
        (
            detail("DISCONNECTED", disconnectReason="AGENT_DISCONNECT", **WITH_AGENT, **GONE),
            [
                {
                    **SERVED,
                    "kind": "completed",
                    "ended_by": "human",
                    "occurred_at": "2024-05-01T12:05:00Z",
                },
                {**SERVED, "kind": "wrapup_started", "occurred_at": "2024-05-01T12:05:00Z"},
            ],
        ),
        (
            detail(
                "COMPLETED",
                **IN_QUEUE,
                agentInfo={
                    "agentArn": f"{ARN}/agent/a-1",
                    "afterContactWorkDuration": 32,
                    "afterContactWorkEndTimestamp": "2024-05-01T12:05:32.000Z",
                },
            ),
            [
                {
                    **SERVED,
                    "kind": "wrapup_ended",
                    "wrap_ms": 32000,
                    "occurred_at": "2024-05-01T12:05:32Z",
                }
            ],
        ),
    ],
)
def test_contact_events_bare_and_in_their_envelope(native, events):
    assert told(native) == events
    assert told(enveloped(native)) == events


def test_the_case_of_keys_does_not_matter():
    native = detail("CONNECTED_TO_AGENT", **WITH_AGENT)
    upper = json.dumps(native).encode()
    for name in ("contactId", "agentArn", "AgentArn", "queueInfo", "eventType"):
        upper = upper.replace(f'"{name}"'.encode(), f'"{name.upper()}"'.encode())
    assert parse(upper, Options()) == parsed(native)
    assert key(upper) == b"c1"


def test_completed_without_times_of_wrap_up_ends_when_it_was_told():
    native = detail("COMPLETED", **WITH_AGENT)
    (event,) = told(enveloped(native))
    assert (event["kind"], event["occurred_at"]) == ("wrapup_ended", "2024-05-01T12:09:00Z")
    assert parsed(native).ignored == ("contact_event:COMPLETED",)


@pytest.mark.parametrize("method", ["TRANSFER", "QUEUE_TRANSFER"])
def test_a_transfer_is_told_on_the_leg_it_came_from(method):
    native = detail(
        "INITIATED",
        contactId="c2",
        initialContactId="c1",
        previousContactId="c1",
        initiationMethod=method,
    )
    started, transfer = told(native)[:2]
    assert started == {
        **COMMON,
        "kind": "started",
        "leg_id": "c2",
        "previous_leg_id": "c1",
        "occurred_at": "2024-05-01T12:00:00Z",
    }
    assert transfer == {
        **COMMON,
        "kind": "transfer",
        "leg_id": "c1",
        "occurred_at": "2024-05-01T12:00:00Z",
    }
    assert key(json.dumps(native).encode()) == b"c1"


@pytest.mark.parametrize(
    ("method", "reason", "kinds"),
    [
        ("INBOUND", None, ["abandoned"]),
        ("INBOUND", "CUSTOMER_DISCONNECT", ["abandoned"]),
        ("TRANSFER", None, ["abandoned"]),
        ("QUEUE_TRANSFER", None, ["abandoned"]),
        ("CALLBACK", None, ["abandoned"]),
        ("API", None, ["abandoned"]),
        ("INBOUND", "CONTACT_FLOW_DISCONNECT", ["left_queue", "completed"]),
        ("OUTBOUND", None, ["completed"]),
    ],
)
def test_who_waited_and_hung_up_abandoned(method, reason, kinds):
    changes = {"initiationMethod": method, "disconnectReason": reason, **IN_QUEUE, **GONE}
    events = told(detail("DISCONNECTED", **changes))
    assert [event["kind"] for event in events] == kinds
    assert [event.get("direction") for event in events] == [
        "outbound" if method == "OUTBOUND" else None
    ] * len(kinds)


def test_an_end_before_any_queue_is_no_abandon():
    (event,) = told(detail("DISCONNECTED", disconnectReason="CUSTOMER_DISCONNECT", **GONE))
    assert (event["kind"], event["ended_by"]) == ("completed", "customer")


@pytest.mark.parametrize(
    ("native", "name"),
    [
        (detail("CONNECTED_TO_SYSTEM"), "contact_event:CONNECTED_TO_SYSTEM"),
        (detail("CONTACT_DATA_UPDATED"), "contact_event:CONTACT_DATA_UPDATED"),
        (detail("SOMETHING_NEW"), "contact_event:SOMETHING_NEW"),
        (detail("QUEUED"), "contact_event:QUEUED"),
        ({"EventType": "STARTED", "ContactId": "c", "InstanceId": "i"}, "realtime_segments"),
        ({"EventType": "COMPLETED", "ContactId": "c", "InstanceId": "i"}, "realtime_segments"),
        ({"ContactId": "c", "ContactFlowId": "f", "Timestamp": "t"}, "contact_flow_log"),
        (enveloped({"ruleName": "x"}, "Contact Lens Post Call Rules Matched"), "contact_lens_rule"),
        (enveloped({"eventType": "CASE.UPDATED"}, "Amazon Connect Cases Event"), "case_event"),
        ({"eventType": "RELATED_ITEM.CREATED"}, "case_event"),
        (enveloped({"x": 1}, "Amazon Connect New Thing"), "Amazon_Connect_New_Thing"),
    ],
)
def test_what_is_not_lifecycle_is_ignored_by_type(native, name):
    assert parsed(native) == ((), (name,), None)


RECORD = {
    "AWSContactTraceRecordFormatVersion": "2017-03-10",
    "ContactId": "c1",
    "InitialContactId": None,
    "Channel": "VOICE",
    "InitiationMethod": "INBOUND",
    "InitiationTimestamp": "2024-05-01T12:00:00Z",
    "DisconnectTimestamp": "2024-05-01T12:05:00Z",
    "DisconnectReason": "CUSTOMER_DISCONNECT",
    "LastUpdateTimestamp": "2024-05-01T12:06:00Z",
    "CustomerEndpoint": {"Address": "+15555550123", "Type": "TELEPHONE_NUMBER"},
    "Queue": {
        "ARN": f"{ARN}/queue/q-1",
        "Name": "Sales",
        "EnqueueTimestamp": "2024-05-01T12:00:10Z",
        "DequeueTimestamp": "2024-05-01T12:00:30Z",
        "Duration": 20,
    },
    "Agent": {
        "ARN": f"{ARN}/agent/a-1",
        "Username": "someone",
        "ConnectedToAgentTimestamp": "2024-05-01T12:00:30Z",
        "AgentInteractionDuration": 240,
        "CustomerHoldDuration": 30,
        "AfterContactWorkDuration": 15,
        "AfterContactWorkStartTimestamp": "2024-05-01T12:05:00Z",
        "AfterContactWorkEndTimestamp": "2024-05-01T12:05:15Z",
    },
    "Attributes": {},
}
VERSION = 1714565160000  # LastUpdateTimestamp


def test_a_contact_record_is_the_whole_story():
    common = {**COMMON, "record_version": VERSION, "customer": "+15555550123"}
    queued = {**common, "queue": "Sales"}
    served = {**queued, "performer_kind": "human", "performer_id": "a-1"}
    measured = {"talk_ms": 240_000, "hold_ms": 30_000, "wrap_ms": 15_000}
    assert told(RECORD) == [
        {**common, "kind": "started", "occurred_at": "2024-05-01T12:00:00Z"},
        {**queued, "kind": "queued", "occurred_at": "2024-05-01T12:00:10Z"},
        {
            **served,
            "kind": "accepted",
            "via": "queue",
            "wait_ms": 20_000,
            "occurred_at": "2024-05-01T12:00:30Z",
        },
        {
            **served,
            **measured,
            "kind": "completed",
            "ended_by": "customer",
            "occurred_at": "2024-05-01T12:05:00Z",
        },
        {**served, "kind": "wrapup_started", "occurred_at": "2024-05-01T12:05:00Z"},
        {**served, **measured, "kind": "wrapup_ended", "occurred_at": "2024-05-01T12:05:15Z"},
    ]
    assert key(json.dumps(RECORD).encode()) == b"c1"


GROUPS = {
    "Level1": {"GroupName": "Europe", "ARN": f"{ARN}/agent-group/1"},
    "Level2": {"GroupName": "North", "ARN": f"{ARN}/agent-group/2"},
    "Level3": None,
}


@pytest.mark.parametrize(
    ("groups", "team"),
    [
        (GROUPS, "North"),
        ({"Level1": {"ARN": f"{ARN}/agent-group/1"}}, f"{ARN}/agent-group/1"),
        ({"Level1": {}}, None),
        (None, None),
    ],
)
def test_the_team_is_the_group_at_the_lowest_level(groups, team):
    record = {**RECORD, "Agent": {**RECORD["Agent"], "HierarchyGroups": groups}}
    teams = {(event.get("performer_id"), event.get("team")) for event in told(record)}
    assert teams == {(None, None), ("a-1", team)}


def test_agent_events_tell_the_team_too():
    names = {level: group and {"Name": group["GroupName"]} for level, group in GROUPS.items()}
    before, now = snapshot(), snapshot(contacts=[contact("CONNECTED")])
    now["Configuration"]["AgentHierarchyGroups"] = names
    found = told(agent_event(now, before))
    assert [(event["kind"], event["team"]) for event in found] == [
        ("performer_state", "North"),
        ("accepted", "North"),
    ]
    before["Configuration"]["AgentHierarchyGroups"] = names
    (gone,) = told(agent_event(None, before))
    assert (gone["state"], gone["team"]) == ("offline", "North")


def test_a_record_replaces_the_contact_events_of_its_contact():
    live = [
        detail("INITIATED"),
        detail("QUEUED", **IN_QUEUE),
        detail("CONNECTED_TO_AGENT", **WITH_AGENT),
        detail("DISCONNECTED", **WITH_AGENT, **GONE),
        detail("COMPLETED", **WITH_AGENT),
    ]
    early = {event.event_id: event for native in live for event in parsed(enveloped(native)).events}
    late = {event.event_id: event for event in parsed(RECORD).events}
    assert set(early) == set(late)
    assert {event.record_version for event in early.values()} == {0}
    assert {event.record_version for event in late.values()} == {VERSION}
    assert {name: event.kind for name, event in early.items()} == {
        name: event.kind for name, event in late.items()
    }


def test_a_record_sent_again_replaces_itself():
    again = RECORD | {"LastUpdateTimestamp": "2024-05-02T08:00:00Z", "Attributes": {"note": "x"}}
    first, second = parsed(RECORD).events, parsed(again).events
    assert [event.event_id for event in first] == [event.event_id for event in second]
    assert {event.record_version for event in second} == {1714636800000}


def test_what_ended_as_completed_may_turn_out_to_go_on():
    live = parsed(detail("DISCONNECTED", **WITH_AGENT, **GONE)).events[0]
    record = next(
        event for event in parsed(RECORD | {"NextContactId": "c2"}).events if event.kind == "left"
    )
    assert (live.kind, live.event_id) == ("completed", record.event_id)


@pytest.mark.parametrize(
    ("changes", "ends"),
    [
        ({}, [("abandoned", "2024-05-01T12:00:30Z", None)]),
        ({"DisconnectReason": None}, [("abandoned", "2024-05-01T12:00:30Z", None)]),
        ({"NextContactId": "c2"}, [("left_queue", "2024-05-01T12:00:30Z", "callback")]),
        (
            {"DisconnectReason": "CONTACT_FLOW_DISCONNECT"},
            [
                ("left_queue", "2024-05-01T12:00:30Z", "system"),
                ("completed", "2024-05-01T12:05:00Z", None),
            ],
        ),
        ({"InitiationMethod": "OUTBOUND"}, [("completed", "2024-05-01T12:05:00Z", None)]),
        ({"Queue": None}, [("completed", "2024-05-01T12:05:00Z", None)]),
        ({"DisconnectTimestamp": None}, []),
    ],
)
def test_records_without_an_agent(changes, ends):
    events = told(RECORD | {"Agent": None} | changes)
    assert [
        (event["kind"], event["occurred_at"], event.get("reason"))
        for event in events
        if event["kind"] not in {"started", "queued"}
    ] == ends


def test_a_record_without_wrap_up_closes_at_its_end():
    agent = {name: value for name, value in RECORD["Agent"].items() if not name.startswith("After")}
    *_, completed, started, ended = told(RECORD | {"Agent": agent})
    assert (started["kind"], ended["kind"]) == ("wrapup_started", "wrapup_ended")
    assert started["occurred_at"] == ended["occurred_at"] == completed["occurred_at"]
    assert "wrap_ms" not in ended


@pytest.mark.parametrize(
    ("answer", "scale", "score"),
    [("4", 5, 4), (" 5 ", 5, 5), ("3.0", 5, 3), ("9/10", 10, 9), ("2 / 7", 7, 2), (1, 5, 1)],
)
def test_the_survey_is_an_attribute(answer, scale, score):
    native = RECORD | {"Attributes": {"csat_Score": answer}}
    event = told(native, csat_attribute="CSAT_score")[-1]
    assert event == {
        **COMMON,
        "record_version": VERSION,
        "customer": "+15555550123",
        "queue": "Sales",
        "performer_kind": "human",
        "performer_id": "a-1",
        "kind": "survey_answered",
        "survey_id": "c1",
        "question": "csat",
        "scale": scale,
        "score": score,
        "occurred_at": "2024-05-01T12:06:00Z",
    }
    assert [event["kind"] for event in told(native)].count("survey_answered") == 0


@pytest.mark.parametrize("answer", ["no", "6", "0", "4/3", "-1", "4.5", "900/999", [4]])
def test_an_answer_that_is_no_score_is_counted_and_left_out(answer):
    native = RECORD | {"Attributes": {"csat": answer}}
    outcome = parsed(native, csat_attribute="csat")
    assert outcome.ignored == ("survey:not_a_score",)
    assert len(outcome.events) == 6


@pytest.mark.parametrize("answer", ["", None])
def test_an_empty_answer_is_none(answer):
    native = RECORD | {"Attributes": {"csat": answer}}
    assert parsed(native, csat_attribute="csat").ignored == ()


def snapshot(status="Available", start="2024-05-01T12:00:00.000Z", contacts=()):
    return {
        "AgentStatus": {"Name": status, "StartTimestamp": start},
        "Configuration": {"Username": "someone"},
        "Contacts": list(contacts),
    }


def contact(state, start="2024-05-01T12:03:00.000Z"):
    return {
        "ContactId": "c2",
        "InitialContactId": "c1",
        "Channel": "VOICE",
        "InitiationMethod": "INBOUND",
        "State": state,
        "StateStartTimestamp": start,
        "Queue": {"ARN": f"{ARN}/queue/q-1", "Name": "Sales"},
    }


def agent_event(now, before, kind="STATE_CHANGE"):
    return {
        "AgentARN": f"{ARN}/agent/a-1",
        "EventId": "e-9",
        "EventType": kind,
        "EventTimestamp": "2024-05-01T12:04:00.000Z",
        "CurrentAgentSnapshot": now,
        "PreviousAgentSnapshot": before,
    }


STATE = {
    "source": "amazon_connect",
    "interaction_id": "performer:a-1",
    "channel": "other",
    "performer_kind": "human",
    "performer_id": "a-1",
    "kind": "performer_state",
}


@pytest.mark.parametrize(
    ("now", "before", "state"),
    [
        (snapshot(), None, {"state": "available", "occurred_at": "2024-05-01T12:00:00Z"}),
        (
            snapshot("Lunch", "2024-05-01T12:03:30.500Z"),
            snapshot(),
            {"state": "away", "reason": "Lunch", "occurred_at": "2024-05-01T12:03:30.500000Z"},
        ),
        (
            snapshot("Offline", "2024-05-01T12:03:30Z"),
            snapshot(),
            {"state": "offline", "occurred_at": "2024-05-01T12:03:30Z"},
        ),
        (None, snapshot(), {"state": "offline", "occurred_at": "2024-05-01T12:04:00Z"}),
        (
            snapshot(contacts=[contact("CONNECTED")]),
            snapshot(),
            {"state": "busy", "occurred_at": "2024-05-01T12:04:00Z"},
        ),
        (
            snapshot(contacts=[contact("ENDED")]),
            snapshot(contacts=[contact("CONNECTED")]),
            {"state": "wrap", "occurred_at": "2024-05-01T12:04:00Z"},
        ),
    ],
)
def test_states_of_an_agent_are_differences_of_snapshots(now, before, state):
    states = [event for event in told(agent_event(now, before)) if event["kind"] == STATE["kind"]]
    assert states == [{**STATE, **state}]
    assert key(json.dumps(agent_event(now, before)).encode()) == b"performer:a-1"


@pytest.mark.parametrize("kind", ["HEART_BEAT", "STATE_CHANGE", "LOGIN"])
def test_without_a_difference_the_type_counts_for_nothing(kind):
    same = snapshot(contacts=[contact("CONNECTED")])
    assert parsed(agent_event(same, same, kind)) == ((), (f"agent_event:{kind}",), None)


@pytest.mark.parametrize(
    ("before", "now", "kind"),
    [
        (None, "CONNECTING", "ringing"),
        ("CONNECTING", "MISSED", "declined"),
        ("CONNECTING", "REJECTED", "declined"),
        ("CONNECTED", "CONNECTED_ONHOLD", "hold"),
        ("CONNECTED_ONHOLD", "CONNECTED", "resume"),
        ("CONNECTED", "ENDED", "wrapup_started"),
        ("CONNECTED_ONHOLD", "ENDED", "wrapup_started"),
        ("MISSED", "ENDED", None),
        ("CONNECTING", "ERROR", None),
        ("CONNECTED_ONHOLD", "CONNECTED_ONHOLD", None),
    ],
)
def test_contacts_of_an_agent(before, now, kind):
    event = agent_event(
        snapshot(contacts=[contact(now)]),
        snapshot(contacts=[contact(before)] if before else []),
    )
    found = [shown(item) for item in parsed(event).events if item.kind != "performer_state"]
    told_of = {
        "source": "amazon_connect",
        "interaction_id": "c1",
        "leg_id": "c2",
        "channel": "voice",
        "queue": "Sales",
        "performer_kind": "human",
        "performer_id": "a-1",
        "kind": kind,
        "occurred_at": "2024-05-01T12:03:00Z",
    }
    assert found == ([told_of] if kind else [])


def day_of_an_agent(*snapshots):
    """Agent events of snapshots at the given times, each with the one before it."""
    events, before = [], None
    for number, (time, now) in enumerate(snapshots):
        event = agent_event(now, before) | {"EventId": f"e-{number}", "EventTimestamp": time}
        events.append(event)
        before = now
    return events


def handled(state, since):
    connected = {"ConnectedToAgentTimestamp": "2024-05-01T12:00:30.000Z"}
    return snapshot(contacts=[contact(state, since) | connected])


CONTACT_OF_AN_AGENT = day_of_an_agent(
    ("2024-05-01T12:00:21.000Z", snapshot()),
    (
        "2024-05-01T12:00:25.100Z",
        snapshot(contacts=[contact("CONNECTING", "2024-05-01T12:00:25Z")]),
    ),
    ("2024-05-01T12:00:30.100Z", handled("CONNECTED", "2024-05-01T12:00:30Z")),
    ("2024-05-01T12:02:00.100Z", handled("CONNECTED_ONHOLD", "2024-05-01T12:02:00Z")),
    ("2024-05-01T12:02:30.100Z", handled("CONNECTED", "2024-05-01T12:02:30Z")),
    ("2024-05-01T12:03:00.100Z", handled("CONNECTED", "2024-05-01T12:02:30Z")),
    ("2024-05-01T12:05:00.100Z", handled("ENDED", "2024-05-01T12:05:00.025Z")),
    ("2024-05-01T12:05:15.125Z", snapshot()),
)


def measured(outcome):
    """Talk, hold and wrap of each handling segment, in milliseconds."""
    return [
        (fact.header.queue, fact.talk_ms, fact.hold_ms, fact.wrap_ms)
        for fact in outcome.facts("handling_segment")
    ]


def test_agent_events_alone_tell_how_long_a_contact_was_handled():
    outcome = read("amazon_connect", json.dumps(CONTACT_OF_AN_AGENT).encode())
    assert outcome.kinds == {
        "performer_state": 4, "ringing": 1, "accepted": 1, "hold": 1, "resume": 1,
        "wrapup_started": 1, "wrapup_ended": 1,
    }  # fmt: skip
    assert outcome.ignored == {"agent_event:STATE_CHANGE": 1}
    # 12:00:30 to 12:05:00.025, of which 30 s on hold; work until 12:05:15.125.
    assert measured(outcome) == [("Sales", 240_025, 30_000, 15_100)]


def test_a_stream_that_begins_during_a_hold_knows_when_the_agent_connected():
    native = agent_event(handled("CONNECTED_ONHOLD", "2024-05-01T12:02:00Z"), snapshot())
    times = {event["kind"]: event["occurred_at"] for event in told(native)}
    assert times["accepted"] == "2024-05-01T12:00:30Z"
    assert times["hold"] == "2024-05-01T12:02:00Z"


@pytest.mark.parametrize("order", [1, -1])
def test_a_record_wins_over_all_events_of_its_contact(order):
    contact_of_chain = {"contactId": "c2", "initialContactId": "c1"}
    record = RECORD | {"ContactId": "c2", "InitialContactId": "c1"}
    live = [
        detail("INITIATED", **contact_of_chain),
        detail("QUEUED", **contact_of_chain, **IN_QUEUE),
        detail("CONNECTED_TO_AGENT", **contact_of_chain, **WITH_AGENT),
        detail("DISCONNECTED", **contact_of_chain, **WITH_AGENT, **GONE),
        enveloped(detail("COMPLETED", **contact_of_chain, **WITH_AGENT)),
    ]
    natives = [*CONTACT_OF_AN_AGENT, *live, record][::order]
    outcome = read("amazon_connect", json.dumps(natives).encode())
    assert measured(outcome) == [("Sales", 240_000, 30_000, 15_000)]
    (stay,) = outcome.facts("queue_segment")
    assert (stay.header.queue, stay.wait_ms, stay.outcome) == ("Sales", 20_000, "answered")
    (whole,) = outcome.facts("interaction")
    assert (whole.stints, whole.talk_ms, whole.ended_by) == (1, 240_000, "customer")


def test_who_is_moved_to_another_queue_has_not_abandoned_the_first():
    second = {
        "contactId": "c2", "initialContactId": "c1", "previousContactId": "c1",
        "initiationMethod": "QUEUE_TRANSFER", "initiationTimestamp": "2024-05-01T12:01:10Z",
    }  # fmt: skip
    moved = {"queueArn": f"{ARN}/queue/q-2", "enqueueTimestamp": "2024-05-01T12:01:10Z"}
    natives = [
        detail("QUEUED", **IN_QUEUE),
        detail("DISCONNECTED", **IN_QUEUE, disconnectTimestamp="2024-05-01T12:01:10Z"),
        detail("INITIATED", **second),
        detail("QUEUED", **second, queueInfo=moved),
        detail("DISCONNECTED", **second, queueInfo=moved, **GONE),
    ]
    for order in (natives, natives[::-1]):
        outcome = read("amazon_connect", json.dumps(order).encode())
        stays = [
            (fact.header.queue[-3:], fact.outcome, fact.wait_ms)
            for fact in outcome.facts("queue_segment")
        ]
        # 12:00:10.250 to 12:01:10, and on to 12:05:00.
        assert stays == [("q-1", "flow_out", 59_750), ("q-2", "abandoned", 230_000)]


@pytest.mark.parametrize(
    ("subtype", "channel"),
    [("connect:SMS", "sms"), ("connect:WhatsApp", "whatsapp"), ("connect:Chat", "web_chat")],
)
def test_chats_by_their_subtype(subtype, channel):
    named = {"segmentAttributes": {"connect:Subtype": {"valueString": subtype}}}
    (event,) = told(detail("INITIATED", channel="CHAT", **named))
    assert event["channel"] == channel


def test_a_supervisor_who_listens_serves_nobody():
    assert parsed(RECORD | {"InitiationMethod": "MONITOR"}).ignored == ("contact_record:MONITOR",)
    live = detail("CONNECTED_TO_AGENT", initiationMethod="Monitor", **WITH_AGENT)
    assert parsed(live).ignored == ("contact_event:MONITOR",)
    listening = contact("CONNECTED") | {"InitiationMethod": "MONITOR"}
    native = agent_event(snapshot(contacts=[listening]), snapshot())
    assert [event["kind"] for event in told(native)] == ["performer_state"]


def packed(native):
    return base64.b64encode(json.dumps(native).encode()).decode()


@pytest.mark.parametrize(
    "batch",
    [
        {"Records": [{"kinesis": {"data": packed(RECORD), "partitionKey": "k"}},
                     {"kinesis": {"data": packed(detail("INITIATED"))}}]},
        {"records": [{"recordId": "1", "data": packed(RECORD)},
                     {"recordId": "2", "data": packed(detail("INITIATED"))}]},
    ],
)  # fmt: skip
def test_batches_of_streams_are_their_records(batch):
    outcome = read("amazon_connect", json.dumps(batch, indent=2).encode())
    assert (outcome.records, outcome.keys, outcome.refused) == (2, {b"c1"}, [])
    assert outcome.events == [*parsed(RECORD).events, *parsed(detail("INITIATED")).events]
    assert list(parsed(batch).events) == outcome.events
    assert key(json.dumps(batch).encode()) == b"c1"


@pytest.mark.parametrize(
    ("data", "reason"), [("%%%", "invalid_event"), ("é", "invalid_event"),
                         (packed("x")[:-3], "invalid_event"),
                         ("e30x", "bad_json"), (None, "invalid_event")]
)  # fmt: skip
def test_a_batch_that_cannot_be_opened_is_refused_as_it_is(data, reason):
    payload = json.dumps({"Records": [{"kinesis": {"data": data}}]}).encode()
    outcome = read("amazon_connect", payload)
    assert (outcome.records, outcome.refused) == (1, [reason])
    assert key(payload) == fallback_key(payload)


def test_seconds_written_as_floats():
    agent = RECORD["Agent"] | {"AgentInteractionDuration": 240.0}
    ends = [event for event in told(RECORD | {"Agent": agent}) if event["kind"] == "completed"]
    assert ends[0]["talk_ms"] == 240_000


@pytest.mark.parametrize(
    ("native", "detail_text"),
    [
        ({}, "expected a contact event, contact record or agent event"),
        ([5], "expected a JSON object"),
        (enveloped("x"), "detail: expected an object"),
        (detail("INITIATED", contactId=None), "ContactId: expected text"),
        (detail("INITIATED", contactId=5), "ContactId: expected text"),
        (
            detail("INITIATED", initiationTimestamp="noon"),
            "InitiationTimestamp: expected an ISO 8601 time",
        ),
        (
            enveloped(detail("DISCONNECTED")),
            "detail.DisconnectTimestamp: expected an ISO 8601 time",
        ),
        (detail("QUEUED", queueInfo=[1]), "QueueInfo: expected an object"),
        (
            detail("QUEUED", queueInfo={"queueArn": "q"}),
            "QueueInfo.EnqueueTimestamp: expected an ISO 8601 time",
        ),
        (
            RECORD | {"Agent": RECORD["Agent"] | {"AgentInteractionDuration": "long"}},
            "Agent.AgentInteractionDuration: expected whole seconds",
        ),
        (
            RECORD | {"Agent": RECORD["Agent"] | {"CustomerHoldDuration": -1}},
            "hold_ms: Input should be greater than or equal to 0",
        ),
        (
            agent_event(snapshot(contacts=[{"State": "CONNECTED"}]), None),
            "CurrentAgentSnapshot.Contacts.0.ContactId: expected text",
        ),
        (
            agent_event({"Contacts": [5]}, None),
            "CurrentAgentSnapshot.Contacts: expected an array of objects",
        ),
    ],
)
def test_what_connect_never_sends_is_refused(native, detail_text):
    with pytest.raises(BadPayload) as refusal:
        parsed(native)
    assert refusal.value.reason == "invalid_event"
    assert refusal.value.detail.startswith(detail_text)


def test_objects_without_line_ends_and_arrays():
    natives = [detail("INITIATED"), RECORD, detail("CONNECTED_TO_SYSTEM")]
    run = "".join(json.dumps(native) for native in natives).encode()
    for data in (run, json.dumps(natives, indent=2).encode()):
        outcome = read("amazon_connect", data)
        assert (outcome.records, len(outcome.events), outcome.refused) == (3, 7, [])
    whole = parsed(natives)
    assert (len(whole.events), whole.ignored) == (7, ("contact_event:CONNECTED_TO_SYSTEM",))


def test_keys_of_what_tells_no_contact():
    for payload in (b"", b"{", b"[]", b"{}", b"\xff", b'{"ContactId": 5}', b'{"detail": 5}'):
        assert key(payload) == fallback_key(payload)


@pytest.mark.samples
def test_the_real_record_gives_its_handle_time(samples):
    outcome = read(
        "amazon_connect", samples / "amazon-connect" / "contact-record-voice-inbound.json"
    )
    assert outcome.refused == []
    small = [reduce(event) for event in outcome.events]
    root = outcome.events[0].interaction_id
    as_of_ms = max(event.occurred_ms for event in small)
    facts = {row.kind: row.fact for row in fold(root, small, as_of_ms).rows}
    handled = facts["handling_segment"]
    assert facts["queue_segment"].wait_ms == 7000
    assert (handled.talk_ms, handled.hold_ms, handled.wrap_ms) == (33000, 0, 32000)
    assert handled.header.queue == "BasicQueue"
    assert facts["interaction"].ended_by == "customer"


@pytest.mark.samples
@pytest.mark.parametrize(
    ("name", "kinds", "ignored", "refused"),
    [
        ("agent-event-heartbeat.as-published.txt", {}, {}, ["bad_json"]),
        ("agent-event-heartbeat.json", {"performer_state": 1}, {}, []),
        ("case-event-1.json", {}, {"case_event": 1}, []),
        ("case-event-2.json", {}, {"case_event": 1}, []),
        ("contact-event-connected-to-agent.bare.json", {"accepted": 1}, {}, []),
        ("contact-event-disconnected.as-published.txt", {}, {}, ["bad_json"]),
        (
            "contact-event-disconnected.json",
            {"completed": 1, "wrapup_started": 1},
            {},
            [],
        ),
        ("contact-flow-log.json", {}, {"contact_flow_log": 1}, []),
        ("contact-lens-rule-event-1.json", {}, {"contact_lens_rule": 1}, []),
        ("contact-lens-rule-event-2.json", {}, {"contact_lens_rule": 1}, []),
        ("realtime-segments-1-started.json", {}, {"realtime_segments": 1}, []),
        ("realtime-segments-2-segments.json", {}, {"realtime_segments": 1}, []),
        ("realtime-segments-3-completed.json", {}, {"realtime_segments": 1}, []),
        ("realtime-segments-4-failed.json", {}, {"realtime_segments": 1}, []),
    ],
)
def test_real_payloads(samples, name, kinds, ignored, refused):
    outcome = read("amazon_connect", samples / "amazon-connect" / name)
    assert outcome.records == 1
    assert (outcome.kinds, outcome.ignored, outcome.refused) == (kinds, ignored, refused)


@pytest.mark.samples
def test_the_real_heartbeat_tells_a_change_of_state(samples):
    outcome = read("amazon_connect", samples / "amazon-connect" / "agent-event-heartbeat.json")
    (event,) = outcome.events
    assert (event.state, epoch_ms(event.occurred_at)) == ("available", 1565729550704)
