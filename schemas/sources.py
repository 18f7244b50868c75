"""When a source was heard last: the value of a record on ``cx.sources``."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

OTHER: Final = "(other)"
"""Stands for sources and queues beyond those that are told apart."""


class SourceHeard(msgspec.Struct, frozen=True):
    """One source, in one queue, as one reader heard it; of several readers the latest counts."""

    source: Annotated[str, msgspec.Meta(description="platform or system that tells events")]
    queue: Annotated[str, msgspec.Meta(description="queue the events name; empty for none")]
    at_ms: Annotated[
        int, msgspec.Meta(description="Kafka time of its last event, UTC epoch milliseconds")
    ]


encode_heard = msgspec.json.Encoder().encode
decode_heard = msgspec.json.Decoder(SourceHeard).decode
