from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from schemas.platforms.base import BadPayload, Options, fallback_key
from schemas.platforms.chatwoot import key, parse

from .reading import read, shown

START = 1_714_564_800  # 2024-05-01T12:00:00Z
COMMON = {
    "source": "chatwoot",
    "interaction_id": "1/10",
    "channel": "web_chat",
    "customer": "contact:12",
    "queue": "inbox:1",
    "occurred_at": "2024-05-01T12:00:05Z",
}
BOT = {**COMMON, "performer_kind": "bot", "performer_id": "agent_bot"}


def iso(second):
    return datetime.fromtimestamp(START + second, UTC).isoformat().replace("+00:00", "Z")


def agent(number):
    return {**COMMON, "performer_kind": "human", "performer_id": str(number)}


def conversation(second=5, status="open", assignee=None, team=None, **changes):
    return {
        "channel": "Channel::WebWidget",
        "id": 10,
        "inbox_id": 1,
        "messages": [],
        "meta": {
            "sender": {"id": 12, "name": "a secret", "email": "secret@example.com"},
            "assignee": assignee and {"id": assignee, "name": "a secret"},
            "team": team and {"id": team, "name": "Returns"},
        },
        "status": status,
        "timestamp": START,
        "updated_at": START + second,
        **changes,
    }


def changed(second=5, name="conversation_updated", *, changes, **fields):
    """A body with what changed: attribute, previous and current value."""
    entries = [
        {attribute: {"previous_value": before, "current_value": now}}
        for attribute, (before, now) in changes.items()
    ]
    entries.append({"updated_at": {"previous_value": iso(0), "current_value": iso(second)}})
    return conversation(second, **fields) | {"event": name, "changed_attributes": entries}


def message(second=5, kind="incoming", status="pending", name="message_created", **changes):
    return {
        "event": name,
        "id": 118,
        "content": "a secret",
        "created_at": iso(second),
        "message_type": kind,
        "content_type": "text",
        "private": False,
        "sender": {"id": 12, "type": "contact"},
        "inbox": {"id": 1},
        "account": {"id": 1},
        "conversation": conversation(second, status),
        **changes,
    }


def rated(second, rating, **changes):
    values = {"csat_survey_response": {"rating": rating, "feedback_message": "a secret"}}
    return message(
        second, "template", "resolved", "message_updated", content_type="input_csat",
        updated_at=iso(second), content_attributes={"submitted_values": values}, **changes,
    )  # fmt: skip


def parsed(native):
    return parse(json.dumps(native).encode(), Options())


def told(native):
    return [shown(event) for event in parsed(native).events]


