from __future__ import annotations

import json

import pytest

from schemas.platforms.base import BadPayload, Options, fallback_key
from schemas.platforms.twilio_taskrouter import key, parse

from .reading import read, shown

START = 1_714_564_800  # 2024-05-01T12:00:00Z
ATTRIBUTES = {"call_sid": "CA1", "from": "+15550100", "direction": "inbound", "secret": "a secret"}
COMMON = {
    "source": "twilio_taskrouter",
    "interaction_id": "CA1",
    "leg_id": "WT1",
    "channel": "voice",
    "queue": "Billing",
    "customer": "+15550100",
}
SERVED = {**COMMON, "leg_id": "WR1", "performer_kind": "human", "performer_id": "WK1"}
RESERVED = {"ReservationSid": "WR1", "WorkerSid": "WK1", "WorkerName": "a secret"}


def callback(kind, second=0.0, **changes):
    """A workspace event callback: the fields of its form, all text."""
    milliseconds = START * 1000 + round(second * 1000)
    return {
        "EventType": kind,
        "Sid": f"EV-{kind}-{second}",
        "Timestamp": str(milliseconds // 1000),
        "TimestampMs": str(milliseconds),
        "TaskSid": "WT1",
        "TaskAttributes": json.dumps(ATTRIBUTES),
        "TaskQueueName": "Billing",
        "TaskChannelUniqueName": "voice",
        **changes,
    }


def streamed(native):
    """The same event as Event Streams writes it, with what it says wrongly in published samples."""
    snake = {
        "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_"): value
        for name, value in native.items()
        if not name.startswith(("Timestamp", "EventType"))
    }
    milliseconds = int(native["TimestampMs"])
    snake["timestamp"] = f"2024-05-01T12:{milliseconds // 60_000 % 60:02}:" + (
        f"{milliseconds % 60_000 / 1000:06.3f}Z"
    )
    return {
        "specversion": "1.0",
        "type": f"com.twilio.taskrouter.{native['EventType']}",
        "id": "NO1",
        "datacontenttype": "2025-10-08T07:17:02.363Z",
        "data": {"name": "ReservationCreated", "payload": snake},
    }


def parsed(native):
    return parse(json.dumps(native).encode(), Options())


def told(native):
    return [shown(event) for event in parsed(native).events]


@pytest.mark.parametrize(
    ("kind", "changes", "events"),
    [
        ("task.created", {}, [{**COMMON, "kind": "started"}]),
        ("task-queue.entered", {}, [{**COMMON, "kind": "queued"}]),
        ("task-queue.timeout", {}, [{**COMMON, "kind": "left_queue", "reason": "timeout"}]),
        ("reservation.created", RESERVED, [{**SERVED, "kind": "ringing"}]),
        ("reservation.accepted", RESERVED, [{**SERVED, "kind": "accepted", "via": "queue"}]),
        (
            "reservation.accepted",
            {**RESERVED, "TransferMode": "WARM"},
            [{**SERVED, "kind": "accepted", "via": "transfer"}],
        ),
        ("reservation.rejected", RESERVED, [{**SERVED, "kind": "declined"}]),
        ("reservation.timeout", RESERVED, [{**SERVED, "kind": "declined"}]),
        ("reservation.rescinded", RESERVED, [{**SERVED, "kind": "declined"}]),
        ("reservation.canceled", RESERVED, [{**SERVED, "kind": "declined"}]),
        ("reservation.wrapup", RESERVED, [{**SERVED, "kind": "wrapup_started"}]),
        ("reservation.completed", RESERVED, [{**SERVED, "kind": "wrapup_ended"}]),
        (
            "task.transfer-initiated",
            {"TransferMode": "COLD"},
            [{**COMMON, "kind": "transfer", "transfer_kind": "blind", "record_version": 1}],
        ),
        (
            "task.transfer-completed",
            {"TransferMode": "WARM"},
            [{**COMMON, "kind": "transfer", "transfer_kind": "warm"}],
        ),
        ("task.wrapup", {}, [{**COMMON, "kind": "completed", "record_version": 2}]),
        ("task.completed", {}, [{**COMMON, "kind": "completed", "record_version": 1}]),
        ("task.system-deleted", {}, [{**COMMON, "kind": "completed"}]),
        (
            "task.canceled",
            {"TaskCanceledReason": "hangup"},
            [{**COMMON, "kind": "abandoned", "record_version": 1}],
        ),
        (
            "task.canceled",
            {"TaskCanceledReason": "Task TTL Exceeded"},
            [
                {**COMMON, "kind": "left_queue", "reason": "timeout"},
                {**COMMON, "kind": "completed", "ended_by": "system", "record_version": 1},
            ],
        ),
    ],
)
def test_events_as_callbacks_and_as_streams(kind, changes, events):
    native = callback(kind, 5.25, **changes)
    expected = [{**event, "occurred_at": "2024-05-01T12:00:05.250000Z"} for event in events]
    assert told(native) == expected
    assert parsed(streamed(native)).events == parsed(native).events
    assert key(json.dumps(native).encode()) == key(json.dumps(streamed(native)).encode()) == b"CA1"


