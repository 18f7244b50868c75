"""The unified event as structs, compiled from the classes of :mod:`schemas.interaction`.

pydantic is the authority of the schema. These structs are its quick half: what they accept pydantic
accepts and means the same by; whatever they do not accept is for pydantic to judge, and to word.
"""

from __future__ import annotations

import re
from datetime import datetime
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec
from annotated_types import Ge, Le, Lt, MaxLen, MinLen
from pydantic import AwareDatetime, BaseModel
from pydantic.fields import FieldInfo

from schemas.interaction import EVENT_CLASSES, InteractionEvent

# Both cut a time to microseconds, but pydantic cuts off where msgspec rounds.
_FINER_THAN_MICROSECONDS: Final = re.compile(rb"\.\d{7}").search
_FINER_TIME: Final = re.compile(rb":\d\d\.\d{7}").search


class CompiledEvent(msgspec.Struct, kw_only=True):
    """An event decoded without pydantic: the attributes are those of its class there."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


AnyEvent = InteractionEvent | CompiledEvent
"""A unified event, validated or decoded."""


def _limits(metadata: list[Any]) -> dict[str, Any]:
    """Constraints of a field as msgspec words them.

    Raises:
        TypeError: there is one this module does not know.
    """
    found: dict[str, Any] = {}
    for limit in metadata:
        match limit:
            case Ge(ge):
                found["ge"] = ge
            case Le(le):
                found["le"] = le
            case Lt(int(lt)):
                found["le"] = lt - 1
            case MinLen(length):
                found["min_length"] = length
            case MaxLen(length):
                found["max_length"] = length
            case FieldInfo():
                found.update(_limits(limit.metadata))
            case _:
                raise TypeError(f"no constraint of the event schema is compiled from {limit!r}")
    return found


def _type(annotation: Any, metadata: list[Any]) -> Any:
    """The type msgspec checks a field with."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        return _type(inner, [*metadata, *more])
    if origin in (Union, UnionType):
        return Union[tuple(_type(part, metadata) for part in get_args(annotation))]  # noqa: UP007
    if annotation is AwareDatetime:
        return Annotated[datetime, msgspec.Meta(tz=True)]
    if annotation in (NoneType, bool) or origin is Literal:
        return annotation
    if annotation not in (str, int, float):
        raise TypeError(f"no type of the event schema is compiled from {annotation!r}")
    limits = _limits(metadata)
    return Annotated[annotation, msgspec.Meta(**limits)] if limits else annotation


def _struct(kind: str, model: type[BaseModel]) -> type[CompiledEvent]:
    fields: list[Any] = []
    for name, info in model.model_fields.items():
        if name == "kind":
            continue
        told = (name, _type(info.annotation, info.metadata))
        fields.append(told if info.is_required() else (*told, info.default))
    struct: type[Any] = msgspec.defstruct(
        model.__name__, fields, bases=(CompiledEvent,), namespace={"kind": kind},
        tag_field="kind", tag=kind, kw_only=True, omit_defaults=True, gc=False,
    )  # fmt: skip
    return struct


STRUCTS: Final = {
    kind: _struct(kind, model) for kind, model in EVENT_CLASSES.items() if kind != "tick"
}
_decode: Final = msgspec.json.Decoder(Union[tuple(STRUCTS.values())]).decode  # noqa: UP007
_encode: Final = msgspec.json.Encoder().encode


def decode_event(body: bytes) -> CompiledEvent | None:
    """The event in ``body``, which must be valid UTF-8; None if pydantic has to judge it."""
    # A literal first byte is found much faster; what follows it decides.
    if _FINER_THAN_MICROSECONDS(body) is not None and _FINER_TIME(body) is not None:
        return None
    try:
        event: CompiledEvent = _decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    return event


def encode_event(event: CompiledEvent) -> bytes:
    """JSON of a decoded event, without what it does not say."""
    return _encode(event)
