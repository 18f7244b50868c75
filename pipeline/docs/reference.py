"""Tables of settings, topics, commands, platforms and metrics, made from where they are defined."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer
from annotated_types import Ge, Le
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from pipeline import metrics
from pipeline.docs.markdown import code, table
from pipeline.logs import LogSettings
from pipeline.settings import ClickHouseSettings, Settings
from schemas.platforms import find_platform, platform_names
from schemas.topics import DAY_MS, TOPICS, Topic, raw_topic_row


def settings() -> str:
    """Every environment variable: name, type, default, meaning."""
    rows = [*_rows(Settings), *_rows(ClickHouseSettings), *_rows(LogSettings)]
    return table(("variable", "takes", "default", "meaning"), rows)


def _rows(cls: type[BaseSettings]) -> Iterable[tuple[str, ...]]:
    prefix = str(cls.model_config.get("env_prefix", ""))
    for name, field in cls.model_fields.items():
        nested = isinstance(field.annotation, type) and issubclass(field.annotation, BaseSettings)
        if not nested:
            yield (
                code(f"{prefix}{name.upper()}"),
                _takes(field),
                _default(field),
                field.description or name.replace("_", " "),
            )


def _takes(field: FieldInfo) -> str:
    limits = {type(m): m for m in field.metadata}
    low, high = limits.get(Ge), limits.get(Le)
    kind = _kind(field.annotation)
    if low is not None and high is not None:
        return f"{kind}, {low.ge:g} to {high.le:,.15g}"
    return kind


def _kind(annotation: Any) -> str:
    members = [one for one in get_args(annotation) if one is not type(None)]
    if get_origin(annotation) is Literal:
        return ", ".join(code(str(one)) for one in get_args(annotation))
    if get_origin(annotation) is tuple:
        inner = _kind(members[0])
        return f"comma-separated list of {inner}"
    if members:
        return _kind(members[0])
    names: dict[Any, str] = {
        int: "integer", float: "number", str: "text", bool: "`true`, `false`", Path: "path",
        SecretStr: "secret text",
    }  # fmt: skip
    return names[annotation]


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None:
        return "none"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, tuple):
        value = ",".join(str(one) for one in value)
    return code(str(value).lower() if isinstance(value, bool) else str(value)) or "empty"


def topics() -> str:
    """The registry of topics."""
    rows = [*TOPICS.values(), raw_topic_row("<platform>")]
    return table(
        ("topic", "key", "cleanup", "retention", "written by", "read by", "holds"),
        (_topic(row) for row in rows),
    )


def _topic(row: Topic) -> tuple[str, ...]:
    kept = "as compacted" if row.retention_ms is None else f"{row.retention_ms // DAY_MS} days"
    writers, readers = ", ".join(row.producers), ", ".join(row.consumers)
    return code(row.name), row.key, row.cleanup, kept, writers, readers, row.comment


def commands() -> str:
    """Every command with the first sentence of its help."""
    # Commands import what pages are made of, so they are looked at only when a page is made.
    from pipeline.cli.main import app  # noqa: PLC0415

    found = _leaves(typer.main.get_command(app), "cxstream")
    return table(("command", "does"), found)


def _leaves(command: Any, path: str) -> Iterable[tuple[str, str]]:
    if hasattr(command, "list_commands"):
        for name in command.list_commands(None):
            yield from _leaves(command.get_command(None, name), f"{path} {name}")
        return
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    usage = "".join(f" {(p.name or '').upper()}{'...' if p.nargs == -1 else ''}" for p in arguments)
    yield code(path + usage), (command.help or "").partition("\n\n")[0]


def platforms() -> str:
    """Platforms with the first line of what their module says."""
    return table(
        ("platform", "reads"),
        ((code(name), _first_line(name)) for name in platform_names()),
    )


def _first_line(name: str) -> str:
    module = __import__(find_platform(name).parse.__module__, fromlist=[name])
    return (module.__doc__ or "").strip().partition("\n")[0]


def metrics_table() -> str:
    """Metrics of ``/metrics`` that exist whatever the exhibits."""
    rows = []
    for family in metrics.REGISTRY.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        rows.append((code(name), family.type, family.documentation))
    return table(("metric", "type", "meaning"), sorted(rows))
