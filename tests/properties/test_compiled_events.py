"""Compiled structs and the schema's authority: what the structs accept means the same to both."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.folds.event import reduce
from schemas.compiled import STRUCTS, decode_event, encode_event
from schemas.interaction import EVENT_ADAPTER, EVENT_CLASSES

ENVELOPE = {
    "event_id": "e1", "source": "test", "occurred_at": "2026-06-01T10:00:00Z",
    "interaction_id": "i1", "channel": "voice",
}  # fmt: skip

TIMES = [
    "2026-06-01T10:00:00.250Z", "2026-06-01 10:00:00+02:00", "2026-06-01t10:00:00-0330",
    "2026-06-01T10:00:00.9999999Z", "2026-06-01T10:00Z", "2026-06-01T10:00:00", "1780300800",
    1780300800, "2026-02-30T10:00:00Z", "2026-06-01T23:59:60Z", "0001-01-01T00:00:00+10:00",
]  # fmt: skip
NUMBERS = [
    0, 1, -1, 100, 101, 1.0, 0.5, 1.5, -0.0, True, 400 * 86_400_000, 400 * 86_400_000 + 1,
    2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**30, "1", None,
]  # fmt: skip
TEXTS = [
    "", "a", "é", "\u0000", "x" * 256, "x" * 257, "x" * 512, "x" * 513, "\U0001f600" * 256,
    "voice", "human", "home", "inbound", "queue", "resolved", "pass", "csat", "forecast", "timeout",
    None, 1, False, [], {},
]  # fmt: skip


def _names(kind: str) -> list[str]:
    return [name for name in EVENT_CLASSES[kind].model_fields if name != "kind"]


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Events of any kind with fields right, wrong and at the edge, keys in any order, or twice."""
    kind = draw(st.sampled_from(sorted(EVENT_CLASSES)))
    told: dict[str, Any] = {**ENVELOPE, "kind": kind}
    for name in draw(st.lists(st.sampled_from([*_names(kind), "unknown"]), max_size=4)):
        told[name] = draw(st.sampled_from([*TIMES, *NUMBERS, *TEXTS]))
    for name in draw(st.lists(st.sampled_from(sorted(told)), max_size=1)):
        del told[name]
    pairs = draw(st.permutations(list(told.items())))
    if pairs and draw(st.booleans()):
        pairs.append((pairs[0][0], draw(st.sampled_from(TEXTS))))
    ascii_only = draw(st.booleans())
    return (
        "{" + ",".join(
            f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=ascii_only)}"
            for name, value in pairs
        ) + "}"
    ).encode()  # fmt: skip


@given(bodies())
def test_what_the_structs_accept_the_schema_accepts_and_means_the_same(body: bytes) -> None:
    decoded = decode_event(body)
    note("decoded" if decoded is not None else "left to the schema")
    if decoded is None:
        return
    validated = EVENT_ADAPTER.validate_json(body)
    assert {name: getattr(decoded, name) for name in (*_names(decoded.kind), "kind")} == {
        name: getattr(validated, name) for name in (*_names(validated.kind), "kind")
    }
    assert reduce(decoded) == reduce(validated)
    assert EVENT_ADAPTER.validate_json(encode_event(decoded)) == validated


@pytest.mark.parametrize("kind", sorted(STRUCTS))
def test_a_plain_event_of_each_kind_is_decoded_without_the_schema(kind: str) -> None:
    own = {"survey_answered": {"question": "csat", "scale": 5, "score": 4},
           "performer_state": {"state": "busy"}}.get(kind, {})  # fmt: skip
    body = json.dumps({**ENVELOPE, **own, "kind": kind}).encode()
    decoded = decode_event(body)
    assert decoded is not None
    assert (decoded.kind, decoded.event_id) == (kind, "e1")


@pytest.mark.parametrize(
    "told",
    [
        {"kind": "tick"},
        {"kind": "unheard_of"},
        {"kind": "started", "occurred_at": "2026-06-01T10:00:00"},
        {"kind": "started", "event_id": ""},
        {"kind": "started", "channel": "telegraph"},
        {"kind": "survey_answered", "question": "csat", "scale": 0, "score": 0},
    ],
)
def test_what_is_wrong_is_left_to_the_schema(told: dict[str, Any]) -> None:
    body = json.dumps(ENVELOPE | told).encode()
    assert decode_event(body) is None
    if told["kind"] != "tick":
        with pytest.raises(ValidationError):
            EVENT_ADAPTER.validate_json(body)
