"""States that rest take little space: packed with what states of their kind have in common."""

from __future__ import annotations

import zlib
from typing import Final

_PACKED: Final = b"\xc1"
"""Begins a packed state: a byte that msgpack never uses."""
_LEVEL: Final = 6


def is_packed(value: bytes) -> bool:
    """Whether a stored state is packed."""
    return value.startswith(_PACKED)


def pack(value: bytes) -> bytes:
    """A state in little space."""
    if is_packed(value):
        return value
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=_WORDS)
    return _PACKED + packer.compress(value) + packer.flush()


def unpack(value: bytes) -> bytes:
    """What was packed; anything else as it is."""
    if not is_packed(value):
        return value
    return zlib.decompressobj(-zlib.MAX_WBITS, zdict=_WORDS).decompress(value[1:])


_KINDS: Final = (
    "survey_answered", "survey_sent", "handling_segment", "queue_segment", "interaction", "survey",
    "authenticated", "info_repeated", "left_queue", "abandoned", "transfer", "consult", "resume",
    "wrapup_started", "wrapup_ended", "web_chat", "whatsapp", "customer", "resolved", "inbound",
    "bot_started", "bot_ended", "handoff", "human", "queue", "voice",
)  # fmt: skip
_WORDS: Final = b"".join(word.encode() for word in _KINDS) + (
    b"\xa1k\xa6queued\xa1i\xa1k\xa7ringing\xa1k\xa8accepted\xa2vi\xa5queue\xa1k\xa9completed"
    b"\xa1e\xa8customer\xa2re\xc3\xa1k\xa4hold\xa1k\xa8bot_turn\xa2ut\xc3\xa2nm\xc2\xa2cf"
    b"\xa4site\xa2em\xa8employed\xa2kt\xa2ca\xa2cl\xa2ve\xa2si\xa2lo\xa2la\xa2en\xa2mv"
    b"\x01\x01\x01\x00\x00\x01\x01\x00\x95\x01\x00\x00\x01\x00\x94\xcf\x00"
    b"\xa1t\xcf\x00\x00\x01\xa1k\xa7started\xa1i\xa1h\xd3\xa1c\xa5voice\xa1s\xa1n\xa2cu"
    b"\xa2in\xa1q\xa2pk\xa5human\xa1p"
)
"""What packed states have in common. Never changed: what was packed with it could not be read."""
