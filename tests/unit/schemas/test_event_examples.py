from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from schemas.generate import FOLDER, event_schema
from schemas.interaction import EVENT_ADAPTER, EVENT_CLASSES, KINDS, SCHEMA_VERSION
from schemas.platforms import find_platform
from schemas.platforms.base import BadPayload
from tests.unit.schemas.json_schema import errors

EXAMPLES = FOLDER.parent / "examples"
FILES = sorted(EXAMPLES.glob("*/v*/*.json"))
INTERACTIONS = find_platform("interactions")


def named(path: Path) -> str:
    return str(path.relative_to(EXAMPLES))


def test_every_kind_has_an_example_of_every_version():
    found = {(path.parts[-3], path.parts[-2]) for path in FILES}
    assert found == {(kind, f"v{v}") for kind in KINDS for v in range(1, SCHEMA_VERSION + 1)}


@pytest.mark.parametrize("path", FILES, ids=named)
def test_an_example_is_valid_and_says_what_was_written(path):
    text = path.read_text("utf-8")
    told = json.loads(text)
    assert told["kind"] == path.parts[-3]
    event = EVENT_ADAPTER.validate_json(text)
    assert type(event) is EVENT_CLASSES[told["kind"]]
    assert set(told) <= event.model_fields_set
    assert errors(event_schema(), told) == []


@pytest.mark.parametrize("path", FILES, ids=named)
def test_unknown_fields_are_ignored(path):
    told = json.loads(path.read_text("utf-8"))
    newer = told | {"invented_later": {"deep": [1, 2]}}
    assert EVENT_ADAPTER.validate_json(json.dumps(newer)) == EVENT_ADAPTER.validate_json(
        json.dumps(told)
    )
    assert errors(event_schema(), newer) == []


@pytest.mark.parametrize("path", FILES, ids=named)
def test_unknown_kinds_are_refused(path):
    told = json.loads(path.read_text("utf-8")) | {"kind": "invented_later"}
    with pytest.raises(ValidationError, match="union_tag_invalid"):
        EVENT_ADAPTER.validate_json(json.dumps(told))
    assert errors(event_schema(), told) == ["$: fits 0 of 33"]
    with pytest.raises(BadPayload) as refused:
        INTERACTIONS.parse(json.dumps(told).encode(), INTERACTIONS.options())
    assert refused.value.reason == "unknown_kind"


@pytest.mark.parametrize("path", FILES, ids=named)
def test_intake_takes_examples_but_no_tick(path):
    payload = path.read_bytes()
    told = json.loads(payload)
    assert INTERACTIONS.key(payload) == told["interaction_id"].encode()
    if told["kind"] == "tick":
        with pytest.raises(BadPayload, match="tick is the pipeline's own"):
            INTERACTIONS.parse(payload, INTERACTIONS.options())
    else:
        (event,) = INTERACTIONS.parse(payload, INTERACTIONS.options()).events
        assert event.event_id == told["event_id"]


@pytest.mark.parametrize("name", ["event_id", "source", "occurred_at", "interaction_id", "channel"])
def test_what_is_required_is_required_in_both_schemas(name):
    told = json.loads((EXAMPLES / "queued/v1/plain.json").read_text("utf-8"))
    assert errors(event_schema(), told) == []
    del told[name]
    assert errors(event_schema(), told) == ["$: fits 0 of 33"]
    with pytest.raises(ValidationError, match=name):
        EVENT_ADAPTER.validate_json(json.dumps(told))
