from __future__ import annotations

import json

import msgspec
import pytest

from pipeline.folds.rows import Row
from pipeline.stages.wire import dead_letter_headers
from schemas.dead_letters import HEADERS
from schemas.exhibit import Exhibit, KpiEntry, parse_target
from schemas.exhibit_file import load_exhibit
from schemas.fact_records import encode_fact
from schemas.facts import FACT_KINDS, Header, QueueSegment
from schemas.generate import (
    FOLDER,
    dead_letter_schema,
    documents,
    event_schema,
    exhibit_schema,
    exhibit_value_schema,
    fact_schema,
    main,
    stale,
)
from schemas.interaction import EVENT_CLASSES
from schemas.topics import TOPICS
from schemas.values import ExhibitValue, WindowRef, encode_value
from tests.unit.schemas.json_schema import errors

ROW = Row("q1", "queue_segment", QueueSegment(
    Header(interaction_id="i1", channel="voice", queue="sales"),
    "leg-1", 1_000, 4_500, "answered", "", 3_500, after_bot=False,
))  # fmt: skip
VALUE = ExhibitValue(
    exhibit="e", exhibit_version=1, kpi="service_level", kpi_version=1, name="sl",
    parameters={"mode": "A", "threshold_seconds": 20}, attribution="arrival",
    window=WindowRef("sliding", "15m", "2026-03-02T09:00:00Z", "2026-03-02T09:15:00Z"),
    dimensions={"queue": "*"}, state="provisional", revision=0, as_of="2026-03-02T09:15:00Z",
    numerator=6, denominator=20, value=0.3, unit="ratio", n=20, low=0.1455, high=0.519,
    target=">= 0.80", status="missed",
)  # fmt: skip


def test_what_lies_in_the_folder_is_what_is_generated():
    assert stale() == [], "run: make docs"


