"""The AsyncAPI 3 document of the topics, made from :mod:`schemas.topics`."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from schemas.topics import (
    CLOCKS,
    CONTACTS,
    DEAD_LETTERS,
    EXHIBITS,
    FACTS,
    INTERACTIONS,
    KPIS,
    PARTIALS,
    PERFORMANCES,
    PROBES,
    SOURCES,
    TOPICS,
    Topic,
    raw_topic_row,
)

ASYNCAPI_VERSION: Final = "3.0.0"
_JSON_SCHEMA: Final = "application/schema+json;version=draft-2020-12"
_ANYTHING: Final[dict[str, Any]] = {}


class _Message(NamedTuple):
    name: str
    content_type: str
    summary: str
    schema: str | None = None
    headers: dict[str, Any] | None = None


def _constant_header(name: str, value: str) -> dict[str, Any]:
    return {"type": "object", "required": [name], "properties": {name: {"const": value}}}


_INTERNAL: Final = "application/msgpack"
_JSON: Final = "application/json"
_HEARTBEAT: Final = _Message(
    "heartbeat", _JSON, "Shows that the pipeline moves, and enters no KPI; internal to it.",
    headers=_constant_header("cx-control", "heartbeat"),
)  # fmt: skip
_MESSAGES: Final[dict[str, tuple[_Message, ...]]] = {
    INTERACTIONS: (
        _HEARTBEAT,
        _Message(
            "interactionEvent", _JSON,
            "A unified event. Without the header cx-accepted it is taken in first: validated, its "
            "customer replaced by a keyed hash, and written to this topic again.",
            "interaction-event.schema.json",
            {
                "type": "object",
                "properties": {
                    "cx-accepted": {"const": "1"},
                    "cx-written": {
                        "type": "string", "pattern": "^[0-9]{1,15}$",
                        "description": "When it was written first, in milliseconds since 1970, "
                        "where it was written again.",
                    },
                },
            },
        ),
        _Message(
            "tick", _INTERNAL, "The log's clock; one in each partition, internal to the pipeline.",
            headers=_constant_header("cx-control", "tick"),
        ),
        _Message(
            "restart", _INTERNAL, "A platform began anew; internal to the pipeline.",
            headers=_constant_header("cx-control", "restart"),
        ),
        _Message(
            "generation", _INTERNAL, "The log was made anew; internal to the pipeline.",
            headers=_constant_header("cx-control", "generation"),
        ),
    ),
    FACTS: (
        _Message("fact", _JSON, "A version of a fact, or its deletion.", "fact.schema.json"),
        _HEARTBEAT,
    ),
    CONTACTS: (
        _HEARTBEAT,
        _Message("contact", _INTERNAL, "One interaction of a customer; internal to the pipeline."),
        _Message(
            "tick", _INTERNAL, "The clock of one lifecycle partition; internal to the pipeline.",
            headers=_constant_header("cx-control", "tick"),
        ),
    ),
    PERFORMANCES: (
        _HEARTBEAT,
        _Message(
            "performance", _INTERNAL,
            "A stint, a schedule entry or a state of a performer; internal to the pipeline.",
        ),
        _Message(
            "tick", _INTERNAL, "The clock of one lifecycle partition; internal to the pipeline.",
            headers=_constant_header("cx-control", "tick"),
        ),
    ),
    PARTIALS: (
        _HEARTBEAT,
        _Message("share", _INTERNAL, "Share of one source in one pane; internal to the pipeline."),
        _Message(
            "tick", _INTERNAL, "The clock of one source partition; internal to the pipeline.",
            headers=_constant_header("cx-control", "tick"),
        ),
    ),
    KPIS: (
        _Message(
            "exhibitValue", _JSON,
            "One exhibit value; null says that nothing is published under the key any more.",
            "exhibit-value.schema.json",
        ),
    ),
    CLOCKS: (
        _Message(
            "exhibitClock", _JSON, "The clock that a partition's exhibit values are as of.",
            "exhibit-clock.schema.json",
        ),
    ),
    EXHIBITS: (
        _Message(
            "configuration", _INTERNAL,
            "Exhibits in force in one partition; internal to the pipeline.",
        ),
    ),
    SOURCES: (
        _Message(
            "sourceHeard", _JSON, "When a source was heard last, in one queue, by one reader.",
            "source-heard.schema.json",
        ),
    ),
    PROBES: (_Message("probe", "application/octet-stream", "An empty record."),),
    DEAD_LETTERS: (
        _Message(
            "deadLetter", "application/octet-stream", "Original bytes of a refused record.",
            headers={"$ref": "./dead-letter-headers.schema.json"},
        ),
    ),
}  # fmt: skip
_STATE: Final = _Message("state", _INTERNAL, "State of one key; null deletes it. Internal.")
_RAW: Final = _Message("payload", "application/octet-stream", "Native payload of the platform.")


def asyncapi(version: str) -> dict[str, Any]:
    """The document. ``version`` is that of the product."""
    rows = {_channel_id(row.name): row for row in TOPICS.values()}
    channels = {
        name: _channel(row, _MESSAGES.get(row.name, (_STATE,))) for name, row in rows.items()
    }
    raw = raw_topic_row("{platform}")
    channels["raw"] = _channel(raw, (_RAW, _HEARTBEAT)) | {
        "parameters": {"platform": {"description": "name of a module of schemas/platforms/"}}
    }
    operations: dict[str, Any] = {}
    for name, row in {**rows, "raw": raw}.items():
        for stage in row.producers:
            operations[f"{stage}Sends{_title(name)}"] = _operation("send", name, stage)
        for stage in row.consumers:
            operations[f"{stage}Receives{_title(name)}"] = _operation("receive", name, stage)
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "info": {
            "title": "cxstream topics",
            "version": version,
            "description": "Every Kafka topic of cxstream: who writes it, who reads it, what is in "
            "it. Records of the type application/msgpack are internal and change without notice.",
        },
        "defaultContentType": _JSON,
        "channels": channels,
        "operations": operations,
    }


def _channel_id(topic: str) -> str:
    first, *rest = topic.removeprefix("cx.").replace("-", ".").split(".")
    return first + "".join(part.title() for part in rest)


def _title(name: str) -> str:
    return name[0].upper() + name[1:]


def _channel(row: Topic, messages: tuple[_Message, ...]) -> dict[str, Any]:
    settings: dict[str, Any] = {"cleanup.policy": row.cleanup.split(",")}
    if row.retention_ms is not None:
        settings["retention.ms"] = row.retention_ms
    return {
        "address": row.name,
        "title": row.name,
        "description": f"{row.comment[0].upper()}{row.comment[1:]}. Key: {row.key}.",
        "messages": {message.name: _message(message, row) for message in messages},
        "bindings": {"kafka": {"topic": row.name, "topicConfiguration": settings}},
    }


def _message(message: _Message, row: Topic) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": message.name,
        "summary": message.summary,
        "contentType": message.content_type,
        "payload": _ANYTHING
        if message.schema is None
        else {"schemaFormat": _JSON_SCHEMA, "schema": {"$ref": f"./{message.schema}"}},
        "bindings": {"kafka": {"key": {"type": "string", "description": row.key}}},
    }
    if message.headers is not None:
        found["headers"] = message.headers
    return found


def _operation(action: str, channel: str, stage: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": f"{stage} {action}s",
    }
