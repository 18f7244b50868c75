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


def pack(value: bytes, words: bytes = b"") -> bytes:
    """A state in little space; ``words``: what it has in common with its key and its kind."""
    if is_packed(value):
        return value
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=words or _WORDS)
    return _PACKED + packer.compress(value) + packer.flush()


def unpack(value: bytes, words: bytes = b"") -> bytes:
    """What was packed with the same ``words``; anything else as it is."""
    if not is_packed(value):
        return value
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS, zdict=words or _WORDS)
    return unpacker.decompress(value[1:])


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

HISTORY_WORDS: Final = (
    b"case_opened\xaecase_resolved\xadcase_reopened\xa8timed_out\xa8outbound\xa8internal"
    b"\xa8web_chat\xa8whatsapp\xa5email\xa4left\xa8resolved\xa7handoff\xa5ended\xa4both\xa3bot\xc3\xc0"
    b"\xa6agent-\xa4home\xa3gig\xa6queue-\xa2de\xa2es\xa2fr"
    b"\x00\x91\xa0\xcf\x00\x00\x01\x9f\xdc\x00\x11\x01\x00\x00\x01\x00\x00\x00\x01\x00\x00\x01\x01\x00"
    b"\x00\x00\x01\x00\x94\xcf\x00\xdc\x00\x11\x01\x01\x01\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00"
    b"\x01\x00\x94\xcf\x00\x95\x01\x00\x00\x01\x00\x99\x01\x00\x01\x01\x00\xce\x05\xf5\xe1\x00\x01\x01\x00"
    b"/journey\x93\xa7journey\xcf\x00\x91\x94\xcf\x00\x95\x01\x00\x01\x01\x00"
    b"/contact\x93\xa7contact\xcf\x00\x92\x94\xcf\x00\x91\xa7\xcf\x00\x00\x01\x9e"
    b"\x81\x95\xcf\x00\x04\x00\x00\x00\x07\x00\x00\xdc\x00\x14\xa7contact\xdc\x00\x12\xd9 "
    b"\xa5voice\xa7inbound\xa5human\xa0\xa0\xa0\xa0\xa0\xa0\xa0\xa0\xa0\xa0\xa4site\xa8employed\xa2en"
    b"\xcf\x00\x00\x01\x9e\xcf\x00\x00\x01\x9e\xc3\xc2\xc0\xc2\x00\x00\x01\x00\xcd\x90\xa5human\xc3"
    b"\xa4none\xc2\xc0\xc0\x90\xa0\xc2\x00\xc2\x82\xcf\x00\xc0\x00"
)
"""What packed histories of customers and cases have in common. Never changed either."""
