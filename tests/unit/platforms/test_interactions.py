from __future__ import annotations

import json

import pytest

from schemas.platforms.base import BadPayload, Options, fallback_key
from schemas.platforms.interactions import key, parse

from .reading import read, shown

STARTED = {
    "event_id": "e1",
    "kind": "started",
    "source": "demo",
    "occurred_at": "2024-05-01T12:00:00+02:00",
    "interaction_id": "i1",
    "channel": "voice",
}


def written(**changes):
    told = {**STARTED, **changes}
    return json.dumps({name: value for name, value in told.items() if value is not ...}).encode()


def refusal_of(payload):
    with pytest.raises(BadPayload) as refusal:
        parse(payload, Options())
    return refusal.value


def test_an_event_is_taken_as_it_is():
    (event,) = parse(
        written(
            kind="accepted",
            via="queue",
            wait_ms=7000,
            customer="+15555550123",
            unheard_of="kept out",
        ),
        Options(),
    ).events
    assert event.event_id == "e1"
    assert shown(event) == {
        "source": "demo",
        "occurred_at": "2024-05-01T12:00:00+02:00",
        "interaction_id": "i1",
        "channel": "voice",
        "customer": "+15555550123",
        "kind": "accepted",
        "via": "queue",
        "wait_ms": 7000,
    }


def test_an_array_gives_its_events_in_order():
    payload = b"[" + written() + b", " + written(event_id="e2", kind="queued") + b"]"
    assert [event.event_id for event in parse(payload, Options()).events] == ["e1", "e2"]
    assert key(payload) == b"i1"


@pytest.mark.parametrize(
    ("payload", "reason", "detail"),
    [
        (written(kind="teleported"), "unknown_kind", "kind: teleported is not known"),
        (written(kind="call me at 5"), "unknown_kind", "kind: other is not known"),
        (written(kind=5), "invalid_event", "kind: expected the name of an event kind"),
        (written(kind=...), "invalid_event", "kind: expected the name of an event kind"),
        (written(kind="tick"), "invalid_event", "kind: tick is the pipeline's own"),
        (written(event_id=...), "invalid_event", "event_id: Field required"),
        (written(event_id=7), "invalid_event", "event_id: Input should be a valid string"),
        (
            written(interaction_id=""),
            "invalid_event",
            "interaction_id: String should have at least 1 character",
        ),
        (
            written(occurred_at="2024-05-01T12:00:00"),
            "invalid_event",
            "occurred_at: Input should have timezone info",
        ),
        (
            written(occurred_at="1714557600"),
            "invalid_event",
            "occurred_at: expected RFC 3339 with an offset",
        ),
        (
            written(due_at="1714557600.5"),
            "invalid_event",
            "due_at: expected RFC 3339 with an offset",
        ),
        (
            written(occurred_at=1714557600),
            "invalid_event",
            "occurred_at: Input should be a valid datetime",
        ),
        (
            written(kind="accepted", wait_ms=-1),
            "invalid_event",
            "wait_ms: Input should be greater than or equal to 0",
        ),
        (b"5", "invalid_event", "expected a JSON object"),
        (b"[]", "null_value", "expected a value, the array is empty"),
        (b"[5]", "invalid_event", "expected a JSON object"),
        (b"null", "null_value", "expected a value, it is null"),
        (b"", "null_value", "expected a value, it is empty"),
        (b'{"kind": "\xe9"}', "bad_utf8", "byte 10: expected UTF-8"),
    ],
)
def test_what_is_no_event_is_refused_with_its_field(payload, reason, detail):
    refusal = refusal_of(payload)
    assert (refusal.reason, refusal.detail) == (reason, detail)


@pytest.mark.parametrize("payload", [b"{", b'{"a":1,}', b"started", b"[" * 5000 + b"]" * 5000])
def test_what_is_no_json_is_refused(payload):
    assert refusal_of(payload).reason == "bad_json"


def test_a_refusal_never_repeats_what_was_written():
    secret = "+15555550123"  # noqa: S105 - a phone number of films
    for field in ("kind", "occurred_at", "channel", "customer", "due_at", "direction"):
        for value in (secret, [secret], {secret: secret}):
            payload = written(**{field: value})
            if field == "customer" and value == secret:
                continue
            assert secret not in refusal_of(payload).detail, field


def test_one_bad_event_of_an_array_refuses_the_record():
    payload = b"[" + written() + b"," + written(kind="teleported") + b"]"
    assert refusal_of(payload).reason == "unknown_kind"


def test_the_key_is_the_interaction():
    assert key(written()) == b"i1"
    assert key(b"\xef\xbb\xbf" + written(kind="teleported")) == b"i1"
    for payload in (b"", b"{", b"[]", b"\xff", written(interaction_id=5), b"[" * 5000):
        assert key(payload) == fallback_key(payload)


def test_a_file_keeps_its_good_lines():
    data = b"\n".join(
        [written(), b'{"kind":', written(event_id="e2", kind="teleported"), written(event_id="e3")]
    )
    outcome = read("interactions", data)
    assert outcome.records == 4
    assert [event.event_id for event in outcome.events] == ["e1", "e3"]
    assert outcome.refused == ["bad_json", "unknown_kind"]


def test_an_array_in_a_file_is_cut_into_events():
    data = b"[" + written() + b",\n" + written(event_id="e2") + b", 5]"
    outcome = read("interactions", data)
    assert (outcome.records, outcome.kinds, outcome.refused) == (
        3,
        {"started": 2},
        ["invalid_event"],
    )
