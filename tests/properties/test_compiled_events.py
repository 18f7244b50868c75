"""Compiled structs and the schema's authority: what the structs accept means the same to both."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import event as note
from hypothesis import given
from pydantic import ValidationError

from pipeline.folds.event import reduce
from schemas.compiled import STRUCTS, decode_event, encode_event
from schemas.interaction import EVENT_ADAPTER
from tests.support.event_bodies import ENVELOPE, bodies, field_names


@given(bodies())
def test_what_the_structs_accept_the_schema_accepts_and_means_the_same(body: bytes) -> None:
    decoded = decode_event(body)
    note("decoded" if decoded is not None else "left to the schema")
    if decoded is None:
        return
    validated = EVENT_ADAPTER.validate_json(body)
    assert {name: getattr(decoded, name) for name in (*field_names(decoded.kind), "kind")} == {
        name: getattr(validated, name) for name in (*field_names(validated.kind), "kind")
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
