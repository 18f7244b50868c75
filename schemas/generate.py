"""Writes the JSON Schemas and the AsyncAPI document in ``schemas/json/`` from the classes.

``python -m schemas.generate`` writes them; ``--check`` writes nothing and fails if one is stale.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec

from schemas.asyncapi import asyncapi
from schemas.dead_letters import HEADERS
from schemas.exhibit import SLIDING_MS, TUMBLING_SIZES, Exhibit
from schemas.facts import DIMENSIONS, FACT_KINDS, columns
from schemas.interaction import event_json_schema
from schemas.presets import preset_names
from schemas.sources import SourceHeard
from schemas.values import ExhibitClock, ExhibitValue

FOLDER: Final = Path(__file__).parent / "json"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_NUMBER: Final = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)"
TARGET_PATTERN: Final = rf"^\s*(?:(?:>=|<=)\s*{_NUMBER}|{_NUMBER}\s*\.\.\s*{_NUMBER})\s*$"
_TYPES: Final[dict[type, str]] = {str: "string", int: "integer", bool: "boolean"}

Schema = dict[str, Any]


def _document(name: str, title: str, body: Schema) -> Schema:
    return {"$schema": DIALECT, "$id": f"urn:cxstream:{name}:1", "title": title, **body}


def _without_titles(node: Any) -> Any:
    """The schema without the titles that repeat the names of its properties."""
    if isinstance(node, dict):
        kept = {k: v for k, v in node.items() if not (k == "title" and isinstance(v, str))}
        return {key: _without_titles(value) for key, value in kept.items()}
    return [_without_titles(item) for item in node] if isinstance(node, list) else node


def event_schema() -> Schema:
    """The unified event: the value of a record on ``cx.interactions``."""
    body = _without_titles(event_json_schema())
    return _document("interaction-event", "Unified interaction event", _factored(body))


def _factored(body: Schema) -> Schema:
    """The schema of a union with what all members share said once, in ``Envelope``."""
    members = list(body["$defs"].values())
    first = members[0]["properties"]
    shared = {
        name: told
        for name, told in first.items()
        if all(member["properties"].get(name) == told for member in members)
    }
    envelope = {"type": "object", "properties": shared}
    envelope["required"] = [name for name in members[0]["required"] if name in shared]
    for member in members:
        own = {k: v for k, v in member["properties"].items() if k not in shared}
        member["properties"] = own
        member["required"] = [name for name in member["required"] if name in own]
        member["allOf"] = [{"$ref": "#/$defs/Envelope"}]
    return {**body, "$defs": {"Envelope": envelope, **body["$defs"]}}


def exhibit_value_schema() -> Schema:
    """An exhibit value: the value of a record on ``cx.kpis``, a line of ``replay --json``."""
    body = _one_line(msgspec.json.schema(ExhibitValue))
    return _document("exhibit-value", "Exhibit value", _without_titles(body))


def exhibit_clock_schema() -> Schema:
    """The clock of exhibit values: the value of a record on ``cx.clocks``."""
    body = _one_line(msgspec.json.schema(ExhibitClock))
    return _document("exhibit-clock", "Clock of exhibit values", _without_titles(body))


def source_heard_schema() -> Schema:
    """When a source was heard last: the value of a record on ``cx.sources``."""
    body = _one_line(msgspec.json.schema(SourceHeard))
    return _document("source-heard", "When a source was heard last", _without_titles(body))


def _one_line(node: Any) -> Any:
    """The schema with descriptions as docstrings mean them: without line ends and indents."""
    if isinstance(node, dict):
        return {
            key: " ".join(value.split())
            if key == "description" and isinstance(value, str)
            else _one_line(value)
            for key, value in node.items()
        }
    return [_one_line(item) for item in node] if isinstance(node, list) else node


def fact_schema() -> Schema:
    """A fact: the value of a record on ``cx.facts``; a deletion has no columns."""
    names = {kind: cls.__name__ for kind, cls in FACT_KINDS.items()}
    kinds = {name: _fact(kind) for kind, name in names.items()}
    gone = _object(_identity({"enum": sorted(FACT_KINDS)}, deleted=True))
    gone["description"] = "The fact does not exist any more."
    order = ["Deleted", *kinds]
    body = {
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in order],
        "$defs": {"Deleted": gone, **kinds},
    }
    return _document("fact", "Fact", body)


def _identity(kind: Schema, *, deleted: bool) -> Schema:
    return {
        "kind": kind,
        "fact_id": {"type": "string", "minLength": 1, "description": "immutable id"},
        "version": {
            "type": "integer", "minimum": 0,
            "description": "made of content; a higher one replaces a lower one",
        },
        "deleted": {"const": deleted},
    }  # fmt: skip


def _fact(kind: str) -> Schema:
    properties = _identity({"const": kind}, deleted=False)
    for column in columns(kind):
        name = _TYPES[column.type]
        properties[column.name] = {
            "type": [name, "null"] if column.nullable else name,
            "description": column.comment,
        }
    doc = FACT_KINDS[kind].__doc__ or ""
    return {"description": doc.partition("\n\n")[0], **_object(properties)}


def _object(properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}


def dead_letter_schema() -> Schema:
    """Headers of a record on ``cx.dead-letters``, as text."""
    properties = {
        name: {**field.schema, "description": field.comment} for name, field in HEADERS.items()
    }
    return _document("dead-letter-headers", "Headers of a dead letter", _object(properties))


def exhibit_schema() -> Schema:
    """An exhibit file, for editors. Ids and parameters of KPIs are the catalogue's to check."""
    body: Schema = _without_titles(Exhibit.model_json_schema(by_alias=True))
    entry = body["$defs"]["KpiEntry"]
    entry["required"] = ["kpi"]
    target = entry["properties"]["target"]
    entry["properties"]["target"] = {
        "type": "string", "pattern": TARGET_PATTERN, "description": target["description"],
    }  # fmt: skip
    dimension = {"enum": list(DIMENSIONS)}
    patterns = {"type": "array", "minItems": 1, "items": {"type": "string"}}
    body["properties"]["by"] = {"type": "array", "items": dimension, "default": []}
    body["properties"]["where"] = {
        "type": "object",
        "propertyNames": dimension,
        "additionalProperties": {"anyOf": [{"type": "string"}, patterns]},
        "default": {},
    }
    tumbling = _object({"tumbling": {"enum": list(TUMBLING_SIZES)}})
    body["properties"]["windows"] = {
        "type": "array",
        "minItems": 1,
        "items": {
            "anyOf": [
                {"enum": [*SLIDING_MS, "today", "all"]},
                {**tumbling, "additionalProperties": False},
            ]
        },
        "default": ["15m", "1h", "today", "all"],
    }
    body["$defs"] = {"Alert": body["$defs"]["Alert"], "KpiEntry": entry}
    body["properties"]["preset"]["enum"] = [*preset_names(), None]
    return _document("exhibit", "Exhibit file", body)


