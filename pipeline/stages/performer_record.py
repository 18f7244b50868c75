"""A performer's record with part of its ledger left as the bytes it is.

What lies before a cut stands first in the ledger, and is most of the record of a week. It is
neither read nor written anew when what comes after is folded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from pipeline.kpi.ledger import Ledger

LEDGER: Final = 3
"""Place of the ledger among the fields of a record."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode_fields: Final = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


def split(stored: bytes, size: int, entries: int) -> tuple[bytes, bytes]:
    """A record without the first ``entries`` of its ledger, and the ``size`` bytes of those."""
    if not entries:
        return stored, b""
    fields = _decode_fields(stored)
    number, ledger = _opened(bytes(fields[LEDGER]))
    return _with_ledger(fields, number - entries, ledger[size:]), ledger[:size]


def join(stored: bytes, before: bytes, entries: int) -> bytes:
    """A record with ``entries`` that are ``before`` put first into its ledger."""
    if not entries:
        return stored
    fields = _decode_fields(stored)
    number, ledger = _opened(bytes(fields[LEDGER]))
    return _with_ledger(fields, number + entries, before + ledger)


def bytes_of(ledger: Ledger) -> bytes:
    """The entries of a ledger, as they stand in a record."""
    return _opened(_encode(ledger))[1]


def _with_ledger(fields: Sequence[msgspec.Raw], number: int, entries: bytes) -> bytes:
    found = list(fields)
    found[LEDGER] = msgspec.Raw(_header(number) + entries)
    return _encode(found)


def _opened(encoded: bytes) -> tuple[int, bytes]:
    """How many entries a MessagePack map has, and their bytes."""
    kind = encoded[0]
    size = {_MAP_16: 2, _MAP_32: 4}.get(kind, 0)
    number = int.from_bytes(encoded[1 : 1 + size], "big") if size else kind & 0x0F
    return number, encoded[1 + size :]


def _header(number: int) -> bytes:
    """The beginning of a MessagePack map."""
    if number < 0x10:
        return bytes([0x80 | number])
    if number < 0x1_0000:
        return bytes([_MAP_16]) + number.to_bytes(2, "big")
    return bytes([_MAP_32]) + number.to_bytes(4, "big")


_MAP_16: Final = 0xDE
_MAP_32: Final = 0xDF