@pytest.mark.parametrize(
    ("native", "events"),
    [
        (
            conversation(created_at=START + 5) | {"event": "conversation_created"},
            [{**COMMON, "kind": "started"}, {**COMMON, "kind": "queued"}],
        ),
        (
            conversation(status="pending") | {"event": "conversation_created"},
            [{**COMMON, "kind": "started"}, {**BOT, "kind": "bot_started"}],
        ),
        (
            conversation(assignee=7) | {"event": "conversation_created"},
            [
                {**COMMON, "kind": "started"},
                {**agent(7), "kind": "accepted", "via": "direct"},
            ],
        ),
        (
            changed(changes={"status": ("pending", "open")}),
            [{**BOT, "kind": "handoff"}, {**COMMON, "kind": "queued"}],
        ),
        (
            changed(changes={"status": ("pending", "open"), "assignee_id": (None, 7)}, assignee=7),
            [
                {**BOT, "kind": "handoff"},
                {**COMMON, "kind": "queued"},
                {**agent(7), "kind": "accepted", "via": "queue"},
            ],
        ),
        (
            changed(changes={"status": ("resolved", "open")}, assignee=7),
            [{**agent(7), "kind": "accepted", "via": "direct"}],
        ),
        (
            changed(changes={"status": ("open", "resolved")}, status="resolved", assignee=7),
            [{**COMMON, "kind": "completed", "ended_by": "human"}],
        ),
        (
            changed(changes={"status": ("pending", "resolved")}, status="resolved"),
            [{**COMMON, "kind": "completed", "ended_by": "bot"}],
        ),
        (
            changed(changes={"assignee_id": (None, 7)}, assignee=7),
            [{**agent(7), "kind": "accepted", "via": "queue"}],
        ),
        (
            changed(changes={"assignee_id": (7, 8)}, assignee=8),
            [
                {**agent(7), "kind": "transfer"},
                {**agent(7), "kind": "left"},
                {**agent(8), "kind": "accepted", "via": "transfer"},
            ],
        ),
        (
            changed(changes={"assignee_id": (7, None)}),
            [
                {**agent(7), "kind": "transfer"},
                {**agent(7), "kind": "left"},
                {**COMMON, "kind": "queued"},
            ],
        ),
        (
            changed(changes={"team_id": (None, 3)}, team=3),
            [{**COMMON, "queue": "team:3", "team": "team:3", "kind": "queued"}],
        ),
        (
            changed(changes={"team_id": (2, 3)}, team=3),
            [
                {**COMMON, "queue": "team:3", "kind": "transfer"},
                {**COMMON, "queue": "team:3", "team": "team:3", "kind": "queued"},
            ],
        ),
        (
            changed(changes={"assignee_id": (7, 8)}, assignee=8, team=3),
            [
                # Whose team the one before was in is not told.
                {**agent(7), "queue": "team:3", "kind": "transfer"},
                {**agent(7), "queue": "team:3", "kind": "left"},
                {
                    **agent(8),
                    "queue": "team:3",
                    "team": "team:3",
                    "kind": "accepted",
                    "via": "transfer",
                },
            ],
        ),
        (message(), [{**BOT, "kind": "bot_turn", "user_turn": True}]),
        (
            message(kind="outgoing", sender={"id": 1, "type": "agent_bot"}),
            [{**BOT, "kind": "bot_turn", "user_turn": False}],
        ),
        (
            message(kind=3, content_type="input_csat", status="resolved"),
            [{**COMMON, "kind": "survey_sent", "survey_id": "118", "question": "csat"}],
        ),
        (
            rated(5, 4),
            [
                {
                    **COMMON,
                    "kind": "survey_answered",
                    "survey_id": "118",
                    "question": "csat",
                    "scale": 5,
                    "score": 4,
                }
            ],
        ),
    ],
)
def test_events(native, events):
    assert told(native) == events
    assert key(json.dumps(native).encode()) == b"1/10"
    assert "secret" not in str(parsed(native))


@pytest.mark.parametrize(
    ("native", "name"),
    [
        (changed(changes={"labels": ([], ["x"])}), "conversation_updated"),
        (changed(changes={"status": ("open", "snoozed")}), "conversation_updated"),
        (changed(changes={"team_id": (2, 3)}, team=3, assignee=7), "conversation_updated"),
        (conversation() | {"event": "conversation_resolved"}, "conversation_resolved"),
        (conversation() | {"event": "conversation_status_changed"}, "conversation_status_changed"),
        (message(status="open"), "message_created:incoming"),
        (message(kind=1), "message_created:outgoing"),
        (message(kind="activity"), "message_created:activity"),
        (message(private=True), "message_created:incoming"),
        (message(name="message_updated"), "message_updated:incoming"),
        (rated(5, None), "message_updated:template"),
        (rated(5, 9), "survey:not_a_score"),
        ({"event": "webwidget_triggered", "id": 12}, "webwidget_triggered"),
        ({"event": "contact_created", "id": 12}, "contact_created"),
        ({"event": "conversation_typing_on"}, "conversation_typing_on"),
        ({"event": "automation_event.conversation_opened"}, "automation_event.conversation_opened"),
    ],
)
def test_the_rest_is_ignored_by_name(native, name):
    assert parsed(native) == ((), (name,), None)


def test_a_body_without_changes_tells_only_an_end():
    native = conversation(status="resolved") | {"event": "conversation_status_changed"}
    assert [event["kind"] for event in told(native)] == ["completed"]


def test_one_change_comes_under_two_names_and_counts_once():
    changes = {"status": ("pending", "open")}
    first = parsed(changed(changes=changes)).events
    second = parsed(changed(changes=changes, name="conversation_status_changed")).events
    assert [event.event_id for event in first] == [event.event_id for event in second]
    again = parsed(changed(60, changes=changes)).events
    assert not {event.event_id for event in first} & {event.event_id for event in again}


@pytest.mark.parametrize(
    ("channel", "name"),
    [
        ("Channel::Whatsapp", "whatsapp"),
        ("Channel::Email", "email"),
        ("Channel::TwilioSms", "sms"),
        ("Channel::Api", "other"),
        (None, "other"),
    ],
)
def test_channels(channel, name):
    native = conversation(channel=channel) | {"event": "conversation_created"}
    assert {event["channel"] for event in told(native)} == {name}