def documents() -> dict[str, str]:
    """Every generated file of ``schemas/json/``: name and text."""
    made = {
        "interaction-event.schema.json": event_schema(),
        "fact.schema.json": fact_schema(),
        "exhibit-value.schema.json": exhibit_value_schema(),
        "exhibit-clock.schema.json": exhibit_clock_schema(),
        "source-heard.schema.json": source_heard_schema(),
        "exhibit.schema.json": exhibit_schema(),
        "dead-letter-headers.schema.json": dead_letter_schema(),
        "asyncapi.json": asyncapi(version("cxstream")),
    }
    return {name: json.dumps(body, indent=2) + "\n" for name, body in made.items()}


def stale() -> list[str]:
    """Names of files that are missing, differ from what is generated, or are left over."""
    wanted = documents()
    found = {path.name: path.read_text("utf-8") for path in sorted(FOLDER.glob("*.json"))}
    return sorted(name for name in wanted.keys() | found if wanted.get(name) != found.get(name))


def main(arguments: Sequence[str]) -> int:
    """Write the files, or with ``--check`` say which are stale; the exit code."""
    changed = stale()
    if "--check" in arguments:
        for name in changed:
            sys.stderr.write(f"schemas/json/{name} is stale; run: make docs\n")
        return 1 if changed else 0
    FOLDER.mkdir(exist_ok=True)
    wanted = documents()
    for name in changed:
        if name in wanted:
            (FOLDER / name).write_text(wanted[name], "utf-8")
        else:
            (FOLDER / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
