"""Whatever bytes come, a platform gives events or a refusal, the same each time."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.interaction import EVENT_ADAPTER
from schemas.platforms import find_platform, platform_names
from schemas.platforms.base import MAX_DETAIL_CHARS, BadPayload, Parsed

from .test_amazon_connect import (
    GONE,
    IN_QUEUE,
    RECORD,
    WITH_AGENT,
    agent_event,
    contact,
    detail,
    enveloped,
    packed,
    snapshot,
)
from .test_asterisk_queue_log import line, row
from .test_bank_call_log import FREE, HUNG_UP, NEGATIVE, PUBLISHED, SERVED
from .test_chatwoot import CHAT, changed
from .test_genesys_cloud import AGENT, CALLER, IVR, LIVE, STAY, conversation
from .test_genesys_cloud import enveloped as of_genesys
from .test_interactions import written
from .test_line import body
from .test_line import event as of_line
from .test_rasa import message, said
from .test_twilio_taskrouter import CALL, callback, streamed

JSON_GOOD: dict[str, list[Any]] = {
    "amazon_connect": [
        enveloped(detail("DISCONNECTED", **WITH_AGENT, **GONE)),
        detail("QUEUED", **IN_QUEUE),
        detail("INITIATED", initiationMethod="TRANSFER", previousContactId="c0"),
        RECORD | {"Attributes": {"csat": "4"}},
        RECORD | {"Agent": None},
        agent_event(snapshot(contacts=[contact("CONNECTED_ONHOLD")]), snapshot("Lunch")),
        {"Records": [{"kinesis": {"data": packed(RECORD)}}]},
    ],
    "asterisk_queue_log": [row(), row(event="ATTENDEDTRANSFER", data1="LINK"), row(event="PAUSE")],
    "bank_call_log": [],
    "chatwoot": [*CHAT, changed(changes={"team_id": (2, 3)}, team=3)],
    "genesys_cloud": [
        *LIVE,
        of_genesys(LIVE[0]),
        conversation(CALLER, IVR, STAY, AGENT),
        {"conversations": [conversation(CALLER, STAY)]},
    ],
    "interactions": [json.loads(written()), json.loads(written(kind="completed", talk_ms=5))],
    "line": [of_line(), of_line("postback"), body(of_line(mode="standby"), of_line())],
    "rasa": [
        said(),
        message("pause"),
        {"sender_id": "s", "events": [message("bot")]},
        {"sender_id": "s", "type_name": "bot", "data": json.dumps(message("bot"))},
    ],
    "twilio_taskrouter": [*CALL, streamed(CALL[0]), callback("task.canceled")],
}
LINES_GOOD: dict[str, list[bytes]] = {
    "asterisk_queue_log": [line("COMPLETEAGENT", "1", "2"), line("ENTERQUEUE", "", "5")],
    "bank_call_log": [SERVED, HUNG_UP, FREE, NEGATIVE, PUBLISHED],
}
OPTIONS = {
    "amazon_connect": ["csat_attribute=csat"],
    "asterisk_queue_log": ["time_zone=America/Montreal"],
    "bank_call_log": ["time_zone=Asia/Jerusalem"],
}

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**300, max_value=10**301),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.sampled_from(
        [
            "",
            "NONE",
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-14:00",
            "24:00",
            "٣",
            "x" * 600,
        ]
    ),
    st.lists(st.integers(), max_size=2),
    st.just({}),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
)
JSON = st.recursive(ODD, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


def outcome_of(name: str, payload: bytes) -> Parsed | BadPayload:
    platform = find_platform(name)
    try:
        return platform.parse(payload, platform.options(OPTIONS.get(name, [])))
    except BadPayload as refusal:
        return refusal


def check(name: str, payload: bytes) -> None:
    platform = find_platform(name)
    options = platform.options(OPTIONS.get(name, []))
    assert isinstance(platform.key(payload), bytes)
    assert 0 < len(platform.key(payload)) <= 4 * 512 + len("performer:")
    parsed = outcome_of(name, payload)
    if isinstance(parsed, BadPayload):
        assert 0 < len(parsed.detail) <= MAX_DETAIL_CHARS
        return
    assert parsed.events or parsed.ignored
    assert platform.parse(payload, options) == parsed
    for event in parsed.events:
        assert EVENT_ADAPTER.validate_json(event.model_dump_json()) == event


@st.composite
def mutated(draw: st.DrawFn, good: list[Any]) -> Any:
    """A good document with one value, anywhere in it, made odd or taken out."""
    document = json.loads(json.dumps(draw(st.sampled_from(good))))
    place = document
    while True:
        step = draw(
            st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place)))
        )
        inner = place[step]
        if isinstance(inner, dict | list) and inner and draw(st.booleans()):
            place = inner
            continue
        if draw(st.booleans()):
            place[step] = draw(ODD)
        else:
            del place[step]
        return document


@pytest.mark.parametrize("name", platform_names())
@settings(max_examples=60, deadline=None)
@given(payload=st.binary(max_size=80) | st.text(max_size=60).map(lambda text: text.encode()))
def test_random_bytes(name, payload):
    check(name, payload)


@pytest.mark.parametrize("name", platform_names())
@settings(max_examples=60, deadline=None)
@given(document=JSON)
def test_random_json(name, document):
    check(name, json.dumps(document).encode())
    check(name, json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("name", [name for name, good in JSON_GOOD.items() if good])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_good_json_with_one_odd_value(name, data):
    check(name, json.dumps(data.draw(mutated(JSON_GOOD[name]))).encode())


@pytest.mark.parametrize("name", LINES_GOOD)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_good_lines_with_one_odd_field(name, data):
    separator = b"|" if name == "asterisk_queue_log" else b","
    fields = data.draw(st.sampled_from(LINES_GOOD[name])).split(separator)
    place = data.draw(st.integers(0, len(fields) - 1))
    odd = data.draw(
        st.text(max_size=12).map(str.encode)
        | st.binary(max_size=6)
        | st.integers().map(lambda number: str(number).encode())
    )
    fields[place] = odd
    check(name, separator.join(fields))


@pytest.mark.parametrize("name", platform_names())
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_good_payloads_with_bytes_changed(name, data):
    good = [json.dumps(native).encode() for native in JSON_GOOD[name]] + LINES_GOOD.get(name, [])
    payload = bytearray(data.draw(st.sampled_from(good)))
    start = data.draw(st.integers(0, len(payload) - 1))
    payload[start : start + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    check(name, bytes(payload))


@pytest.mark.parametrize("name", platform_names())
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_files_of_good_and_bad_pieces(name, data):
    good = [json.dumps(native).encode() for native in JSON_GOOD[name]] + LINES_GOOD.get(name, [])
    pieces = st.lists(
        st.sampled_from([*good, b"\n", b"\n", b"[", b",", b"]"]) | st.binary(max_size=9)
    )
    for record in find_platform(name).split(io.BytesIO(b"".join(data.draw(pieces)))):
        assert isinstance(record, bytes)
        check(name, record)


@pytest.mark.parametrize("name", platform_names())
def test_deep_nesting(name):
    for depth in (100, 500, 900, 990, 5000, 100_000):
        for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
            check(name, opening * depth + b"1" + closing * depth)
