"""A validator of the JSON Schema keywords that the generated schemas use, and of no others.

A keyword it does not know is an error of the schema, so a new one cannot pass unchecked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

_TYPES: dict[str, Callable[[Any], bool]] = {
    "null": lambda v: v is None,
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "string": lambda v: isinstance(v, str),
    "array": lambda v: isinstance(v, list),
    "object": lambda v: isinstance(v, dict),
}
_NOTES = {"$schema", "$id", "$defs", "title", "description", "default", "discriminator"}


def errors(schema: dict[str, Any], value: Any) -> list[str]:
    """What is wrong with ``value``, one line a defect; none if it is valid."""
    return list(_errors(schema, schema, value, "$"))


def _errors(root: dict[str, Any], schema: Any, value: Any, at: str) -> Iterator[str]:
    if schema is True or schema == {}:
        return
    for keyword, told in schema.items():
        if keyword in _NOTES:
            continue
        check = _CHECKS.get(keyword)
        if check is None:
            raise AssertionError(f"{at}: keyword {keyword} is not known to this validator")
        yield from check(root, schema, told, value, at)


def _ref(root, _schema, told, value, at):
    node: Any = root
    for part in told.removeprefix("#/").split("/"):
        node = node[part]
    yield from _errors(root, node, value, at)


def _type(_root, _schema, told, value, at):
    if not any(_TYPES[name](value) for name in ([told] if isinstance(told, str) else told)):
        yield f"{at}: not {told}"


def _some(root, _schema, told, value, at):
    if all(list(_errors(root, one, value, at)) for one in told):
        yield f"{at}: fits none of {len(told)}"


def _one(root, _schema, told, value, at):
    fitting = sum(not list(_errors(root, one, value, at)) for one in told)
    if fitting != 1:
        yield f"{at}: fits {fitting} of {len(told)}"


def _all(root, _schema, told, value, at):
    for one in told:
        yield from _errors(root, one, value, at)


def _required(_root, _schema, told, value, at):
    if isinstance(value, dict):
        yield from (f"{at}: lacks {name}" for name in told if name not in value)


def _properties(root, _schema, told, value, at):
    if isinstance(value, dict):
        for name in told.keys() & value.keys():
            yield from _errors(root, told[name], value[name], f"{at}.{name}")


def _additional(root, schema, told, value, at):
    if isinstance(value, dict):
        for name in value.keys() - schema.get("properties", {}).keys():
            if told is False:
                yield f"{at}: unknown {name}"
            else:
                yield from _errors(root, told, value[name], f"{at}.{name}")


def _names(root, _schema, told, value, at):
    if isinstance(value, dict):
        for name in value:
            yield from _errors(root, told, name, f"{at}.{name}")


def _items(root, _schema, told, value, at):
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _errors(root, told, item, f"{at}[{index}]")


def _that(kind: type | tuple[type, ...], holds: Callable[[Any, Any], bool], text: str):
    def check(_root, _schema, told, value, at):
        if isinstance(value, kind) and not isinstance(value, bool) and not holds(value, told):
            yield f"{at}: {text} {told}"

    return check


def _is_time(text: str, _format: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _equal(told: Any, value: Any) -> bool:
    return told == value and isinstance(told, bool) == isinstance(value, bool)


def _const(_root, _schema, told, value, at):
    if not _equal(told, value):
        yield f"{at}: not {told!r}"


def _enum(_root, _schema, told, value, at):
    if not any(_equal(one, value) for one in told):
        yield f"{at}: none of {told}"


_CHECKS = {
    "$ref": _ref,
    "type": _type,
    "anyOf": _some,
    "oneOf": _one,
    "allOf": _all,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional,
    "propertyNames": _names,
    "items": _items,
    "const": _const,
    "enum": _enum,
    "minimum": _that((int, float), lambda v, t: v >= t, "below"),
    "maximum": _that((int, float), lambda v, t: v <= t, "above"),
    "exclusiveMaximum": _that((int, float), lambda v, t: v < t, "not below"),
    "minLength": _that(str, lambda v, t: len(v) >= t, "shorter than"),
    "maxLength": _that(str, lambda v, t: len(v) <= t, "longer than"),
    "minItems": _that(list, lambda v, t: len(v) >= t, "fewer than"),
    "pattern": _that(str, lambda v, t: re.search(t, v) is not None, "does not match"),
    "format": _that(str, _is_time, "not a"),
}