def test_a_changed_file_is_stale_and_check_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("schemas.generate.FOLDER", tmp_path)
    assert main([]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(documents())
    (tmp_path / "fact.schema.json").write_text("{}\n", "utf-8")
    (tmp_path / "old.schema.json").write_text("{}\n", "utf-8")
    assert main(["--check"]) == 1
    assert capsys.readouterr().err == (
        "schemas/json/fact.schema.json is stale; run: make docs\n"
        "schemas/json/old.schema.json is stale; run: make docs\n"
    )
    assert main([]) == 0
    assert main(["--check"]) == 0
    assert not (tmp_path / "old.schema.json").exists()


def test_the_event_schema_says_the_envelope_once_and_leaves_nothing_out():
    schema = event_schema()
    envelope = schema["$defs"]["Envelope"]
    assert envelope["required"] == [
        "event_id", "source", "occurred_at", "interaction_id", "channel",
    ]  # fmt: skip
    for kind, cls in EVENT_CLASSES.items():
        own = schema["$defs"][cls.__name__]
        assert own["properties"]["kind"]["const"] == kind
        assert own["properties"].keys() | envelope["properties"].keys() == cls.model_fields.keys()


def test_a_fact_message_fits_its_schema_and_a_wrong_one_does_not():
    schema = fact_schema()
    assert schema["$defs"].keys() == {"Deleted"} | {c.__name__ for c in FACT_KINDS.values()}
    told = json.loads(encode_fact(ROW.kind, ROW.fact_id, 7, ROW.fact))
    assert errors(schema, told) == []
    gone = json.loads(encode_fact(ROW.kind, ROW.fact_id, 8, None))
    assert gone == {"kind": "queue_segment", "fact_id": "q1", "version": 8, "deleted": True}
    assert errors(schema, gone) == []
    misfit = [f"$: fits 0 of {len(FACT_KINDS) + 1}"]
    assert errors(schema, told | {"wait_ms": "3500"}) == misfit
    assert errors(schema, {k: v for k, v in told.items() if k != "queue"}) == misfit


def test_an_exhibit_value_fits_its_schema():
    schema = exhibit_value_schema()
    told = json.loads(encode_value(VALUE))
    assert told["as"] == "sl"
    assert errors(schema, told) == []
    assert errors(schema, told | {"status": "fine"}) == [
        "$.status: none of ['met', 'missed', 'n_below_min', 'no_target', 'trending', 'undefined']"
    ]
    undefined = msgspec.structs.replace(VALUE, value=None, low=None, high=None, denominator=0, n=0)
    assert errors(schema, json.loads(encode_value(undefined))) == []


def test_the_exhibit_schema_knows_the_keys_that_the_loader_knows():
    schema = exhibit_schema()
    assert schema["properties"].keys() == Exhibit.model_fields.keys()
    in_file = {info.alias or name for name, info in KpiEntry.model_fields.items()}
    assert schema["$defs"]["KpiEntry"]["properties"].keys() == in_file


@pytest.mark.parametrize(
    ("change", "defects"),
    [
        ({}, []),
        ({"by": ["quue"]}, ["$.by[0]: none of"]),
        ({"windows": ["10m"]}, ["$.windows[0]: fits none of 2"]),
        ({"windows": [{"tumbling": "30m"}, "all"]}, []),
        ({"where": {"queue": "sales-*", "channel": ["voice", "email"]}}, []),
        ({"where": {"shoe_size": ["42"]}}, ["$.where.shoe_size: none of"]),
        ({"colour": "red"}, ["$: unknown colour"]),
        ({"kpis": []}, ["$.kpis: fewer than 1"]),
    ],
)
def test_the_exhibit_schema_refuses_what_the_loader_refuses(change, defects):
    exhibit = {"exhibit": "e", "kpis": [{"kpi": "asa", "target": "<= 30"}]} | change
    found = errors(exhibit_schema(), exhibit)
    assert len(found) == len(defects)
    assert all(told.startswith(wanted) for told, wanted in zip(found, defects, strict=True))
    if defects:
        with pytest.raises(ValueError, match=r":\d+:\d+: "):
            load_exhibit(json.dumps(exhibit))
    else:
        assert load_exhibit(json.dumps(exhibit)).exhibit == "e"


@pytest.mark.parametrize(
    ("target", "good"),
    [(">= 0.80", True), ("<=300", True), ("0.10..0.25", True), ("-5 .. +.5", True),
     ("> 0.80", False), ("0.80", False), (">= 80 %", False), ("a..b", False)],
)  # fmt: skip
def test_the_target_pattern_agrees_with_the_parser(target, good):
    exhibit = {"exhibit": "e", "kpis": [{"kpi": "asa", "target": target}]}
    assert (errors(exhibit_schema(), exhibit) == []) is good
    if good:
        assert parse_target(target).text == target
    else:
        with pytest.raises(ValueError, match="is not a target"):
            parse_target(target)


def test_dead_letters_carry_the_headers_that_are_written_down():
    headers = dead_letter_headers(
        topic="cx.raw.demo", partition=3, offset=17, timestamp_ms=5,
        reason="bad_json", detail="line 1", payload=b"{",
    )  # fmt: skip
    assert [name for name, _ in headers] == list(HEADERS)
    told = {name: value.decode() for name, value in headers}
    assert told["bytes"] == "1"
    assert errors(dead_letter_schema(), told) == []
    assert errors(dead_letter_schema(), told | {"offset": "-1"}) == [
        "$.offset: does not match ^[0-9]+$"
    ]


def test_asyncapi_names_every_topic_and_every_reference_leads_somewhere():
    document = json.loads((FOLDER / "asyncapi.json").read_text("utf-8"))
    assert document["asyncapi"] == "3.0.0"
    addresses = {channel["address"] for channel in document["channels"].values()}
    assert addresses == set(TOPICS) | {"cx.raw.{platform}"}
    assert document["operations"]["intakeSendsInteractions"] == {
        "action": "send",
        "channel": {"$ref": "#/channels/interactions"},
        "summary": "intake sends",
    }
    references = list(_references(document))
    assert len(references) > len(document["operations"])
    for reference in references:
        if reference.startswith("#/"):
            node = document
            for part in reference[2:].split("/"):
                node = node[part]
        else:
            assert (FOLDER / reference).is_file()


def _references(node):
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