@pytest.mark.parametrize(
    ("attributes", "team"),
    [
        ('{"team_name": "North", "email": "a secret"}', "North"),
        ('{"team_name": 5}', None),
        ("", None),
    ],
)
def test_the_flow_is_the_workflow_and_the_team_an_attribute_of_the_worker(attributes, team):
    workflow = {"WorkflowName": "Everyone", "WorkflowSid": "WW1"}
    (entered,) = told(callback("task-queue.entered", **workflow))
    assert (entered["flow"], entered.get("team")) == ("Everyone", None)
    native = callback("reservation.accepted", **RESERVED, **workflow, WorkerAttributes=attributes)
    for form in (native, streamed(native)):
        (accepted,) = told(form)
        assert (accepted["flow"], accepted.get("team")) == ("Everyone", team)
        assert "secret" not in str(accepted)
    (unnamed,) = told(callback("task-queue.entered", WorkflowSid="WW1"))
    assert unnamed["flow"] == "WW1"


@pytest.mark.parametrize(
    ("name", "state", "reason"),
    [
        ("Available", "available", None),
        ("Idle", "available", None),
        ("Wrap-Up", "wrap", None),
        ("Offline", "offline", None),
        ("Lunch", "away", "Lunch"),
    ],
)
def test_activities_of_a_worker(name, state, reason):
    native = {
        "EventType": "worker.activity.update", "Sid": "EV1", "Timestamp": str(START),
        "WorkerSid": "WK1", "WorkerActivityName": name, "WorkerName": "a secret",
    }  # fmt: skip
    (event,) = told(native)
    assert event == {
        "source": "twilio_taskrouter",
        "interaction_id": "performer:WK1",
        "channel": "other",
        "performer_kind": "human",
        "performer_id": "WK1",
        "kind": "performer_state",
        "state": state,
        "occurred_at": "2024-05-01T12:00:00Z",
        **({"reason": reason} if reason else {}),
    }
    assert key(json.dumps(native).encode()) == b"performer:WK1"


@pytest.mark.parametrize(
    "kind",
    ["task.updated", "task-queue.moved", "workflow.target-matched", "reservation.failed",
     "task.transfer-canceled", "worker.capacity.update", "worker.created", "workflow.skipped"],
)  # fmt: skip
def test_the_rest_is_ignored_by_its_type(kind):
    assert parsed(callback(kind, WorkerSid="WK1")).ignored == (kind,)


def test_a_warm_transfer_is_one_when_it_is_completed():
    native = callback("task.transfer-initiated", TransferMode="WARM")
    assert parsed(native).ignored == ("task.transfer-initiated",)


@pytest.mark.parametrize(
    ("attributes", "conversation"),
    [
        ({"conversations": {"conversation_id": "X1"}, "call_sid": "CA1"}, "X1"),
        ({"call_sid": "CA1"}, "CA1"),
        ({"channelSid": "CH1", "channelType": "web"}, "CH1"),
        ({"conversationSid": "CH2"}, "CH2"),
        ({"conversations": None}, "WT1"),
        ({}, "WT1"),
    ],
)
def test_the_conversation_of_a_task(attributes, conversation):
    native = callback("task.created", TaskAttributes=json.dumps(attributes))
    assert {event["interaction_id"] for event in told(native)} == {conversation}


@pytest.mark.parametrize(
    ("attributes", "channel", "customer", "direction"),
    [
        ({"channelType": "whatsapp", "customerAddress": "whatsapp:+15550100"}, "whatsapp",
         "+15550100", None),
        ({"channelType": "web", "from": "Anonymous"}, "web_chat", None, None),
        ({"direction": "outbound", "outbound_to": "+15550101", "from": "+15550199"}, "voice",
         "+15550101", "outbound"),
    ],
)  # fmt: skip
def test_channel_customer_and_direction(attributes, channel, customer, direction):
    (event,) = told(callback("task.created", TaskAttributes=json.dumps(attributes)))
    assert (event["channel"], event.get("customer"), event.get("direction")) == (
        channel,
        customer,
        direction,
    )


CALL = [
    callback("task.created", 0),
    callback("task-queue.entered", 1),
    callback("reservation.created", 5, ReservationSid="WR0", WorkerSid="WK0"),
    callback("reservation.timeout", 20, ReservationSid="WR0", WorkerSid="WK0"),
    callback("reservation.created", 21, **RESERVED),
    callback("reservation.accepted", 25, **RESERVED),
    callback("task.updated", 30),
    callback("reservation.wrapup", 205, **RESERVED),
    callback("task.wrapup", 205),
    callback("reservation.completed", 235, **RESERVED),
    callback("task.completed", 235),
    callback("task.system-deleted", 400),
]


