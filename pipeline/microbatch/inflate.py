"""Decompression with a bound: a record batch of a kilobyte can hold gigabytes of nothing.

A broker checks the compressed size of a batch only, and aiokafka decompresses it as a whole, by
functions that its parser looks up in its own module. :func:`bound_decompression` puts bounded ones
there. Snappy needs none: it shrinks nothing to less than a twentieth.
"""

from __future__ import annotations

import sys
import zlib
from typing import Any, Final

import lz4.frame
from aiokafka.errors import KafkaError
from aiokafka.record import default_records

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdDecompressor
else:
    from backports.zstd import ZstdDecompressor

MAX_INFLATED_BYTES: Final = 32 * 1024 * 1024
"""Largest batch that is unpacked. A batch of 1 MiB, the most that a topic takes, has some 20 MiB of
very repetitive events."""


class InflatesTooMuchError(KafkaError):  # type: ignore[misc]
    """A record batch would be larger than :data:`MAX_INFLATED_BYTES`."""


def gzip_decode(payload: Any) -> bytes:
    """Inflate gzip. Raises :class:`InflatesTooMuchError`."""
    return _inflate(lambda: zlib.decompressobj(wbits=31), bytes(payload))


def lz4_decode(payload: Any) -> bytes:
    """Inflate LZ4 frames. Raises :class:`InflatesTooMuchError`."""
    return _inflate(lz4.frame.LZ4FrameDecompressor, bytes(payload))


def zstd_decode(payload: Any) -> bytes:
    """Inflate Zstandard frames. Raises :class:`InflatesTooMuchError`."""
    return _inflate(ZstdDecompressor, bytes(payload))


def _inflate(decompressor: Any, payload: bytes) -> bytes:
    """Inflate frames that follow on each other, each by a decompressor of its own."""
    found = bytearray()
    while payload:
        frame = decompressor()
        found += frame.decompress(payload, MAX_INFLATED_BYTES + 1 - len(found))
        if len(found) > MAX_INFLATED_BYTES:
            raise InflatesTooMuchError(f"a record batch inflates beyond {MAX_INFLATED_BYTES} bytes")
        if not frame.eof:
            raise zlib.error("a compressed record batch ends too early")
        payload = frame.unused_data or b""
    return bytes(found)


def bound_decompression() -> None:
    """Let every aiokafka consumer of this process decompress with a bound."""
    # What the parser is: compiled, or in Python where there is no compiled one.
    parser = sys.modules[default_records.DefaultRecordBatch.__module__]
    bounded = {"gzip_decode": gzip_decode, "lz4_decode": lz4_decode, "zstd_decode": zstd_decode}
    if missing := bounded.keys() - vars(parser).keys():
        raise RuntimeError(f"this aiokafka decompresses by other means, without {missing}")
    vars(parser).update(bounded)
