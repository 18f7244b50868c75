from __future__ import annotations

import io
import json

import pytest

from schemas.platforms.base import BadPayload, Options, fallback_key
from schemas.platforms.line import key, parse, split

from .reading import read, shown

START_MS = 1_714_564_800_000  # 2024-05-01T12:00:00Z
COMMON = {
    "source": "line",
    "occurred_at": "2024-05-01T12:00:05.250000Z",
    "interaction_id": "Ubot/U1",
    "channel": "line",
    "customer": "Ubot/U1",
    "performer_kind": "bot",
    "performer_id": "line",
}


def event(kind="message", second=5.25, user="U1", **changes):
    return {
        "type": kind,
        "mode": "active",
        "timestamp": START_MS + round(second * 1000),
        "source": {"type": "user", "userId": user},
        "webhookEventId": f"W-{user}-{second}",
        "deliveryContext": {"isRedelivery": False},
        "replyToken": "a secret",
        "message": {"id": f"{second}", "type": "text", "text": "a secret"},
        **changes,
    }


def body(*events):
    return {"destination": "Ubot", "events": list(events)}


def parsed(native):
    return parse(json.dumps(native).encode(), Options())


@pytest.mark.parametrize(
    ("native", "told"),
    [
        (event(), {"kind": "bot_turn", "user_turn": True}),
        (event("postback", postback={"data": "a secret"}), {"kind": "bot_turn", "user_turn": True}),
        (event(mode="standby"), {"kind": "bot_ended", "outcome": "handoff"}),
    ],
)
def test_events_of_a_user(native, told):
    (found,) = parsed(body(native)).events
    assert shown(found) == {**COMMON, **told}
    assert parsed({"destination": "Ubot"} | native).events == (found,)
    assert key(json.dumps(body(native)).encode()) == b"Ubot/U1"
    assert "secret" not in str(found)


@pytest.mark.parametrize(
    ("native", "name"),
    [
        (event("follow"), "follow"),
        (event("unfollow"), "unfollow"),
        (event("unsend"), "unsend"),
        (event("no such type"), "other"),
        (event(source={"type": "group", "groupId": "C1", "userId": "U1"}), "message:group"),
        (event("postback", source={"type": "room", "roomId": "R1"}), "postback:room"),
    ],
)
def test_the_rest_is_ignored_by_type(native, name):
    assert parsed(body(native)) == ((), (name,), None)


def test_a_body_without_events_is_a_verification():
    assert parsed(body()).ignored == ("verification",)
    assert read("line", json.dumps(body()).encode()).ignored == {"verification": 1}


def test_a_redelivery_counts_once_and_two_messages_of_one_moment_twice():
    again = event(deliveryContext={"isRedelivery": True}, replyToken="another")
    other = event(webhookEventId="W-other")
    ids = [found.event_id for found in parsed(body(event(), again, other)).events]
    assert ids[0] == ids[1] != ids[2]
    without = {name: value for name, value in event().items() if name != "webhookEventId"}
    assert parsed(body(without)).events[0].event_id == parsed(body(without)).events[0].event_id


def test_the_permission_to_answer_is_not_kept():
    outcome = read("line", json.dumps(body(event(), event(user="U2"))).encode())
    assert (outcome.records, outcome.keys) == (2, {b"Ubot/U1", b"Ubot/U2"})
    (piece,) = split(io.BytesIO(json.dumps(body(event())).encode()))
    assert b"replyToken" not in piece


def test_sessions_are_cut_by_silence_and_end_with_the_first_message_to_a_human():
    natives = [
        event(second=0),
        event(second=30),
        event(second=60, mode="standby"),
        event(second=90, mode="standby"),
        event(second=100_000, user="U2"),
    ]
    outcome = read("line", json.dumps(body(*natives)).encode())
    sessions = [
        (s.header.interaction_id, s.turns, s.bot_outcome) for s in outcome.facts("handling_segment")
    ]
    assert sessions == [("Ubot/U1", 2, "handoff"), ("Ubot/U2", 1, "")]


@pytest.mark.parametrize(
    ("native", "detail"),
    [
        ({}, "type: expected the type of an event"),
        ([5], "expected a JSON object"),
        (body(5), "expected a JSON object"),
        (event(), "destination, source.userId: expected text"),
        (body(event(source=None)), "destination, source.userId: expected text"),
        (body(event(source={"type": "user"})), "destination, source.userId: expected text"),
        (body(event(timestamp=None)), "timestamp: expected an epoch in milliseconds"),
        (body(event(timestamp="noon")), "timestamp: expected an epoch in milliseconds"),
        (body(event(timestamp=10**30)), "timestamp: expected an epoch"),
        (body(event(message="x")), "message: expected an object"),
    ],
)
def test_what_line_never_sends_is_refused(native, detail):
    with pytest.raises(BadPayload) as refusal:
        parsed(native)
    assert refusal.value.reason == "invalid_event"
    assert refusal.value.detail.startswith(detail)


def test_keys_of_what_tells_no_user():
    for payload in (b"", b"{", b"[]", b"{}", b"\xff", b'{"destination": "U"}', b'{"source": 5}'):
        assert key(payload) == fallback_key(payload)


@pytest.mark.samples
def test_a_real_body_of_every_type(samples):
    outcome = read("line", samples / "line" / "webhook.json")
    assert (outcome.records, outcome.refused) == (27, [])
    # Eight messages and four postbacks of users; three messages of groups and rooms.
    assert outcome.kinds == {"bot_turn": 12}
    assert outcome.ignored == {
        "message:group": 1, "message:room": 2, "follow": 1, "unfollow": 1, "join": 1, "leave": 1,
        "beacon": 2, "accountLink": 1, "memberJoined": 1, "memberLeft": 1, "unsend": 1,
        "videoPlayComplete": 1, "undefined": 1,
    }  # fmt: skip
