"""The fields of an exhibit file, as tables."""

from __future__ import annotations

from types import NoneType
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pipeline.docs.markdown import code, table
from schemas.exhibit import Alert, Exhibit, KpiEntry

_MODELS: Final[dict[str, type[BaseModel]]] = {
    "Of the exhibit": Exhibit, "Of an entry of `kpis`": KpiEntry, "Of `alert`": Alert,
}  # fmt: skip


def fields() -> str:
    """Every field: name, what it takes, what it means."""
    head = ("field", "takes", "means")
    told = (
        f"{title}:\n\n{table(head, (_row(*item) for item in model.model_fields.items()))}"
        for title, model in _MODELS.items()
    )
    return "\n".join(told)


def _row(name: str, field: FieldInfo) -> tuple[str, str, str]:
    needed = " (needed)" if field.is_required() and name != "name" else ""
    return code(field.alias or name), _takes(name, field), (field.description or "") + needed


def _takes(name: str, field: FieldInfo) -> str:
    if name in _FORMS:
        return _FORMS[name]
    kinds = [kind for kind in (get_args(field.annotation) or (field.annotation,))
             if kind is not NoneType]  # fmt: skip
    if get_origin(field.annotation) is Literal:
        return _choice(field.annotation)
    return _choice(kinds[0]) if get_origin(kinds[0]) is Literal else _NAMES.get(kinds[0], "text")


def _choice(annotation: Any) -> str:
    return ", ".join(code(str(one)) for one in get_args(annotation))


_NAMES: Final[dict[Any, str]] = {int: "whole number", str: "text"}
_FORMS: Final = {
    "where": "patterns by dimension, `*` is any text",
    "by": "list of dimensions",
    "windows": "list of windows",
    "kpis": "list of entries",
    "business_hours": "times by weekday, and `holidays`",
    "parameters": "values by name",
    "alert": "fields below",
    "target": "a bound or a range",
    "time_zone": "name of a zone, as `Asia/Manila`",
    "preset": "name of a [preset](presets.md)",
}
"""What a field takes where its type alone does not say it."""
