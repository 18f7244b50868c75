"""Dead letters: a record on ``cx.dead-letters`` is the refused bytes, and headers that say why.

The value is personal data and goes nowhere else; of the headers ClickHouse keeps position, reason,
detail, size and hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, get_args

from schemas.platforms.base import MAX_DETAIL_CHARS, Reason


class HeaderField(NamedTuple):
    """One header: its JSON Schema, which the UTF-8 text of the header fulfils, and its meaning."""

    schema: Mapping[str, object]
    comment: str


_NUMBER: Final = {"type": "string", "pattern": "^[0-9]+$"}

HEADERS: Final[dict[str, HeaderField]] = {
    "reason": HeaderField({"enum": sorted(get_args(Reason))}, "class of the defect"),
    "detail": HeaderField(
        {"type": "string", "maxLength": MAX_DETAIL_CHARS},
        "where the defect is and what was expected there, free of values",
    ),
    "topic": HeaderField({"type": "string", "minLength": 1}, "topic of the refused record"),
    "partition": HeaderField(_NUMBER, "its partition, in decimal digits"),
    "offset": HeaderField(_NUMBER, "its offset, in decimal digits"),
    "timestamp": HeaderField(_NUMBER, "its Kafka time, epoch milliseconds in decimal digits"),
    "bytes": HeaderField(_NUMBER, "size of the original bytes, in decimal digits"),
    "sha256": HeaderField(
        {"type": "string", "pattern": "^[0-9a-f]{64}$"}, "SHA-256 of the original bytes"
    ),
}
"""Headers of every dead letter, in their order; all are always there."""