@pytest.mark.parametrize("order", [1, -1])
def test_a_call_in_any_order(order):
    outcome = read("twilio_taskrouter", json.dumps(CALL[::order]).encode())
    assert (outcome.records, outcome.refused) == (12, [])
    (stay,) = outcome.facts("queue_segment")
    assert (stay.header.queue, stay.outcome, stay.wait_ms) == ("Billing", "answered", 24_000)
    (served,) = outcome.facts("handling_segment")
    assert (served.talk_ms, served.hold_ms, served.wrap_ms) == (180_000, 0, 30_000)
    (missed,) = outcome.facts("missed_offer")
    assert (missed.header.performer_id, missed.offered_ms) == ("WK0", (START + 5) * 1000)
    (whole,) = outcome.facts("interaction")
    # The conversation ended when its wrap-up began.
    assert (whole.ended_ms, whole.abandoned) == ((START + 205) * 1000, False)
    assert "secret" not in str(outcome.events)
    assert outcome.keys == {b"CA1"}


def test_a_cold_transfer():
    natives = [
        callback("task-queue.entered", 1),
        callback("reservation.accepted", 11, **RESERVED),
        callback("task.transfer-initiated", 71, TransferMode="COLD"),
        callback("reservation.completed", 72, **RESERVED),
        callback("task-queue.entered", 72, TaskQueueName="Returns"),
        callback("reservation.accepted", 80, ReservationSid="WR2", WorkerSid="WK2",
                 TaskQueueName="Returns", TransferMode="COLD"),
        callback("task.transfer-completed", 80, TransferMode="COLD"),
        callback("reservation.wrapup", 140, ReservationSid="WR2", WorkerSid="WK2"),
        callback("task.wrapup", 140),
        callback("reservation.completed", 150, ReservationSid="WR2", WorkerSid="WK2"),
    ]  # fmt: skip
    outcome = read("twilio_taskrouter", json.dumps(natives).encode())
    stays = [(s.header.queue, s.outcome, s.wait_ms) for s in outcome.facts("queue_segment")]
    assert stays == [("Billing", "answered", 10_000), ("Returns", "answered", 8000)]
    segments = outcome.facts("handling_segment")
    talks = {s.header.performer_id: (s.talk_ms, s.transferred) for s in segments}
    assert talks == {"WK1": (60_000, True), "WK2": (60_000, False)}
    (whole,) = outcome.facts("interaction")
    assert (whole.transfers, whole.blind_transfers) == (1, 1)


def test_who_hung_up_while_it_rang_abandoned():
    natives = [
        callback("task-queue.entered", 0),
        callback("reservation.created", 5, **RESERVED),
        callback("reservation.canceled", 12, **RESERVED),
        callback("task.canceled", 12, TaskCanceledReason="hangup"),
        callback("task.system-deleted", 60),
    ]
    outcome = read("twilio_taskrouter", json.dumps(natives).encode())
    (stay,) = outcome.facts("queue_segment")
    assert (stay.outcome, stay.wait_ms) == ("abandoned", 12_000)
    (whole,) = outcome.facts("interaction")
    assert (whole.abandoned, whole.ended_by) == (True, "customer")


@pytest.mark.parametrize(
    ("native", "detail"),
    [
        ({}, "EventType: expected text"),
        ([5], "expected a JSON object"),
        ({"EventType": 5}, "eventtype: expected text"),
        (callback("task.created", TaskSid=None, TaskAttributes="{}"), "TaskSid: expected text"),
        (callback("task.created", TaskAttributes="{"), "TaskAttributes: expected JSON"),
        (
            callback("reservation.created", **RESERVED, WorkerAttributes="{"),
            "WorkerAttributes: exp",
        ),
        (callback("task.created", TimestampMs="soon"), "TimestampMs: expected an epoch in"),
        (callback("task.created", TimestampMs="", Timestamp="soon"), "timestamp: expected an ISO"),
        (callback("task.created", TimestampMs="", Timestamp=""), "Timestamp: expected a time"),
        (callback("reservation.created"), "WorkerSid: expected text"),
        ({"EventType": "worker.activity.update", "Timestamp": "1"}, "WorkerActivityName: expected"),
    ],
)
def test_what_twilio_never_sends_is_refused(native, detail):
    with pytest.raises(BadPayload) as refusal:
        parsed(native)
    assert refusal.value.reason == "invalid_event"
    assert refusal.value.detail.startswith(detail)


def test_keys_of_what_tells_no_task():
    for payload in (b"", b"{", b"[]", b"{}", b"\xff", b'{"EventType": "task.created"}'):
        assert key(payload) == fallback_key(payload)


@pytest.mark.samples
def test_a_real_event_of_the_rest_interface(samples):
    outcome = read(
        "twilio_taskrouter", samples / "twilio" / "taskrouter-event-worker-activity.json"
    )
    assert (outcome.records, outcome.refused) == (1, [])
    (event,) = outcome.events
    assert (event.kind, event.state) == ("performer_state", "offline")
    assert event.occurred_at.isoformat() == "2015-02-07T00:32:41+00:00"
    assert "Justin" not in str(event)