@pytest.mark.parametrize(
    ("stamp", "time"),
    [
        (START + 0.25, "2024-05-01T12:00:00.250000Z"),
        ("2024-05-01T12:00:00.250Z", "2024-05-01T12:00:00.250000Z"),
        ("2024-05-01 12:00:00 UTC", "2024-05-01T12:00:00Z"),
        ("2024-05-01T14:00:00+02:00", "2024-05-01T12:00:00Z"),
    ],
)
def test_times_are_epochs_and_texts(stamp, time):
    native = conversation(updated_at=stamp) | {"event": "conversation_created"}
    assert {event["occurred_at"] for event in told(native)} == {time}


CHAT = [
    conversation(0, "pending", created_at=START) | {"event": "conversation_created"},
    message(5),
    message(6, "outgoing", sender={"id": 1, "type": "agent_bot"}, id=119),
    message(20, id=120),
    changed(30, changes={"status": ("pending", "open")}),
    changed(90, changes={"assignee_id": (None, 7)}, assignee=7),
    changed(390, changes={"assignee_id": (7, 8)}, assignee=8),
    changed(990, changes={"status": ("open", "resolved")}, assignee=8, status="resolved"),
    message(991, "template", "resolved", content_type="input_csat", id=130),
    rated(2000, 5, id=130),
]


@pytest.mark.parametrize("order", [1, -1])
def test_a_chat_from_bot_to_survey_in_any_order(order):
    again = [native for native in CHAT for _ in range(2)][::order]
    outcome = read("chatwoot", json.dumps(again).encode())
    assert (outcome.records, outcome.refused, outcome.keys) == (20, [], {b"1/10"})
    (stay,) = outcome.facts("queue_segment")
    assert (stay.header.queue, stay.outcome, stay.wait_ms) == ("inbox:1", "answered", 60_000)
    served = [
        (s.header.performer_id, s.turns, s.bot_outcome, s.talk_ms)
        for s in outcome.facts("handling_segment")
    ]
    assert served == [("agent_bot", 2, "handoff", 30_000), ("7", 0, "", 300_000),
                      ("8", 0, "", 600_000)]  # fmt: skip
    (whole,) = outcome.facts("interaction")
    assert (whole.transfers, whole.handoffs, whole.ended_by) == (1, 1, "human")
    answers = [fact for fact in outcome.facts("survey") if fact.credit == "last"]
    assert [(fact.score, fact.scale) for fact in answers] == [(5, 5)]


@pytest.mark.parametrize(
    ("native", "detail"),
    [
        ({}, "event: expected the name of an event"),
        ([5], "expected a JSON object"),
        (
            conversation(inbox_id=None) | {"event": "conversation_created"},
            "inbox_id, id: expected the numbers of a conversation",
        ),
        (
            conversation(id="x") | {"event": "conversation_created"},
            "id: expected a whole number",
        ),
        (
            conversation(updated_at="soon") | {"event": "conversation_created"},
            "updated_at: expected a time",
        ),
        (
            conversation(updated_at=1e300) | {"event": "conversation_created"},
            "updated_at: expected a time",
        ),
        (
            conversation(updated_at=None, timestamp=None) | {"event": "conversation_created"},
            "timestamp: expected a time",
        ),
        (changed(changes={"assignee_id": (None, "7")}), "changed_attributes.assignee_id: expected"),
        (conversation(meta=[1]) | {"event": "conversation_created"}, "meta: expected an object"),
    ],
)
def test_what_chatwoot_never_sends_is_refused(native, detail):
    with pytest.raises(BadPayload) as refusal:
        parsed(native)
    assert refusal.value.reason == "invalid_event"
    assert refusal.value.detail.startswith(detail)


def test_keys_of_what_tells_no_conversation():
    for payload in (b"", b"{", b"[]", b"{}", b"\xff", b'{"event": "x", "id": "y"}'):
        assert key(payload) == fallback_key(payload)


@pytest.mark.samples
@pytest.mark.parametrize(
    ("name", "ignored"),
    [
        # Their bodies say pending, open and open, whatever their names say.
        ("conversation_opened.json", "conversation_opened"),
        ("conversation_resolved.json", "conversation_resolved"),
        ("conversation_status_changed.json", "conversation_status_changed"),
        ("message_created.json", "message_created:incoming"),
        ("message_updated.json", "message_updated:incoming"),
        ("webwidget_triggered.json", "webwidget_triggered"),
    ],
)
def test_published_bodies_contradict_their_names_and_tell_no_change(samples, name, ignored):
    outcome = read("chatwoot", samples / "chatwoot" / name)
    assert (outcome.records, outcome.refused, outcome.events) == (1, [], [])
    assert outcome.ignored == {ignored: 1}
