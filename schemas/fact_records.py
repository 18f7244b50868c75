"""Facts as records of ``cx.facts``: flat JSON, one struct a kind.

A record says ``kind``, ``fact_id``, ``version`` and ``deleted``, then the columns of the kind. What
an older worker does not write reads as blank; what a newer one adds is ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Union

import msgspec

from schemas.facts import FACT_KINDS, Fact, columns


class FactRecord(msgspec.Struct, tag_field="kind"):
    """One version of a fact; its columns are attributes, in the order of ``columns(kind)``."""

    fact_id: str
    version: int
    deleted: bool

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


def _record(kind: str) -> type[Any]:
    blanks: list[Any] = [
        (column.name, Any, None if column.nullable else column.type()) for column in columns(kind)
    ]
    return msgspec.defstruct(
        f"{kind}_record", blanks, bases=(FactRecord,), tag=kind, gc=False,
        namespace={"kind": kind},
    )  # fmt: skip


_RECORDS: Final = {kind: _record(kind) for kind in FACT_KINDS}
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Union[tuple(_RECORDS.values())]).decode  # noqa: UP007


_EXISTS: Final = False
"""Says of a fact that it is not deleted."""


class _Gone(msgspec.Struct):
    kind: str
    fact_id: str
    version: int
    deleted: bool = True


def encode_fact(kind: str, fact_id: str, version: int, fact: Fact | None) -> bytes:
    """JSON of one version of a fact; without ``fact`` it says that the fact is deleted."""
    if fact is None:
        return _encode(_Gone(kind, fact_id, version))
    return _encode(_RECORDS[kind](fact_id, version, _EXISTS, *fact.header, *fact[1:]))


def decode_fact(body: bytes) -> FactRecord:
    """The record in ``body``.

    Raises:
        msgspec.DecodeError: it is no fact of a known kind.
    """
    record: FactRecord = _decode(body)
    return record
